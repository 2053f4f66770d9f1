#include "cmsim/study/sensitivity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

namespace cmsim::study {
namespace {

/// A number of the scenario and how it is written.
struct Changeable {
  double number = 0;
  std::string unit;
  bool whole = false;

  std::string text(double value) const {
    return whole ? fmt::format("{:.0f}", value) : fmt::format("{:.10g}{}", value, unit);
  }
  /// A step of one thousandth, or of a whole number by one, in parts of the number.
  double finest() const { return whole ? 1 / std::fabs(number) : 1e-3; }
};

/// None when it is no number or 0.
std::optional<Changeable> changeable(const nlohmann::json& value) {
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    const auto quantity = split_quantity(text);
    if (!quantity || !numeric_value(text) || quantity->number == 0) return std::nullopt;
    return Changeable{quantity->number, quantity->unit, false};
  }
  if (!value.is_number() || value.get<double>() == 0) return std::nullopt;
  return Changeable{value.get<double>(), "", value.is_number_integer()};
}

class Collector {
 public:
  Collector(const std::vector<Axis>& axes, const Accepts& accepts, Sensitivity& into)
      : axes_(axes), accepts_(accepts), into_(into) {}

  void collect(const nlohmann::json& value, const std::string& pointer) {
    const bool annotated = value.is_object() && value.contains("value");
    if (value.is_structured() && !annotated) {
      for (const auto& [flat, unused] : value.items()) {
        const auto inner = nlohmann::json::json_pointer() / flat;
        const nlohmann::json& item = value.is_array() ? value.at(std::stoul(flat)) : value.at(flat);
        collect(item, pointer + inner.to_string());
      }
      return;
    }
    const auto number = changeable(annotated ? value["value"] : value);
    if (!number) return;
    if (is_varied(pointer)) return into_.varied.push_back(pointer);
    const bool down = change(*number, pointer, -1), up = change(*number, pointer, 1);
    if (!down && !up) into_.fixed.push_back(pointer);
  }

 private:
  bool is_varied(const std::string& pointer) const {
    return std::ranges::any_of(axes_,
                               [&](const Axis& axis) { return is_within(pointer, axis.pointer); });
  }

  /// By the largest step up to kSensitivityStep that is accepted; false when none is.
  bool change(const Changeable& number, const std::string& pointer, int sign) {
    const double finest = number.finest();
    const auto assignment = [&](std::int64_t steps) {
      const double factor = 1 + sign * finest * static_cast<double>(steps);
      return pointer + "=" + number.text(number.number * factor);
    };
    // All up to `good` are accepted, `bad` is not.
    std::int64_t good = 0;
    std::int64_t bad = std::max<std::int64_t>(1, std::llround(kSensitivityStep / finest));
    if (accepts_(assignment(bad))) good = bad;
    while (good + 1 < bad) {
      const std::int64_t middle = (good + bad) / 2;
      (accepts_(assignment(middle)) ? good : bad) = middle;
    }
    if (good == 0) return false;
    into_.axis.values.push_back(assignment(good));
    into_.steps[into_.axis.values.back()] = sign * finest * static_cast<double>(good);
    return true;
  }

  const std::vector<Axis>& axes_;
  const Accepts& accepts_;
  Sensitivity& into_;
};

}  // namespace

Sensitivity sensitivity(const ConfigDocument& scenario, const std::string& prefix,
                        const std::vector<Axis>& axes, const Accepts& accepts) {
  const SourceLocation where{"--sensitivity " + prefix, 0, ""};
  for (const Axis& axis : axes) {
    if (!is_within(prefix, axis.pointer)) continue;
    throw ConfigError(where, fmt::format("the study varies {} by itself, whose values the change "
                                         "of a tenth would replace",
                                         axis.pointer));
  }
  Sensitivity found{{kAlternatives, {""}}, {}, {}, {}};
  try {
    const nlohmann::json::json_pointer pointer(prefix);
    if (scenario.value().contains(pointer)) {
      Collector(axes, accepts, found).collect(scenario.value().at(pointer), prefix);
    }
  } catch (const nlohmann::json::exception&) {
    throw ConfigError(where, "expected a JSON pointer, e.g. /platform");
  }
  if (found.axis.values.size() == 1) {
    throw ConfigError(where, found.fixed.empty() ? "the scenario has no number there"
                                                 : "no number there can be changed");
  }
  return found;
}

}  // namespace cmsim::study
