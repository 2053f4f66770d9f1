#include "cmsim/study/sensitivity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace cmsim::study {
namespace {

using nlohmann::json;

/// The value changed by the factor, as --set takes it; "" when it is no number or 0.
std::string changed(const json& value, double factor) {
  if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    if (number == 0) return "";
    const double far =
        std::max(1.0, std::round(std::fabs(static_cast<double>(number)) * kSensitivityStep));
    return std::to_string(number + static_cast<std::int64_t>(factor < 1 ? -far : far));
  }
  if (value.is_number()) {
    return value.get<double>() == 0 ? "" : fmt::format("{:.10g}", value.get<double>() * factor);
  }
  if (!value.is_string()) return "";
  const std::string text = value.get<std::string>();
  const auto quantity = split_quantity(text);
  if (!quantity || !numeric_value(text) || quantity->number == 0) return "";
  return fmt::format("{:.10g}{}", quantity->number * factor, quantity->unit);
}

void collect(const json& value, const std::string& pointer, std::vector<std::string>& values) {
  const bool annotated = value.is_object() && value.contains("value");
  if (value.is_structured() && !annotated) {
    for (const auto& [flat, unused] : value.items()) {
      const json::json_pointer inner = json::json_pointer() / flat;
      const json& item = value.is_array() ? value.at(std::stoul(flat)) : value.at(flat);
      collect(item, pointer + inner.to_string(), values);
    }
    return;
  }
  const json& number = annotated ? value["value"] : value;
  for (const double factor : {1 - kSensitivityStep, 1 + kSensitivityStep}) {
    const std::string text = changed(number, factor);
    if (!text.empty()) values.push_back(pointer + "=" + text);
  }
}

}  // namespace

Axis sensitivity_axis(const ConfigDocument& scenario, const std::string& prefix) {
  const SourceLocation where{"--sensitivity " + prefix, 0, ""};
  Axis axis{kAlternatives, {""}};
  try {
    const json::json_pointer pointer(prefix);
    if (scenario.value().contains(pointer)) {
      collect(scenario.value().at(pointer), prefix, axis.values);
    }
  } catch (const json::exception&) {
    throw ConfigError(where, "expected a JSON pointer, e.g. /platform");
  }
  if (axis.values.size() == 1) {
    throw ConfigError(where, "the scenario has no number there");
  }
  return axis;
}

}  // namespace cmsim::study
