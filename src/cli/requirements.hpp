// What --require can ask of a result. The one place that knows where a result says it.
#pragma once

#include <string>
#include <vector>

#include "cmsim/metrics/result.hpp"

namespace cmsim::cli {

/// "slo", "stable", "finished".
std::vector<std::string> requirement_names();

/// Of the requirements named, those that the result does not meet, each with what it says instead:
/// "stable: the load is overloaded".
std::vector<std::string> unmet(const std::vector<std::string>& required,
                               const metrics::Result& result);

}  // namespace cmsim::cli
