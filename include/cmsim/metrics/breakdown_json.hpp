// A step's breakdown as JSON, the same in result.json and `cmsim step --json`; keys and formulas in
// docs/output.md. Slices are left out: they are for traces.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cmsim/model/breakdown.hpp"

namespace cmsim::metrics {

nlohmann::ordered_json to_json(const model::StepBreakdown& breakdown);

}  // namespace cmsim::metrics
