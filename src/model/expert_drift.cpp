#include "cmsim/model/expert_drift.hpp"

#include <algorithm>
#include <cmath>

namespace cmsim::model {

int Drift::level(Seconds age) const {
  return static_cast<int>(std::lround(-std::expm1(-age / time_) * kLevels));
}

double Drift::staleness(int level) const {
  return least_ + std::max(0.0, 1 - least_) * level / kLevels;
}

}  // namespace cmsim::model
