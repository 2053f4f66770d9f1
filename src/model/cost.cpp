#include "cmsim/model/cost.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "cmsim/base/error.hpp"

namespace cmsim::model {

OperatorWork& OperatorWork::operator+=(const OperatorWork& other) {
  int8_ops += other.int8_ops;
  bf16_ops += other.bf16_ops;
  attention_ops += other.attention_ops;
  attention_int8_ops += other.attention_int8_ops;
  hbm_bytes += other.hbm_bytes;
  stages += other.stages;
  return *this;
}

Seconds OperatorCost::alone(BytesPerSecond bandwidth) const {
  const Seconds memory = hbm_bytes / bandwidth;
  const Seconds longer = std::max(compute, memory), shorter = std::min(compute, memory);
  if (std::isinf(overlap) || shorter <= 0) return longer + fixed;
  return longer * std::pow(1 + std::pow(shorter / longer, overlap), 1 / overlap) + fixed;
}

Bytes whole_bytes(double bytes) {
  if (bytes >= 0 && bytes < 0x1p63) return static_cast<Bytes>(bytes);
  throw SimulationError(fmt::format(
      "an iteration moves {:.3g} B on a die, a counter of bytes holds {:.3g}", bytes, 0x1p63));
}

void check_cost(const OperatorCost& cost, BytesPerSecond bandwidth) {
  const auto finite = [](double value) { return value >= 0 && std::isfinite(value); };
  if (finite(cost.compute) && finite(cost.hbm_bytes) && finite(cost.fixed) && finite(bandwidth) &&
      bandwidth > 0 && std::isfinite(cost.alone(bandwidth))) {
    return;
  }
  throw std::invalid_argument(
      fmt::format("operator cost: {} s of compute, {} B of HBM at {} B/s, {} s fixed; allowed are "
                  "finite numbers from 0",
                  cost.compute, cost.hbm_bytes, bandwidth, cost.fixed));
}

Device::Device(const hw::Platform& platform)
    : int8_rate_(platform.die.int8_peak * platform.operators.gemm_int8_efficiency),
      bf16_rate_(platform.die.bf16_peak * platform.operators.gemm_bf16_efficiency),
      attention_rate_(platform.die.bf16_peak * platform.operators.attention_efficiency),
      attention_int8_rate_(platform.die.int8_peak * platform.operators.attention_efficiency),
      hbm_bandwidth_(platform.die.hbm_bandwidth * platform.operators.hbm_efficiency),
      overhead_(platform.operators.operator_overhead),
      attention_overlap_(platform.operators.attention_overlap),
      gemm_overlap_(platform.operators.gemm_overlap) {}

OperatorCost Device::cost(const OperatorWork& work, double aic_share) const {
  OperatorCost cost;
  cost.compute =
      (work.int8_ops / int8_rate_ + work.bf16_ops / bf16_rate_ +
       work.attention_ops / attention_rate_ + work.attention_int8_ops / attention_int8_rate_) /
      aic_share;
  cost.hbm_bytes = work.hbm_bytes;
  cost.fixed = work.stages * overhead_;
  const bool attends = work.attention_ops + work.attention_int8_ops > 0;
  cost.overlap = attends ? attention_overlap_ : gemm_overlap_;
  return cost;
}

}  // namespace cmsim::model
