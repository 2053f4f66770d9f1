// What explains the metrics of a result: its breakdown, phases, links, queues, as groups of parts.
#pragma once

#include "cmsim/check/figures.hpp"

namespace cmsim::check {

/// A figure that is missing or no number is left out.
std::vector<PartGroup> groups_of(const nlohmann::json& result, Kind kind);

}  // namespace cmsim::check
