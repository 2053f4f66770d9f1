// The operators of a decode layer and of a prefill layer, each as work on one die.
//
// Shapes are the Architecture's; precisions are PrecisionOptions. Either kind of attention has the
// same operators: MLA in its absorbed form in decode (attention over the compressed KV), in prefill
// expanded (keys and values per head); GQA over its KV heads. What a kind does not have is no work:
// no operations, bytes or stages. Counts are per call: `tokens` rows of the hidden state on this
// die.
#pragma once

#include <boost/container/static_vector.hpp>

#include "cmsim/model/architecture.hpp"
#include "cmsim/model/cost.hpp"
#include "cmsim/model/options.hpp"
#include "cmsim/model/step.hpp"

namespace cmsim::model {

/// What runs an operator. A device file names its units; one that does both matrix and vector work
/// has the same name twice.
enum class Unit { kMatrix, kVector, kDma, kExchange };

/// One operator of a layer, as a step places it.
struct Operator {
  const char* name;
  int server = 0;  // of the schedule: a unit of the die, or a stream that has a part of its cores
  OperatorCost cost = {};
  Unit unit = Unit::kMatrix;
  OperatorWork work = {};
  bool keeps_server = false;  // for the next one of its microbatch, whoever else waits
};

struct NamedWork {
  const char* name;
  OperatorWork work;
};
using WorkList = boost::container::static_vector<NamedWork, 8>;

class OperatorList {
 public:
  OperatorList(const Architecture& architecture, const PrecisionOptions& precision);

  /// The attention of a decode layer in order, as its kind has it; in an MTP module with the
  /// projection before it. Arguments as `attention` below.
  WorkList decode_attention(double sequences, double kv_tokens, double tokens_per_sequence,
                            bool mtp, const AttentionGroup& group = {}) const;

  /// The attention of prompts that a decode rank computes beside its sequences, on one of the dies
  /// of its group: expanded as in prefill. Where it `has_sequences`, the projections of both are
  /// one product and their weights are read there.
  WorkList prompt_attention(const PromptLoad& prompts, bool has_sequences,
                            const AttentionGroup& group) const;
  /// Pairs of a token and one that it attends to. Sparse attention keeps `top_k` of those that a
  /// token sees; the prompts are taken as alike.
  double attended_pairs(const PromptLoad& prompts) const;

  // --- decode, one layer (P §4.2.3: MLAProlog, FusedAttention, OProj, Gate, MLP) ---
  /// Norm, projections to queries, keys and values, RoPE. MLA: down-projections, query
  /// up-projection, absorbed key projection.
  OperatorWork attention_prolog(double tokens, int group = 1) const;
  /// Scores of `kv_tokens` cached tokens for each query row, and the choice of the highest.
  OperatorWork indexer(double sequences, double kv_tokens, double tokens_per_sequence) const;
  /// Attention: `kv_tokens` is the context summed over the sequences, `tokens_per_sequence` the
  /// query rows of each (1 + draft tokens). The KV of a sequence is read once for all its rows;
  /// with an indexer each row has its own choice of tokens.
  OperatorWork attention(double sequences, double kv_tokens, double tokens_per_sequence,
                         const AttentionGroup& group = {}) const;
  /// Output projection; MLA: the absorbed value projection before it.
  OperatorWork o_proj(double tokens, int group = 1) const;
  /// Norm, router and top-k.
  OperatorWork gate(double tokens) const;
  /// Gated FFN of `experts` expert copies over `rows` token-expert pairs.
  OperatorWork expert_ffn(double rows, double experts) const;
  /// FFN of a dense layer, or the `share` of its columns that one of several ranks has.
  OperatorWork dense_ffn(double tokens, double share = 1) const;
  /// Final norm, LM head and sampling of `tokens` rows, of the `share` of the vocabulary.
  OperatorWork lm_head(double tokens, double share = 1) const;
  /// MTP module's projection of [hidden, embedding] to hidden.
  OperatorWork mtp_projection(double tokens) const;

  // --- prefill, one layer, the part of one die ---
  /// SP stage: norm, quantise, down-projections (MLA) of this die's `tokens`.
  OperatorWork prefill_norm(double tokens) const;
  OperatorWork prefill_down_projection(double tokens) const;
  /// Of this die's `tokens`: `pairs` = sum over them of the context each sees; `context` = tokens
  /// whose keys are read.
  OperatorWork prefill_indexer(double pairs, double tokens, double context) const;
  /// TP stage, `heads` heads. To queries (of `tokens`), keys and values (MLA: of the `context`,
  /// that is tokens and cached context of all ranks; GQA: of the tokens, for cached ones are
  /// there).
  OperatorWork prefill_head_projection(double tokens, double context, double heads) const;
  /// Rotates queries and keys; MLA: assembles the keys of each head.
  OperatorWork prefill_rope(double tokens, double context, double heads) const;
  /// Causal attention: `pairs` = sum over tokens of the context each attends to.
  OperatorWork prefill_attention(double pairs, double tokens, double context, double heads) const;
  OperatorWork prefill_quantise_attention(double tokens, double heads) const;
  OperatorWork prefill_o_proj(double tokens, double heads) const;
  /// Sums what the `ranks` that share the heads of `tokens` made of a token; writes it once.
  OperatorWork prefill_partial_sum(double tokens, double ranks) const;
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
  /// One layer, the indexer's included; of one of the dies of a group.
  double attention_weight_bytes(int group = 1) const;
  /// The part of one of `ranks` dies that share the heads of a prefill batch: MLA has its latents
  /// and outputs in sequence parallel, so that each die has all weights.
  double prefill_attention_weight_bytes(int ranks) const;
  double expert_weight_bytes() const;  // one expert
  double dense_weight_bytes() const;   // one dense layer's FFN
  double router_weight_bytes() const;  // one MoE layer
  double head_weight_bytes() const;    // LM head (the embedding is as large)
  double mtp_weight_bytes() const;     // projection of one MTP module
  double kv_bytes_per_token_layer() const;
  double kv_bytes_per_token(KvLayers of) const;
  double dispatch_message_bytes() const;  // one token to one expert, padded as sent
  double combine_message_bytes() const;
  double latent_bytes() const;  // compressed query and KV of a token, BF16
  /// What the ranks of a prefill batch collect of a token before its TP stage, and of one whose KV
  /// is cached. MLA: latents (BF16) and the indexer's key. GQA: the normed hidden state, quantised
  /// if the projections are.
  double gathered_bytes() const;
  double gathered_cached_bytes() const;
  /// What an indexer chose for a token that sees `context`: a list, or a mask if that is shorter.
  double chosen_bytes(double context) const;
  double partial_sum_bytes() const;  // hidden state of a token, BF16
  /// What a group collects of a token in decode: the normed hidden state, quantised if the
  /// projections are; where it splits the KV, the queries and the partial outputs of all heads.
  double hidden_bytes() const;
  double query_bytes() const;
  double partial_output_bytes() const;
  /// Heads of one of the dies of a group.
  double heads_of(int group) const;
  /// KV heads of a rank with so many heads (GQA).
  double kv_heads_of(double heads) const;

  const Architecture& architecture() const { return architecture_; }

 private:
  double& attention_ops_of(OperatorWork& work) const;
  double projection_bytes() const;  // bytes per weight of the attention projections
  double grouped_projection_weights(double heads) const;  // to queries, keys and values
  double query_weights(double heads) const;
  void add_projection(OperatorWork& work, double tokens, double weights) const;
  void add_experts(OperatorWork& work, double rows, double weights_per_row) const;

  Architecture architecture_;
  PrecisionOptions precision_;
};

}  // namespace cmsim::model
