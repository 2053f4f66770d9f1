// The machine of a run as a drawing (hw/drawing.hpp), coloured by the load that its result tells.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cmsim/report/source.hpp"

namespace cmsim::report {

/// Dies by the share of the window in which the instance that has them runs, links by the mean use
/// of their class, the busier direction.
std::string draw(const Machine& machine, const nlohmann::ordered_json& result);

}  // namespace cmsim::report
