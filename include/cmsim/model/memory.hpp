// What lies in a die's HBM beside the KV cache: weights, exchange buffers and a reserve, in bytes.
#pragma once

#include "cmsim/model/exchange.hpp"
#include "cmsim/model/expert_placement.hpp"
#include "cmsim/model/operators.hpp"

namespace cmsim::model {

struct MemoryPlan {
  double weights = 0;
  double buffers = 0;
  double reserved = 0;
  double capacity = 0;
  double kv_bytes_per_token = 0;  // over all layers and MTP layers, as one die keeps it

  double free() const { return capacity - weights - buffers - reserved; }
  /// Tokens of KV cache that fit on one die, or on the dies that share their attention; 0 when
  /// nothing is left.
  Tokens kv_tokens() const {
    return free() <= 0 ? 0 : static_cast<Tokens>(free() / kv_bytes_per_token);
  }
};

/// A decode die: attention, embedding and LM head of its heads and share of the vocabulary (all, as
/// long as it is a data-parallel rank alone), dense FFN replicated, its share of the experts.
/// `max_tokens` = tokens a rank may dispatch at once (sequences x (1 + drafts)).
MemoryPlan plan_decode_memory(const hw::Platform& platform, const OperatorList& operators,
                              const ExpertLayout& layout, ExchangeKind exchange, double max_tokens,
                              const AttentionGroup& group = {});

/// Of a disaggregated instance: a die that attends, with the results of `max_tokens` tokens on
/// their way back, and one of those that `layout` is of, to which `sent` tokens may be on their
/// way.
MemoryPlan plan_attention_memory(const hw::Platform& platform, const OperatorList& operators,
                                 const ExpertLayout& layout, double max_tokens,
                                 const AttentionGroup& group = {});
MemoryPlan plan_expert_memory(const hw::Platform& platform, const OperatorList& operators,
                              const ExpertLayout& layout, ExchangeKind exchange, double sent);

/// A prefill die: weights as above; exchange buffers for `max_tokens` tokens of its own batch
/// share. `tp` dies share the heads of a sequence.
MemoryPlan plan_prefill_memory(const hw::Platform& platform, const OperatorList& operators,
                               const ExpertLayout& layout, int tp, double max_tokens);

}  // namespace cmsim::model
