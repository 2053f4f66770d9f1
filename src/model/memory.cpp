#include "cmsim/model/memory.hpp"

#include <cmath>

namespace cmsim::model {
namespace {

/// What a die holds of each layer beside experts.
struct LayerWeights {
  double attention = 0;
  double dense = 0;
  double vocabulary = 1;  // share of embedding and LM head
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
         2 * layer.vocabulary * operators.head_weight_bytes();  // embedding and LM head
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

/// A die that attends in decode, the experts of `layout` included.
MemoryPlan attending_plan(const hw::Platform& platform, const OperatorList& operators,
                          const ExpertLayout& layout, const AttentionGroup& group) {
  MemoryPlan plan = base_plan(platform, operators, layout,
                              {operators.attention_weight_bytes(group.dies),
                               operators.dense_weight_bytes(), 1.0 / group.dies});
  if (group.splits_kv) {
    plan.kv_bytes_per_token /= group.dies;
  } else if (const GroupedAttention* g = operators.architecture().grouped()) {
    plan.kv_bytes_per_token *= operators.kv_heads_of(operators.heads_of(group.dies)) / g->kv_heads;
  }
  return plan;
}

}  // namespace

MemoryPlan plan_decode_memory(const hw::Platform& platform, const OperatorList& operators,
                              const ExpertLayout& layout, ExchangeKind exchange, double max_tokens,
                              const AttentionGroup& group) {
  MemoryPlan plan = attending_plan(platform, operators, layout, group);
  if (operators.architecture().has_experts()) {
    plan.buffers = exchange_buffer_bytes(exchange, platform, operators, layout.ranks, max_tokens);
  }
  return plan;
}

MemoryPlan plan_attention_memory(const hw::Platform& platform, const OperatorList& operators,
                                 const ExpertLayout& layout, double max_tokens,
                                 const AttentionGroup& group) {
  const Architecture& a = operators.architecture();
  MemoryPlan plan = attending_plan(platform, operators, layout, group);
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
                               const ExpertLayout& layout, int tp, double max_tokens) {
  const Architecture& a = operators.architecture();
  const double dense = operators.dense_weight_bytes();
  MemoryPlan plan = base_plan(
      platform, operators, layout,
      {operators.prefill_attention_weight_bytes(tp), a.is_tensor_parallel() ? dense / tp : dense});
  if (const GroupedAttention* g = a.grouped()) {
    // Ranks of one group hold the KV of the same tokens, each of its heads; more ranks than KV
    // heads hold some of them twice.
    plan.kv_bytes_per_token *= tp * operators.kv_heads_of(operators.heads_of(tp)) / g->kv_heads;
  }
  // Rows sent and received with their results: top-k rows of both message sizes for each token,
  // twice.
  plan.buffers = 2 * max_tokens * a.experts_per_token *
                 (operators.dispatch_message_bytes() + operators.combine_message_bytes());
  return plan;
}

}  // namespace cmsim::model
