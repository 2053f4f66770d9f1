// Where the time of one iteration goes: by operator, stream and layer, and what each mechanism
// costs.
//
// Times are seconds on the rank that paces the step. A slice is an interval of one track ("stream
// 0", "stream 1", "AIC", ...) of that rank; slices of one track do not overlap.
#pragma once

#include <string>
#include <vector>

#include "cmsim/base/units.hpp"
#include "cmsim/model/operators.hpp"

namespace cmsim::model {

/// One operator of a typical MoE layer, for one microbatch.
struct OperatorTime {
  std::string name;
  std::string track;
  Seconds alone = 0;     // with all of the HBM bandwidth
  Seconds duration = 0;  // beside the other streams
  double hbm_bytes = 0;
  std::string unit;     // of the device, or "exchange"
  OperatorWork work;    // what is asked of the cores; of an exchange nothing
  Seconds compute = 0;  // of `alone`: on the cores, or on the wire
  Seconds memory = 0;   // in HBM
  Seconds fixed = 0;    // starts and synchronisation
};

struct StepSlice {
  std::string name;
  std::string track;
  Seconds start = 0, duration = 0;
  int layer = 0;
  int microbatch = 0;
};

/// Time lost to a mechanism = duration - duration with the mechanism's cost taken away.
struct StepLosses {
  Seconds imbalance = 0;      // every rank has the mean expert load
  Seconds communication = 0;  // token exchange and collectives take no time
  Seconds launch = 0;         // no operator overhead, no graph launch, no wait for the host
  Seconds jitter = 0;         // ranks reach a barrier as their load says
};

struct StepBreakdown {
  Seconds duration = 0;
  int microbatches = 1;
  int attention_aic = 0, attention_aiv = 0;  // cores of stream 0 (decode with two streams)
  Seconds layer = 0;                         // a typical MoE layer, all microbatches
  Seconds dense_layers = 0, moe_layers = 0, mtp = 0, head = 0, host = 0;  // parts of the duration
  std::vector<OperatorTime> operators;
  std::vector<std::pair<std::string, Seconds>> streams;        // per microbatch and layer
  std::vector<std::pair<std::string, Seconds>> critical_path;  // by operator, over the whole step
  StepLosses losses;
  std::vector<StepSlice> slices;
};

}  // namespace cmsim::model
