// What an operator asks of a die, and how long the die takes: a roofline with a streaming term.
//
// compute = ops / (peak * efficiency * share of cores), memory = bytes / (HBM bandwidth *
// efficiency),
// time = max(compute, memory) + stages * operator_overhead
// where a kernel that hides one behind the other in part has (compute^p + memory^p)^(1/p) in place
// of the maximum: attention, and on some devices GEMM.
// Work is per die and per call. Efficiencies are measured ones of the platform file; nothing here
// knows a model architecture.
#pragma once

#include <limits>

#include "cmsim/base/units.hpp"
#include "cmsim/hw/platform.hpp"

namespace cmsim::model {

struct OperatorWork {
  double int8_ops = 0;            // matrix operations (2 per multiply-add) on INT8 operands
  double bf16_ops = 0;            // the same on BF16 operands, GEMM
  double attention_ops = 0;       // BF16 operations of the attention kernel
  double attention_int8_ops = 0;  // and those on INT8 operands
  double hbm_bytes = 0;           // weights, KV cache and activations read and written
  int stages = 1;                 // dependent kernels, each with a start and a synchronisation

  OperatorWork& operator+=(const OperatorWork& other);
};

struct OperatorCost {
  Seconds compute = 0;  // on the given share of the matrix cores, at measured efficiency
  double hbm_bytes = 0;
  Seconds fixed = 0;  // overhead that neither cores nor bandwidth shorten
  double overlap = std::numeric_limits<double>::infinity();  // p above; infinite: the maximum

  /// Duration when `bandwidth` (bytes/s) of HBM is the operator's own.
  Seconds alone(BytesPerSecond bandwidth) const;
};

/// A counter's worth of `bytes` >= 0. Throws SimulationError when there are more.
Bytes whole_bytes(double bytes);

/// What a schedule can be made of: a positive bandwidth and costs >= 0, all finite. Throws
/// std::invalid_argument on anything else.
void check_cost(const OperatorCost& cost, BytesPerSecond bandwidth);

class Device {
 public:
  explicit Device(const hw::Platform& platform);

  /// `aic_share` in (0, 1]: the part of the die's cube cores given to the operator.
  OperatorCost cost(const OperatorWork& work, double aic_share) const;
  /// HBM bandwidth a streaming operator reaches, bytes/s.
  BytesPerSecond hbm_bandwidth() const { return hbm_bandwidth_; }

 private:
  OpsPerSecond int8_rate_, bf16_rate_, attention_rate_, attention_int8_rate_;
  BytesPerSecond hbm_bandwidth_;
  Seconds overhead_;
  double attention_overlap_, gemm_overlap_;
};

}  // namespace cmsim::model
