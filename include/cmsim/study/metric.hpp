// What a study looks at in a result: a JSON pointer with a name, a unit and a direction.
//
// The headlines of each command are listed in metric.cpp and nowhere else. A number is as in the
// result, in its unit.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

namespace cmsim::study {

enum class Better { kHigher, kLower, kUnknown };

struct Metric {
  std::string name, pointer;
  std::string unit = {};
  Better better = Better::kUnknown;
};

/// A headline by its name, a pointer ("/window/kv/peak_occupancy"), or a key of the result
/// ("mean_ttft_ms"). Throws ConfigError naming the headlines of the command; `origin` is the option
/// that has the text.
Metric find_metric(const std::string& text, const std::string& command,
                   const std::string& origin = "--metric");

/// What is shown when nothing is said.
std::vector<Metric> headlines(const std::string& command);
/// By its pointer, whatever it is called.
bool is_headline(const Metric& metric, const std::string& command);

/// What is known of a result of the command before there is one, null where more may be; null when
/// nothing is.
nlohmann::json shape_of(const std::string& command);

/// Throws ConfigError when no result like this one has a number, a truth or a text at one of the
/// metrics: headlines, and what only some results have (names of phases, say), are never refused.
void check_metrics(const nlohmann::json& result, const std::vector<Metric>& metrics,
                   const std::string& command);

struct Nothing {};
using Value = std::variant<Nothing, double, bool, std::string>;

/// Nothing when the result has no such place, or null there.
Value value_of(const nlohmann::json& result, const Metric& metric);

}  // namespace cmsim::study
