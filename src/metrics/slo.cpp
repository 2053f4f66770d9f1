#include "cmsim/metrics/slo.hpp"

namespace cmsim::metrics {

const std::vector<SloSpec>& named_slos() {
  static const std::vector<SloSpec> kSets{
      {"cm384-50ms", kNoLimit, 0.050},    {"cm384-30ms", kNoLimit, 0.030},
      {"cm384-15ms", kNoLimit, 0.015},    {"mlperf-server", 2.0, 0.080},
      {"mlperf-interactive", 1.5, 0.015},
  };
  return kSets;
}

}  // namespace cmsim::metrics
