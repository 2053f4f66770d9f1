#include "cmsim/model/operators.hpp"

namespace cmsim::model {
namespace {

constexpr double kBf16 = 2, kInt8 = 1, kFp32 = 4;
constexpr double kScaleBytes = 512;  // P §4.2.1: 7 KB of INT8 and its scale are sent as 7.5 KB

double bytes_of(Precision precision) { return precision == Precision::kInt8 ? kInt8 : kBf16; }

}  // namespace

OperatorList::OperatorList(const Architecture& architecture, const PrecisionOptions& precision)
    : architecture_(architecture), precision_(precision) {}

double OperatorList::projection_bytes() const { return bytes_of(precision_.attention_projections); }

void OperatorList::add_projection(OperatorWork& work, double tokens, double weights) const {
  (precision_.attention_projections == Precision::kInt8 ? work.int8_ops : work.bf16_ops) +=
      2 * tokens * weights;
}

void OperatorList::add_experts(OperatorWork& work, double rows, double weights_per_row) const {
  (precision_.experts == Precision::kInt8 ? work.int8_ops : work.bf16_ops) +=
      2 * rows * weights_per_row;
}

// ---------------------------------------------------------------- decode

OperatorWork OperatorList::mla_prolog(double tokens) const {
  const Architecture& a = architecture_;
  const double down =
      static_cast<double>(a.hidden) * (a.q_lora_rank + a.kv_lora_rank + a.rope_head_dim);
  const double up =
      static_cast<double>(a.q_lora_rank) * a.heads * (a.nope_head_dim + a.rope_head_dim);
  const double absorb = static_cast<double>(a.heads) * a.nope_head_dim * a.kv_lora_rank;
  OperatorWork work;
  add_projection(work, tokens, down + up);
  work.bf16_ops += 2 * tokens * absorb;  // batched product with the key up-projection, kept in BF16
  work.hbm_bytes = (down + up) * projection_bytes() + absorb * kBf16 +
                   tokens * (2.0 * a.hidden + a.heads * (a.kv_lora_rank + a.rope_head_dim)) * kBf16;
  work.stages =
      4;  // norm and quantise | down-projections | query up-projection | absorb, RoPE, cache
  return work;
}

OperatorWork OperatorList::fused_attention(double kv_tokens, double tokens_per_sequence) const {
  const Architecture& a = architecture_;
  const double score = a.kv_lora_rank + a.rope_head_dim, value = a.kv_lora_rank;
  OperatorWork work;
  work.mla_ops = 2.0 * a.heads * (score + value) * kv_tokens * tokens_per_sequence;
  work.hbm_bytes = kv_tokens * kv_bytes_per_token_layer();
  work.stages = 2;  // attention over split contexts | merge of the splits
  return work;
}

OperatorWork OperatorList::o_proj(double tokens) const {
  const Architecture& a = architecture_;
  const double absorb = static_cast<double>(a.heads) * a.kv_lora_rank * a.v_head_dim;
  const double output = static_cast<double>(a.heads) * a.v_head_dim * a.hidden;
  OperatorWork work;
  add_projection(work, tokens, output);
  work.bf16_ops += 2 * tokens * absorb;
  work.hbm_bytes = output * projection_bytes() + absorb * kBf16 +
                   tokens * (a.heads * (a.kv_lora_rank + a.v_head_dim) + a.hidden) * kBf16;
  work.stages = 3;  // value projection | quantise | output projection
  return work;
}

OperatorWork OperatorList::gate(double tokens) const {
  const Architecture& a = architecture_;
  OperatorWork work;
  work.bf16_ops = 2.0 * tokens * a.hidden * a.routed_experts;
  work.hbm_bytes = router_weight_bytes() + 3 * tokens * a.hidden * kBf16;
  work.stages = 2;  // norm and router | top-k
  return work;
}

OperatorWork OperatorList::expert_ffn(double rows, double experts) const {
  OperatorWork work = expert_up(rows, experts);
  work += expert_activation(rows);
  work += expert_down(rows, experts);
  return work;
}

OperatorWork OperatorList::dense_ffn(double tokens) const {
  const Architecture& a = architecture_;
  const double weights = 3.0 * a.hidden * a.dense_intermediate;
  OperatorWork work;
  add_experts(work, tokens, weights);
  work.hbm_bytes =
      dense_weight_bytes() + tokens * (2.0 * a.hidden * kBf16 + 3.0 * a.dense_intermediate * kBf16);
  work.stages = 4;  // norm and quantise | gate and up | activation and quantise | down
  return work;
}

OperatorWork OperatorList::lm_head(double tokens) const {
  const Architecture& a = architecture_;
  OperatorWork work;
  work.bf16_ops = 2.0 * tokens * a.hidden * a.vocabulary;
  // Logits are written once and read twice (maximum and sum, then choice).
  work.hbm_bytes = head_weight_bytes() + 3.0 * tokens * a.vocabulary * kFp32;
  work.stages = 3;  // norm | head | sampling
  return work;
}

OperatorWork OperatorList::mtp_projection(double tokens) const {
  const Architecture& a = architecture_;
  const double weights = 2.0 * a.hidden * a.hidden;
  OperatorWork work;
  add_projection(work, tokens, weights);
  work.hbm_bytes = mtp_weight_bytes() + 3.0 * tokens * a.hidden * kBf16;
  work.stages = 2;  // two norms | projection
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
  const double weights =
      static_cast<double>(a.hidden) * (a.q_lora_rank + a.kv_lora_rank + a.rope_head_dim);
  OperatorWork work;
  add_projection(work, tokens, weights);
  // The latents are written, then normalised: read and written again.
  work.stages = 2;
  work.hbm_bytes = weights * projection_bytes() + tokens * (a.hidden * kInt8 + 3 * latent_bytes());
  return work;
}

OperatorWork OperatorList::prefill_up_projection(double tokens, double context,
                                                 double heads) const {
  const Architecture& a = architecture_;
  const double query = a.q_lora_rank * heads * (a.nope_head_dim + a.rope_head_dim);
  const double key_value = a.kv_lora_rank * heads * (a.nope_head_dim + a.v_head_dim);
  OperatorWork work;
  add_projection(work, tokens, query);
  add_projection(work, context, key_value);
  work.hbm_bytes =
      (query + key_value) * projection_bytes() +
      tokens * (a.q_lora_rank * kBf16 + heads * (a.nope_head_dim + a.rope_head_dim) * kBf16) +
      context * (a.kv_lora_rank * kBf16 + heads * (a.nope_head_dim + a.v_head_dim) * kBf16);
  work.stages = 2;  // queries | keys and values
  return work;
}

OperatorWork OperatorList::prefill_rope(double tokens, double context, double heads) const {
  const Architecture& a = architecture_;
  // Queries are read and written; keys are put together per head: the part without RoPE is read,
  // the whole key written.
  OperatorWork work;
  work.hbm_bytes = kBf16 * heads *
                   (2 * tokens * (a.nope_head_dim + a.rope_head_dim) +
                    context * (2 * a.nope_head_dim + a.rope_head_dim));
  return work;
}

OperatorWork OperatorList::prefill_attention(double pairs, double tokens, double context,
                                             double heads) const {
  const Architecture& a = architecture_;
  const double score = a.nope_head_dim + a.rope_head_dim;
  OperatorWork work;
  work.mla_ops = 2.0 * heads * (score + a.v_head_dim) * pairs;
  work.hbm_bytes =
      heads * kBf16 * (tokens * (score + a.v_head_dim) + context * (score + a.v_head_dim));
  return work;
}

OperatorWork OperatorList::prefill_quantise_attention(double tokens) const {
  OperatorWork work;
  work.hbm_bytes = tokens * architecture_.heads * architecture_.v_head_dim * (kBf16 + kInt8);
  return work;
}

OperatorWork OperatorList::prefill_o_proj(double tokens) const {
  const Architecture& a = architecture_;
  const double weights = static_cast<double>(a.heads) * a.v_head_dim * a.hidden;
  OperatorWork work;
  add_projection(work, tokens, weights);
  work.hbm_bytes =
      weights * projection_bytes() + tokens * (a.heads * a.v_head_dim * kInt8 + a.hidden * kBf16);
  return work;
}

OperatorWork OperatorList::prefill_post_norm(double tokens) const {
  const Architecture& a = architecture_;
  OperatorWork work;  // add residual and norm, then the router
  work.bf16_ops = 2.0 * tokens * a.hidden * a.routed_experts;
  work.hbm_bytes = tokens * a.hidden * 5 * kBf16 + router_weight_bytes();
  work.stages = 2;
  return work;
}

OperatorWork OperatorList::dispatch_pack(double rows) const {
  OperatorWork work;  // read the BF16 row, write the message
  work.hbm_bytes = rows * (architecture_.hidden * kBf16 + dispatch_message_bytes());
  return work;
}

OperatorWork OperatorList::dispatch_unpack(double rows) const {
  OperatorWork work;  // gather received rows by expert
  work.hbm_bytes = 2 * rows * dispatch_message_bytes();
  return work;
}

OperatorWork OperatorList::expert_up(double rows, double experts) const {
  const Architecture& a = architecture_;
  const double weights = 2.0 * a.hidden * a.expert_intermediate;
  OperatorWork work;
  add_experts(work, rows, weights);
  work.hbm_bytes =
      experts * weights * bytes_of(precision_.experts) +
      rows * (a.hidden * bytes_of(precision_.experts) + 2.0 * a.expert_intermediate * kBf16);
  return work;
}

OperatorWork OperatorList::expert_activation(double rows) const {
  const Architecture& a = architecture_;
  OperatorWork work;
  work.hbm_bytes = rows * a.expert_intermediate * (2 * kBf16 + bytes_of(precision_.experts));
  return work;
}

OperatorWork OperatorList::expert_down(double rows, double experts) const {
  const Architecture& a = architecture_;
  const double weights = static_cast<double>(a.hidden) * a.expert_intermediate;
  OperatorWork work;
  add_experts(work, rows, weights);
  work.hbm_bytes = experts * weights * bytes_of(precision_.experts) +
                   rows * (a.expert_intermediate * bytes_of(precision_.experts) + a.hidden * kBf16);
  return work;
}

OperatorWork OperatorList::combine_pack(double rows) const {
  OperatorWork work;  // scatter expert outputs back to the order of their senders
  work.hbm_bytes = 2 * rows * combine_message_bytes();
  return work;
}

OperatorWork OperatorList::combine_reduce(double tokens, double rows) const {
  OperatorWork work;  // read every returned row, write the weighted sum
  work.hbm_bytes = (rows + tokens) * architecture_.hidden * kBf16;
  return work;
}

// ---------------------------------------------------------------- sizes

double OperatorList::attention_weight_bytes() const {
  const Architecture& a = architecture_;
  const double down =
      static_cast<double>(a.hidden) * (a.q_lora_rank + a.kv_lora_rank + a.rope_head_dim);
  const double up =
      static_cast<double>(a.q_lora_rank) * a.heads * (a.nope_head_dim + a.rope_head_dim);
  const double key_value =
      static_cast<double>(a.kv_lora_rank) * a.heads * (a.nope_head_dim + a.v_head_dim);
  const double output = static_cast<double>(a.heads) * a.v_head_dim * a.hidden;
  return (down + up + output) * projection_bytes() + key_value * kBf16;
}

double OperatorList::expert_weight_bytes() const {
  return 3.0 * architecture_.hidden * architecture_.expert_intermediate *
         bytes_of(precision_.experts);
}

double OperatorList::dense_weight_bytes() const {
  return 3.0 * architecture_.hidden * architecture_.dense_intermediate *
         bytes_of(precision_.experts);
}

double OperatorList::router_weight_bytes() const {
  return static_cast<double>(architecture_.hidden) * architecture_.routed_experts * kBf16;
}

double OperatorList::head_weight_bytes() const {
  return static_cast<double>(architecture_.hidden) * architecture_.vocabulary * kBf16;
}

double OperatorList::mtp_weight_bytes() const {
  return 2.0 * architecture_.hidden * architecture_.hidden * projection_bytes();
}

double OperatorList::kv_bytes_per_token_layer() const {
  return (architecture_.kv_lora_rank + architecture_.rope_head_dim) * bytes_of(precision_.kv_cache);
}

double OperatorList::dispatch_message_bytes() const {
  return precision_.dispatch == Precision::kInt8 ? architecture_.hidden * kInt8 + kScaleBytes
                                                 : architecture_.hidden * kBf16;
}

double OperatorList::combine_message_bytes() const { return architecture_.hidden * kBf16; }

double OperatorList::latent_bytes() const {
  return (architecture_.q_lora_rank + architecture_.kv_lora_rank + architecture_.rope_head_dim) *
         kBf16;
}

double OperatorList::cached_latent_bytes() const {
  return (architecture_.kv_lora_rank + architecture_.rope_head_dim) * kBf16;
}

}  // namespace cmsim::model
