#include "cmsim/model/expert_drift.hpp"

#include <algorithm>
#include <cmath>

namespace cmsim::model {

int Drift::level(Seconds age) const {
  return static_cast<int>(std::lround(std::sqrt(-std::expm1(-age / time_)) * kLevels));
}

double Drift::staleness(int level) const {
  const double way = static_cast<double>(level) / kLevels;
  return least_ + std::max(0.0, 1 - least_) * way * way;
}

}  // namespace cmsim::model
