#include "cmsim/model/operators.hpp"

#include "element_bytes.hpp"

namespace cmsim::model {
namespace {

constexpr double kScaleBytes = 512;  // P §4.2.1: 7 KB of INT8 and its scale are sent as 7.5 KB

}  // namespace

OperatorList::OperatorList(const Architecture& architecture, const PrecisionOptions& precision)
    : architecture_(architecture), precision_(precision) {}

void OperatorList::add_experts(OperatorWork& work, double rows, double weights_per_row) const {
  (precision_.experts == Precision::kInt8 ? work.int8_ops : work.bf16_ops) +=
      2 * rows * weights_per_row;
}

// ---------------------------------------------------------------- decode

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

OperatorWork OperatorList::dense_ffn(double tokens, double share) const {
  const Architecture& a = architecture_;
  OperatorWork work;
  add_experts(work, tokens, a.dense_parameters() * share);
  work.hbm_bytes = dense_weight_bytes() * share +
                   tokens * (2.0 * a.hidden * kBf16 + 3.0 * a.dense_intermediate * share * kBf16);
  work.stages = 4;  // norm and quantise | gate and up | activation and quantise | down
  return work;
}

OperatorWork OperatorList::lm_head(double tokens, double share) const {
  const Architecture& a = architecture_;
  OperatorWork work;
  work.bf16_ops = 2.0 * tokens * a.hidden * a.vocabulary * share;
  // Logits are written once and read twice (maximum and sum, then choice).
  work.hbm_bytes = share * (head_weight_bytes() + 3.0 * tokens * a.vocabulary * kFp32);
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

double OperatorList::expert_weight_bytes() const {
  return architecture_.expert_parameters() * bytes_of(precision_.experts);
}

double OperatorList::dense_weight_bytes() const {
  return architecture_.dense_parameters() * bytes_of(precision_.experts);
}

double OperatorList::router_weight_bytes() const {
  return architecture_.router_parameters() * kBf16;
}

double OperatorList::head_weight_bytes() const { return architecture_.head_parameters() * kBf16; }

double OperatorList::mtp_weight_bytes() const {
  return 2.0 * architecture_.hidden * architecture_.hidden * projection_bytes();
}

double OperatorList::dispatch_message_bytes() const {
  return precision_.dispatch == Precision::kInt8 ? architecture_.hidden * kInt8 + kScaleBytes
                                                 : architecture_.hidden * kBf16;
}

double OperatorList::combine_message_bytes() const { return architecture_.hidden * kBf16; }

}  // namespace cmsim::model
