// Every number of a scenario changed alone by a tenth, down and up: which ones matter.
//
// It is a study with one axis whose values are whole assignments; its first value changes nothing,
// so that what each other changes is the change from the first value. A number that may not move
// that far moves as far as it may.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/study/axis.hpp"

namespace cmsim::study {

inline constexpr double kSensitivityStep = 0.1;

/// Whether the scenario can be loaded with the assignment.
using Accepts = std::function<bool(const std::string& assignment)>;

struct Sensitivity {
  Axis axis;
  std::map<std::string, double> steps;  // of an assignment: the change in parts of the number
  std::vector<std::string> fixed;       // pointers of numbers that can move neither way
  std::vector<std::string> varied;      // those that the study varies by itself
};

/// For each number above or below 0 at or under the prefix, plain, with a unit or with its origin:
/// the value changed by kSensitivityStep down and up, whole numbers by one at least; where that is
/// not accepted by the largest step that is, in thousandths or whole numbers. Numbers that `axes`
/// of the study vary have another value in every cell and are left out. Throws ConfigError when
/// there is none, or when an axis replaces all that is at the prefix.
Sensitivity sensitivity(const ConfigDocument& scenario, const std::string& prefix,
                        const std::vector<Axis>& axes, const Accepts& accepts);

}  // namespace cmsim::study
