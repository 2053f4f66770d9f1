// Every number of a scenario changed alone by a tenth, up and down: which ones matter.
//
// It is a study with one axis whose values are whole assignments; its first value changes nothing,
// so that what each other changes is the change from the first value.
#pragma once

#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/study/axis.hpp"

namespace cmsim::study {

inline constexpr double kSensitivityStep = 0.1;

/// For each number above or below 0 at or under the prefix, plain, with a unit or with its origin:
/// the value times 0.9 and times 1.1; whole numbers by one at least. Throws ConfigError when there
/// is none.
Axis sensitivity_axis(const ConfigDocument& scenario, const std::string& prefix);

}  // namespace cmsim::study
