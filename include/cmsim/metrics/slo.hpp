// What counts as good service: limits on TTFT and TPOT of a request, in seconds.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "cmsim/base/units.hpp"

namespace cmsim::metrics {

inline constexpr Seconds kNoLimit = std::numeric_limits<double>::infinity();

struct SloSpec {
  std::string name = "custom";
  Seconds ttft = 2.0;
  Seconds tpot = 0.050;
};

/// The published sets that /slo accepts by name: CM384 (P §5.1) and MLPerf Inference deepseek-r1.
const std::vector<SloSpec>& named_slos();

}  // namespace cmsim::metrics
