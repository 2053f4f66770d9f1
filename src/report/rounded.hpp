// Numbers as short as a chart needs them.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

namespace cmsim::report {

/// Six significant digits; null for NaN.
nlohmann::ordered_json rounded(double value);
nlohmann::ordered_json rounded(const std::vector<double>& values);

}  // namespace cmsim::report
