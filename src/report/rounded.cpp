#include "rounded.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

namespace cmsim::report {

nlohmann::ordered_json rounded(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (std::fabs(value) < 1e15 && value == std::floor(value)) {
    return static_cast<std::int64_t>(value);
  }
  return std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr);
}

nlohmann::ordered_json rounded(const std::vector<double>& values) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const double value : values) array.push_back(rounded(value));
  return array;
}

}  // namespace cmsim::report
