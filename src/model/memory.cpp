#include "cmsim/model/memory.hpp"

#include <cmath>

namespace cmsim::model {
namespace {

/// What a die holds of each layer beside experts.
struct LayerWeights {
  double attention = 0;
  double dense = 0;
};

/// Routed and shared experts of all layers.
double expert_bytes(const OperatorList& operators, const ExpertLayout& layout) {
  const Architecture& a = operators.architecture();
  return (a.moe_layers() + a.mtp_layers) * layout.experts_per_rank() *
         operators.expert_weight_bytes();
}

double weight_bytes(const OperatorList& operators, const ExpertLayout& layout,
                    const LayerWeights& layer) {
  const Architecture& a = operators.architecture();
  const double moe_layers = a.moe_layers() + a.mtp_layers;
  return (a.layers + a.mtp_layers) * layer.attention + a.mtp_layers * operators.mtp_weight_bytes() +
         a.dense_layers * layer.dense + moe_layers * operators.router_weight_bytes() +
         expert_bytes(operators, layout) +
         2 * operators.head_weight_bytes();  // embedding and LM head
}

MemoryPlan base_plan(const hw::Platform& platform, const OperatorList& operators,
                     const ExpertLayout& layout, const LayerWeights& layer) {
  MemoryPlan plan;
  plan.capacity = static_cast<double>(platform.die.hbm_capacity);
  plan.weights = weight_bytes(operators, layout, layer);
  plan.reserved = static_cast<double>(platform.operators.hbm_reserved);
  plan.kv_bytes_per_token = operators.kv_bytes_per_token(KvLayers::kWithMtp);
  return plan;
}

}  // namespace

MemoryPlan plan_decode_memory(const hw::Platform& platform, const OperatorList& operators,
                              const ExpertLayout& layout, ExchangeKind exchange,
                              double max_tokens) {
  MemoryPlan plan = base_plan(platform, operators, layout,
                              {operators.attention_weight_bytes(), operators.dense_weight_bytes()});
  if (operators.architecture().has_experts()) {
    plan.buffers = exchange_buffer_bytes(exchange, platform, operators, layout.ranks, max_tokens);
  }
  return plan;
}

MemoryPlan plan_attention_memory(const hw::Platform& platform, const OperatorList& operators,
                                 const ExpertLayout& layout, double max_tokens) {
  const Architecture& a = operators.architecture();
  MemoryPlan plan = base_plan(platform, operators, layout,
                              {operators.attention_weight_bytes(), operators.dense_weight_bytes()});
  plan.weights -= expert_bytes(operators, layout);
  plan.buffers =
      max_tokens * (a.experts_per_token + a.shared_experts) * operators.combine_message_bytes();
  return plan;
}

MemoryPlan plan_expert_memory(const hw::Platform& platform, const OperatorList& operators,
                              const ExpertLayout& layout, ExchangeKind exchange, double sent) {
  MemoryPlan plan = base_plan(platform, operators, layout, {});
  plan.weights = expert_bytes(operators, layout);
  plan.buffers = exchange_buffer_bytes(exchange, platform, operators, 1, sent);
  return plan;
}

MemoryPlan plan_prefill_memory(const hw::Platform& platform, const OperatorList& operators,
                               const ExpertLayout& layout, double max_tokens) {
  const Architecture& a = operators.architecture();
  const int ranks = tensor_parallel_degree(a, layout.ranks);
  const double dense = operators.dense_weight_bytes();
  MemoryPlan plan = base_plan(platform, operators, layout,
                              {operators.prefill_attention_weight_bytes(ranks),
                               a.is_tensor_parallel() ? dense / ranks : dense});
  if (const GroupedAttention* g = a.grouped()) {
    // Ranks of one group hold the KV of the same tokens, each of its heads; more ranks than KV
    // heads hold some of them twice.
    const double heads = std::ceil(static_cast<double>(a.heads) / ranks);
    plan.kv_bytes_per_token *= ranks * operators.kv_heads_of(heads) / g->kv_heads;
  }
  // Rows sent and received with their results: top-k rows of both message sizes for each token,
  // twice.
  plan.buffers = 2 * max_tokens * a.experts_per_token *
                 (operators.dispatch_message_bytes() + operators.combine_message_bytes());
  return plan;
}

}  // namespace cmsim::model
