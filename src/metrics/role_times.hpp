// How many NPUs have which role, over a part of a run. Internal to metrics/.
#pragma once

#include <span>

#include "cmsim/metrics/result.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

/// Of events in the order of their dates.
ProportionResult proportion_of(std::span<const serve::RoleEvent> events, Seconds from, Seconds to);

}  // namespace cmsim::metrics
