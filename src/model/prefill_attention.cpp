// The parts of a prefill layer that the kind of attention divides among the ranks: attention, and
// the FFN of a dense layer.
//
// MLA: sequence, tensor and sequence parallel in turn (P §4.3); a rank has the FFN of its own
// tokens. GQA: tensor parallel with sequence-parallel norms (Korthikanti et al., arXiv:2205.05198):
// hidden states are gathered before the column-parallel projection to queries, keys and values, and
// the partial sums of the row-parallel output projection are reduced and scattered; likewise around
// a dense FFN.
#include <cmath>

#include "prefill_step.hpp"

namespace cmsim::model {

/// What each rank of a TP group collects of the tokens of its sequences, new and cached.
double PrefillStep::gather_bytes() const {
  const OperatorList& list = pipeline_.operators_;
  const double cached = part_.context - part_.tokens;
  return group_ * (part_.tokens * list.gathered_bytes() + cached * list.gathered_cached_bytes());
}

/// What the indexer of the group's ranks chose for their tokens.
double PrefillStep::chosen_bytes() const {
  return group_tokens() * pipeline_.operators_.chosen_bytes(part_.pairs / part_.tokens);
}

/// Attention outputs of a rank's heads, back to the ranks that own the tokens.
double PrefillStep::all_to_all_bytes() const {
  constexpr double kOutput = 2;  // BF16
  return part_.tokens * group_ * heads_ * pipeline_.operators_.architecture().value_head_dim() *
         kOutput;
}

double PrefillStep::reduce_scatter_bytes() const {
  return group_tokens() * pipeline_.operators_.partial_sum_bytes();
}

double PrefillStep::attention_collective_bytes() const {
  const bool is_summed = pipeline_.operators_.architecture().is_tensor_parallel();
  return gather_bytes() + chosen_bytes() +
         (is_summed ? reduce_scatter_bytes() : all_to_all_bytes());
}

double PrefillStep::dense_collective_bytes() const {
  if (!pipeline_.operators_.architecture().is_tensor_parallel()) return 0;
  return gather_bytes() + reduce_scatter_bytes();
}

void PrefillStep::add_attention(std::vector<Operator>& chain) const {
  if (pipeline_.operators_.architecture().is_tensor_parallel()) {
    add_grouped_attention(chain);
  } else {
    add_latent_attention(chain);
  }
}

void PrefillStep::add_latent_attention(std::vector<Operator>& chain) const {
  const OperatorList& list = pipeline_.operators_;
  const Architecture& a = list.architecture();
  const double tokens = own_tokens();
  const double new_tokens = part_.tokens * group_, context = part_.context * group_;
  const auto in_order = [&](const char* name, const OperatorWork& work) {
    chain.push_back(compute(name, work));
  };
  in_order("Norm", list.prefill_norm(tokens));
  in_order("DownProjection", list.prefill_down_projection(tokens));
  add_collective(chain, "AllGather", gather_bytes());
  if (a.indexer) {
    in_order("Indexer", list.prefill_indexer(part_.pairs * group_ / tp_, tokens, context));
    add_collective(chain, "IndexGather", chosen_bytes());
  }
  in_order("UpProjection", list.prefill_head_projection(new_tokens, context, heads_));
  in_order("RoPE", list.prefill_rope(new_tokens, context, heads_));
  in_order("Attention", list.prefill_attention(list.attended_pairs(part_) * group_, new_tokens,
                                               context, heads_));
  add_collective(chain, "AllToAll", all_to_all_bytes());
  in_order("Quantise", list.prefill_quantise_attention(tokens, a.heads));
  in_order("OProj", list.prefill_o_proj(tokens, a.heads));
}

void PrefillStep::add_grouped_attention(std::vector<Operator>& chain) const {
  const OperatorList& list = pipeline_.operators_;
  const double new_tokens = group_tokens(), context = part_.context * group_;
  const auto in_order = [&](const char* name, const OperatorWork& work) {
    chain.push_back(compute(name, work));
  };
  in_order("Norm", list.prefill_norm(own_tokens()));
  add_collective(chain, "AllGather", gather_bytes());
  in_order("QKVProj", list.prefill_head_projection(new_tokens, context, heads_));
  in_order("RoPE", list.prefill_rope(new_tokens, context, heads_));
  in_order("Attention", list.prefill_attention(part_.pairs * group_, new_tokens, context, heads_));
  in_order("Quantise", list.prefill_quantise_attention(new_tokens, heads_));
  in_order("OProj", list.prefill_o_proj(new_tokens, heads_));
  add_reduce_scatter(chain);
}

void PrefillStep::add_reduce_scatter(std::vector<Operator>& chain) const {
  add_collective(chain, "ReduceScatter", reduce_scatter_bytes());
  chain.push_back(compute("Sum", pipeline_.operators_.prefill_partial_sum(own_tokens(), tp_)));
}

void PrefillStep::add_dense(std::vector<Operator>& chain) const {
  const OperatorList& list = pipeline_.operators_;
  if (!list.architecture().is_tensor_parallel()) {
    chain.push_back(compute("DenseFFN", list.dense_ffn(own_tokens())));
    return;
  }
  add_collective(chain, "AllGather", gather_bytes());
  chain.push_back(compute("DenseFFN", list.dense_ffn(group_tokens(), 1 / tp_)));
  add_reduce_scatter(chain);
}

}  // namespace cmsim::model
