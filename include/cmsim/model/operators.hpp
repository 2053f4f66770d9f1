// The operators of a decode layer and of a prefill layer, each as work on one die.
//
// Shapes are DeepSeek-V3's (Architecture); precisions are PrecisionOptions. Decode uses the
// absorbed form of MLA (attention over the compressed KV), prefill the expanded form (keys and
// values per head). Counts are per call: `tokens` rows of the hidden state on this die.
#pragma once

#include "cmsim/model/architecture.hpp"
#include "cmsim/model/cost.hpp"
#include "cmsim/model/options.hpp"

namespace cmsim::model {

class OperatorList {
 public:
  OperatorList(const Architecture& architecture, const PrecisionOptions& precision);

  // --- decode, one layer (P §4.2.3: MLAProlog, FusedAttention, OProj, Gate, MLP) ---
  /// Norm, query and KV down-projections, query up-projection, absorbed key projection, RoPE.
  OperatorWork mla_prolog(double tokens) const;
  /// Absorbed attention: `kv_tokens` is the context summed over the sequences,
  /// `tokens_per_sequence` the query rows of each (1 + draft tokens). The KV of a sequence is read
  /// once for all its rows.
  OperatorWork fused_attention(double kv_tokens, double tokens_per_sequence) const;
  /// Absorbed value projection and output projection.
  OperatorWork o_proj(double tokens) const;
  /// Norm, router and top-k.
  OperatorWork gate(double tokens) const;
  /// Gated FFN of `experts` expert copies over `rows` token-expert pairs.
  OperatorWork expert_ffn(double rows, double experts) const;
  /// FFN of a dense layer.
  OperatorWork dense_ffn(double tokens) const;
  /// Final norm, LM head and sampling of `tokens` rows.
  OperatorWork lm_head(double tokens) const;
  /// MTP module's projection of [hidden, embedding] to hidden.
  OperatorWork mtp_projection(double tokens) const;

  // --- prefill, one layer, the part of one die ---
  /// SP stage: norm, quantise, down-projections of this die's `tokens`.
  OperatorWork prefill_norm(double tokens) const;
  OperatorWork prefill_down_projection(double tokens) const;
  /// TP stage: up-projections of queries (`tokens`) and of keys and values (`context` = tokens and
  /// cached context) of all ranks, for `heads` heads.
  OperatorWork prefill_up_projection(double tokens, double context, double heads) const;
  /// Rotates queries and assembles the keys of each head.
  OperatorWork prefill_rope(double tokens, double context, double heads) const;
  /// Causal attention: `pairs` = sum over tokens of the context each sees.
  OperatorWork prefill_attention(double pairs, double tokens, double context, double heads) const;
  OperatorWork prefill_quantise_attention(double tokens) const;
  OperatorWork prefill_o_proj(double tokens) const;
  OperatorWork prefill_post_norm(double tokens) const;
  /// Vector work around the token exchange: per-row copy, quantise, permute; HBM-bound passes.
  OperatorWork dispatch_pack(double rows) const;
  OperatorWork dispatch_unpack(double rows) const;
  OperatorWork expert_up(double rows, double experts) const;
  OperatorWork expert_activation(double rows) const;
  OperatorWork expert_down(double rows, double experts) const;
  OperatorWork combine_pack(double rows) const;
  OperatorWork combine_reduce(double tokens, double rows) const;

  // --- sizes, bytes ---
  double attention_weight_bytes() const;  // one layer
  double expert_weight_bytes() const;     // one expert
  double dense_weight_bytes() const;      // one dense layer's FFN
  double router_weight_bytes() const;     // one MoE layer
  double head_weight_bytes() const;       // LM head (the embedding is as large)
  double mtp_weight_bytes() const;        // projection of one MTP module
  double kv_bytes_per_token_layer() const;
  double dispatch_message_bytes() const;  // one token to one expert, padded as sent
  double combine_message_bytes() const;
  double latent_bytes() const;         // compressed query and KV of a token, BF16
  double cached_latent_bytes() const;  // KV part of it

  const Architecture& architecture() const { return architecture_; }

 private:
  double projection_bytes() const;  // bytes per weight of the attention projections
  void add_projection(OperatorWork& work, double tokens, double weights) const;
  void add_experts(OperatorWork& work, double rows, double weights_per_row) const;

  Architecture architecture_;
  PrecisionOptions precision_;
};

}  // namespace cmsim::model
