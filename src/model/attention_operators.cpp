// The operators and sizes of OperatorList that depend on the kind of attention.
#include <algorithm>
#include <cmath>

#include "cmsim/model/operators.hpp"
#include "element_bytes.hpp"

namespace cmsim::model {

double& OperatorList::attention_ops_of(OperatorWork& work) const {
  return precision_.attention == Precision::kInt8 ? work.attention_int8_ops : work.attention_ops;
}

double OperatorList::projection_bytes() const { return bytes_of(precision_.attention_projections); }

void OperatorList::add_projection(OperatorWork& work, double tokens, double weights) const {
  (precision_.attention_projections == Precision::kInt8 ? work.int8_ops : work.bf16_ops) +=
      2 * tokens * weights;
}

double OperatorList::heads_of(int group) const {
  return std::ceil(static_cast<double>(architecture_.heads) / group);
}

double OperatorList::kv_heads_of(double heads) const {
  const int kv_heads = architecture_.grouped()->kv_heads;
  return std::ceil(heads * kv_heads / architecture_.heads);
}

double OperatorList::grouped_projection_weights(double heads) const {
  return static_cast<double>(architecture_.hidden) * architecture_.grouped()->head_dim *
         (heads + 2 * kv_heads_of(heads));
}

// ---------------------------------------------------------------- decode

WorkList OperatorList::decode_attention(double sequences, double kv_tokens,
                                        double tokens_per_sequence, bool mtp,
                                        const AttentionGroup& group) const {
  const bool is_latent = architecture_.latent() != nullptr;
  const double tokens = sequences * tokens_per_sequence;
  OperatorWork prolog = attention_prolog(tokens, group.dies);
  if (mtp) prolog += mtp_projection(tokens);
  WorkList list{{is_latent ? "MLAProlog" : "QKVProj", prolog}};
  if (architecture_.indexer) {
    list.push_back({"Indexer", indexer(sequences, kv_tokens, tokens_per_sequence)});
  }
  list.push_back({is_latent ? "FusedAttention" : "Attention",
                  attention(sequences, kv_tokens, tokens_per_sequence, group)});
  list.push_back({"OProj", o_proj(tokens, group.dies)});
  return list;
}

WorkList OperatorList::prompt_attention(const PromptLoad& prompts, bool has_sequences,
                                        const AttentionGroup& group) const {
  const double heads = heads_of(group.dies), tokens = prompts.tokens;
  OperatorWork prolog = prefill_norm(tokens / group.dies);
  if (architecture_.latent() != nullptr) prolog += prefill_down_projection(tokens);
  prolog += prefill_head_projection(tokens, prompts.context, heads);
  prolog += prefill_rope(tokens, prompts.context, heads);
  OperatorWork output = prefill_quantise_attention(tokens, heads);
  output += prefill_o_proj(tokens, heads);
  if (has_sequences) {
    prolog.hbm_bytes -= query_weights(heads) * projection_bytes();
    output.hbm_bytes -= prefill_o_proj(0, heads).hbm_bytes;
  }
  WorkList list{{"PromptProlog", prolog}};
  if (architecture_.indexer) {
    OperatorWork indexer = prefill_indexer(prompts.pairs, tokens, prompts.context);
    if (has_sequences) indexer.hbm_bytes -= prefill_indexer(0, 0, 0).hbm_bytes;
    list.push_back({"PromptIndexer", indexer});
  }
  list.push_back({"PromptAttention",
                  prefill_attention(attended_pairs(prompts), tokens, prompts.context, heads)});
  list.push_back({"PromptOProj", output});
  return list;
}

double OperatorList::attended_pairs(const PromptLoad& prompts) const {
  if (!architecture_.indexer) return prompts.pairs;
  const double top_k = architecture_.indexer->top_k;
  const double fresh = prompts.tokens / prompts.sequences;
  const double cached = prompts.context / prompts.sequences - fresh;
  const double below = std::clamp(top_k - cached, 0.0, fresh);  // tokens that see no more
  const double kept = below * cached + below * (below + 1) / 2 + (fresh - below) * top_k;
  return std::min(prompts.pairs, prompts.sequences * kept);
}

/// Projections that tokens of prompts and of sequences go through alike. MLA expands or absorbs
/// keys and values, which is not the same product.
double OperatorList::query_weights(double heads) const {
  const Architecture& a = architecture_;
  if (a.grouped() != nullptr) return grouped_projection_weights(heads);
  const LatentAttention& l = *a.latent();
  return static_cast<double>(a.hidden) * (l.q_lora_rank + l.kv_lora_rank + l.rope_head_dim) +
         l.q_lora_rank * heads * l.key_head_dim();
}

OperatorWork OperatorList::attention_prolog(double tokens, int group) const {
  const Architecture& a = architecture_;
  const double heads = heads_of(group);
  OperatorWork work;
  if (const GroupedAttention* g = a.grouped()) {
    const double weights = grouped_projection_weights(heads);
    add_projection(work, tokens, weights);
    work.hbm_bytes =
        weights * projection_bytes() +
        tokens * (2.0 * a.hidden + (heads + 2.0 * kv_heads_of(heads)) * g->head_dim) * kBf16;
    work.stages = 3;  // norm and quantise | projection | RoPE, cache
    return work;
  }
  const LatentAttention& l = *a.latent();
  const double down =
      static_cast<double>(a.hidden) * (l.q_lora_rank + l.kv_lora_rank + l.rope_head_dim);
  const double up = l.q_lora_rank * heads * l.key_head_dim();
  const double absorb = heads * l.nope_head_dim * l.kv_lora_rank;
  add_projection(work, tokens, down + up);
  work.bf16_ops += 2 * tokens * absorb;  // batched product with the key up-projection, kept in BF16
  work.hbm_bytes = (down + up) * projection_bytes() + absorb * kBf16 +
                   tokens * (2.0 * a.hidden + heads * (l.kv_lora_rank + l.rope_head_dim)) * kBf16;
  work.stages =
      4;  // norm and quantise | down-projections | query up-projection | absorb, RoPE, cache
  return work;
}

OperatorWork OperatorList::indexer(double sequences, double kv_tokens,
                                   double tokens_per_sequence) const {
  return prefill_indexer(kv_tokens * tokens_per_sequence, sequences * tokens_per_sequence,
                         kv_tokens);
}

OperatorWork OperatorList::attention(double sequences, double kv_tokens, double tokens_per_sequence,
                                     const AttentionGroup& group) const {
  const Architecture& a = architecture_;
  const double heads = group.splits_kv ? a.heads : heads_of(group.dies);
  if (group.splits_kv) kv_tokens /= group.dies;
  OperatorWork work;
  work.stages = 2;  // attention over split contexts | merge of the splits
  if (const GroupedAttention* g = a.grouped()) {
    attention_ops_of(work) = 4.0 * heads * g->head_dim * kv_tokens * tokens_per_sequence;
    work.hbm_bytes =
        kv_tokens * 2.0 * kv_heads_of(heads) * g->head_dim * bytes_of(precision_.kv_cache);
    return work;
  }
  const LatentAttention& l = *a.latent();
  double attended = kv_tokens, read = kv_tokens;
  if (a.indexer) {
    attended = std::min(kv_tokens, sequences * a.indexer->top_k);
    read = std::min(kv_tokens, tokens_per_sequence * sequences * a.indexer->top_k);
  }
  const double score = l.kv_lora_rank + l.rope_head_dim, value = l.kv_lora_rank;
  attention_ops_of(work) = 2.0 * heads * (score + value) * attended * tokens_per_sequence;
  work.hbm_bytes = read * (score * bytes_of(precision_.kv_cache));
  return work;
}

OperatorWork OperatorList::o_proj(double tokens, int group) const {
  const Architecture& a = architecture_;
  const double heads = heads_of(group);
  OperatorWork work;
  if (a.grouped() != nullptr) {
    work = prefill_o_proj(tokens, heads);
    work.hbm_bytes += prefill_quantise_attention(tokens, heads).hbm_bytes;
    work.stages = 2;  // quantise | output projection
    return work;
  }
  const LatentAttention& l = *a.latent();
  const double absorb = heads * l.kv_lora_rank * l.v_head_dim;
  const double output = heads * l.v_head_dim * a.hidden;
  add_projection(work, tokens, output);
  work.bf16_ops += 2 * tokens * absorb;
  work.hbm_bytes = output * projection_bytes() + absorb * kBf16 +
                   tokens * (heads * (l.kv_lora_rank + l.v_head_dim) + a.hidden) * kBf16;
  work.stages = 3;  // value projection | quantise | output projection
  return work;
}

// ---------------------------------------------------------------- prefill

OperatorWork OperatorList::prefill_norm(double tokens) const {
  OperatorWork work;  // add residual: read two, write two; quantise: read one, write one in INT8
  work.hbm_bytes = tokens * architecture_.hidden * (4 * kBf16 + kBf16 + kInt8);
  return work;
}

OperatorWork OperatorList::prefill_down_projection(double tokens) const {
  const Architecture& a = architecture_;
  const LatentAttention& l = *a.latent();
  const double weights =
      static_cast<double>(a.hidden) * (l.q_lora_rank + l.kv_lora_rank + l.rope_head_dim);
  OperatorWork work;
  add_projection(work, tokens, weights);
  // The latents are written, then normalised: read and written again.
  work.stages = 2;
  work.hbm_bytes = weights * projection_bytes() + tokens * (a.hidden * kInt8 + 3 * latent_bytes());
  return work;
}

OperatorWork OperatorList::prefill_indexer(double pairs, double tokens, double context) const {
  OperatorWork work;
  work.stages = 0;
  const Architecture& a = architecture_;
  if (!a.indexer) return work;
  const double heads_dim = static_cast<double>(a.indexer->heads) * a.indexer->head_dim;
  add_projection(work, tokens, a.indexer_parameters());
  work.int8_ops += 2 * heads_dim * pairs;
  work.hbm_bytes = a.indexer_parameters() * projection_bytes() +
                   context * a.indexer->head_dim * kInt8 +
                   tokens * (a.latent()->q_lora_rank + a.hidden + heads_dim) * kBf16;
  work.stages = 3;  // projections | scores | top-k
  return work;
}

OperatorWork OperatorList::prefill_head_projection(double tokens, double context,
                                                   double heads) const {
  const Architecture& a = architecture_;
  OperatorWork work;
  if (const GroupedAttention* g = a.grouped()) {
    const double weights = grouped_projection_weights(heads);
    add_projection(work, tokens, weights);
    work.hbm_bytes =
        weights * projection_bytes() +
        tokens * (gathered_bytes() + (heads + 2 * kv_heads_of(heads)) * g->head_dim * kBf16);
    return work;
  }
  const LatentAttention& l = *a.latent();
  const double query = l.q_lora_rank * heads * l.key_head_dim();
  const double key_value = l.kv_lora_rank * heads * (l.nope_head_dim + l.v_head_dim);
  add_projection(work, tokens, query);
  add_projection(work, context, key_value);
  work.hbm_bytes =
      (query + key_value) * projection_bytes() +
      tokens * (l.q_lora_rank * kBf16 + heads * l.key_head_dim() * kBf16) +
      context * (l.kv_lora_rank * kBf16 + heads * (l.nope_head_dim + l.v_head_dim) * kBf16);
  work.stages = 2;  // queries | keys and values
  return work;
}

OperatorWork OperatorList::prefill_rope(double tokens, double context, double heads) const {
  const Architecture& a = architecture_;
  OperatorWork work;
  if (const GroupedAttention* g = a.grouped()) {  // read and written
    work.hbm_bytes = kBf16 * 2 * tokens * (heads + kv_heads_of(heads)) * g->head_dim;
    return work;
  }
  const LatentAttention& l = *a.latent();
  // Queries are read and written; keys are put together per head: the part without RoPE is read,
  // the whole key written.
  work.hbm_bytes =
      kBf16 * heads *
      (2 * tokens * l.key_head_dim() + context * (2 * l.nope_head_dim + l.rope_head_dim));
  return work;
}

OperatorWork OperatorList::prefill_attention(double pairs, double tokens, double context,
                                             double heads) const {
  const Architecture& a = architecture_;
  OperatorWork work;
  if (const GroupedAttention* g = a.grouped()) {
    attention_ops_of(work) = 4.0 * heads * g->head_dim * pairs;
    work.hbm_bytes =
        2 * g->head_dim *
        (tokens * heads * kBf16 + context * kv_heads_of(heads) * bytes_of(precision_.kv_cache));
    return work;
  }
  const LatentAttention& l = *a.latent();
  const double score = l.key_head_dim();
  attention_ops_of(work) = 2.0 * heads * (score + l.v_head_dim) * pairs;
  work.hbm_bytes =
      heads * kBf16 * (tokens * (score + l.v_head_dim) + context * (score + l.v_head_dim));
  return work;
}

OperatorWork OperatorList::prefill_quantise_attention(double tokens, double heads) const {
  OperatorWork work;
  work.hbm_bytes = tokens * heads * architecture_.value_head_dim() * (kBf16 + kInt8);
  return work;
}

OperatorWork OperatorList::prefill_o_proj(double tokens, double heads) const {
  const Architecture& a = architecture_;
  const double outputs = heads * a.value_head_dim();
  const double weights = outputs * a.hidden;
  OperatorWork work;
  add_projection(work, tokens, weights);
  work.hbm_bytes = weights * projection_bytes() + tokens * (outputs * kInt8 + a.hidden * kBf16);
  return work;
}

OperatorWork OperatorList::prefill_partial_sum(double tokens, double ranks) const {
  OperatorWork work;
  work.hbm_bytes = tokens * (ranks + 1) * partial_sum_bytes();
  return work;
}

// ---------------------------------------------------------------- sizes

double OperatorList::attention_weight_bytes(int group) const {
  const Architecture& a = architecture_;
  const double heads = heads_of(group);
  if (a.grouped() != nullptr) {
    return (grouped_projection_weights(heads) + heads * a.value_head_dim() * a.hidden) *
           projection_bytes();
  }
  // Keys and values are expanded, or absorbed, in BF16. Down-projections and indexer are whole.
  const LatentAttention& l = *a.latent();
  const double key_value = l.kv_lora_rank * heads * (l.nope_head_dim + l.v_head_dim);
  const double by_head = l.q_lora_rank * heads * l.key_head_dim() + heads * l.v_head_dim * a.hidden;
  const double whole =
      static_cast<double>(a.hidden) * (l.q_lora_rank + l.kv_lora_rank + l.rope_head_dim);
  return (whole + by_head + a.indexer_parameters()) * projection_bytes() + key_value * kBf16;
}

double OperatorList::prefill_attention_weight_bytes(int ranks) const {
  return attention_weight_bytes(architecture_.grouped() == nullptr ? 1 : ranks);
}

double OperatorList::hidden_bytes() const { return architecture_.hidden * projection_bytes(); }

double OperatorList::query_bytes() const {
  const Architecture& a = architecture_;
  const LatentAttention* l = a.latent();
  const int width = l != nullptr ? l->kv_lora_rank + l->rope_head_dim : a.grouped()->head_dim;
  return a.heads * width * kBf16;
}

double OperatorList::partial_output_bytes() const {
  const Architecture& a = architecture_;
  const LatentAttention* l = a.latent();
  const int width = l != nullptr ? l->kv_lora_rank : a.grouped()->head_dim;
  return a.heads * (width * kBf16 + kFp32);  // and the sum that it was divided by
}

double OperatorList::kv_bytes_per_token_layer() const {
  return static_cast<double>(
      architecture_.kv_bytes_per_token_layer(static_cast<int>(bytes_of(precision_.kv_cache))));
}

double OperatorList::kv_bytes_per_token(KvLayers of) const {
  return static_cast<double>(
      architecture_.kv_bytes_per_token(static_cast<int>(bytes_of(precision_.kv_cache)), of));
}

double OperatorList::latent_bytes() const {
  const LatentAttention& l = *architecture_.latent();
  return (l.q_lora_rank + l.kv_lora_rank + l.rope_head_dim) * kBf16;
}

double OperatorList::gathered_bytes() const {
  const Architecture& a = architecture_;
  if (a.grouped() != nullptr) return a.hidden * projection_bytes();
  return latent_bytes() + (a.indexer ? a.indexer->head_dim * kInt8 : 0);
}

double OperatorList::gathered_cached_bytes() const {
  const Architecture& a = architecture_;
  if (a.grouped() != nullptr) return 0;  // each rank holds the KV of its own heads
  return (a.latent()->kv_lora_rank + a.latent()->rope_head_dim) * kBf16 +
         (a.indexer ? a.indexer->head_dim * kInt8 : 0);
}

double OperatorList::chosen_bytes(double context) const {
  constexpr double kIndexBytes = 4, kMaskBytes = 1.0 / 8;
  if (!architecture_.indexer) return 0;
  return std::min(kIndexBytes * architecture_.indexer->top_k, kMaskBytes * context);
}

double OperatorList::partial_sum_bytes() const { return architecture_.hidden * kBf16; }

}  // namespace cmsim::model
