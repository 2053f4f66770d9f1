#include "cmsim/model/memory.hpp"

namespace cmsim::model {
namespace {

double weight_bytes(const OperatorList& operators, const ExpertLayout& layout) {
  const Architecture& a = operators.architecture();
  const double moe_layers = a.moe_layers() + a.mtp_layers;
  return (a.layers + a.mtp_layers) * operators.attention_weight_bytes() +
         a.mtp_layers * operators.mtp_weight_bytes() +
         a.dense_layers * operators.dense_weight_bytes() +
         moe_layers * (operators.router_weight_bytes() +
                       layout.experts_per_rank() * operators.expert_weight_bytes()) +
         2 * operators.head_weight_bytes();  // embedding and LM head
}

MemoryPlan base_plan(const hw::Platform& platform, const OperatorList& operators,
                     const ExpertLayout& layout) {
  const Architecture& a = operators.architecture();
  MemoryPlan plan;
  plan.capacity = static_cast<double>(platform.die.hbm_capacity);
  plan.weights = weight_bytes(operators, layout);
  plan.reserved = static_cast<double>(platform.operators.hbm_reserved);
  plan.kv_bytes_per_token = operators.kv_bytes_per_token_layer() * (a.layers + a.mtp_layers);
  return plan;
}

}  // namespace

MemoryPlan plan_decode_memory(const hw::Platform& platform, const OperatorList& operators,
                              const ExpertLayout& layout, ExchangeKind exchange,
                              double max_tokens) {
  MemoryPlan plan = base_plan(platform, operators, layout);
  plan.buffers = exchange_buffer_bytes(exchange, platform, operators, layout.ranks, max_tokens);
  return plan;
}

MemoryPlan plan_prefill_memory(const hw::Platform& platform, const OperatorList& operators,
                               const ExpertLayout& layout, double max_tokens) {
  MemoryPlan plan = base_plan(platform, operators, layout);
  // Rows sent and received with their results: top-k rows of both message sizes for each token,
  // twice.
  plan.buffers = 2 * max_tokens * operators.architecture().experts_per_token *
                 (operators.dispatch_message_bytes() + operators.combine_message_bytes());
  return plan;
}

}  // namespace cmsim::model
