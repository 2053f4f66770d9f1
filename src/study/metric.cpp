#include "cmsim/study/metric.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cmsim/base/error.hpp"
#include "cmsim/metrics/result.hpp"

namespace cmsim::study {

using enum Better;

namespace {

/// Objects whose keys are what came up in a run.
constexpr std::array<std::string_view, 6> kByName = {"by_reason", "phases",     "queues",
                                                     "transfers", "streams_us", "critical_path_us"};

/// Has everything that a result can have a fixed place for.
metrics::Result full_result() {
  metrics::Result result;
  for (metrics::Figures* figures : {&result.measured, &result.whole_run}) {
    figures->prefill.emplace();
    figures->decode.emplace().prompts.emplace();
    figures->proportion.emplace();
    for (metrics::Distribution* of :
         {&figures->ttft_ms, &figures->tpot_ms, &figures->itl_ms, &figures->e2el_ms,
          &figures->prefill->iteration_ms, &figures->decode->iteration_ms}) {
      of->count = 1;
      of->percentiles.resize(result.arguments.percentiles.size());
    }
  }
  result.cache.ssd_capacity_blocks = 1;
  result.load.prefill.emplace();
  result.load.decode.emplace();
  result.decode_breakdown.emplace();
  result.prefill_breakdown.emplace();
  return result;
}

/// Whether a result like this one may have a value at the pointer.
bool may_have(const nlohmann::json& result, const std::string& pointer) {
  nlohmann::json::json_pointer place(pointer);
  if (result.contains(place)) return !result.at(place).is_structured();
  while (!place.empty() && !result.contains(place)) place.pop_back();
  const nlohmann::json& known = result.at(place);
  const bool by_name = !place.empty() && std::ranges::find(kByName, place.back()) != kByName.end();
  return known.is_null() || known.is_array() || by_name || (known.is_object() && known.empty());
}

/// "; did you mean ...?" of what is closest among the places of the result, or of its keys and the
/// headlines when the text is no pointer.
std::string meant(const std::string& text, const nlohmann::json& result,
                  const std::string& command) {
  std::vector<std::string> candidates;
  if (text.starts_with('/')) {
    if (!result.is_null()) {
      const nlohmann::json flat = result.flatten();
      for (const auto& [pointer, value] : flat.items()) candidates.push_back(pointer);
    }
  } else {
    for (const Metric& metric : headlines(command)) candidates.push_back(metric.name);
    if (result.is_object()) {
      for (const auto& [key, value] : result.items()) candidates.push_back(key);
    }
  }
  const std::string close_one = closest_match(text, candidates);
  return close_one.empty() ? "" : fmt::format("; did you mean {}?", close_one);
}

}  // namespace

std::vector<Metric> headlines(const std::string& command) {
  if (command == "run") {
    return {{"goodput", "/window/request_goodput", "req/s", kHigher},
            {"output_throughput", "/window/output_throughput", "tok/s", kHigher},
            {"ttft", "/window/ttft_ms/mean", "ms", kLower},
            {"p99_ttft", "/window/ttft_ms/p99", "ms", kLower},
            {"tpot", "/window/tpot_ms/mean", "ms", kLower},
            {"p99_tpot", "/window/tpot_ms/p99", "ms", kLower},
            {"e2e", "/window/e2el_ms/mean", "ms", kLower},
            {"p99_e2e", "/window/e2el_ms/p99", "ms", kLower},
            {"prefill_tokens_per_s_per_npu", "/window/prefill_tokens_per_second_per_npu", "tok/s",
             kHigher},
            {"tokens_per_s_per_npu", "/window/decode_tokens_per_second_per_npu", "tok/s", kHigher},
            {"slo", "/window/slo/met_at_p99", "", kHigher},
            {"verdict", "/load/verdict", "", kUnknown}};
  }
  if (command == "step") {
    return {{"duration", "/duration_us", "us", kLower},
            {"layer", "/layer_us", "us", kLower},
            {"imbalance", "/losses/imbalance/share", "", kLower},
            {"communication", "/losses/communication/share", "", kLower}};
  }
  if (command == "collective") {
    return {{"latency", "/latency_us", "us", kLower},
            {"bandwidth", "/bandwidth_gb_per_s", "GB/s", kHigher},
            {"bound_by", "/bound_by", "", kUnknown}};
  }
  return {{"time", "/time_us", "us", kLower},
          {"bandwidth", "/bandwidth_gb_per_s", "GB/s", kHigher}};
}

bool is_headline(const Metric& metric, const std::string& command) {
  const std::vector<Metric> usual = headlines(command);
  return std::ranges::find(usual, metric.pointer, &Metric::pointer) != usual.end();
}

Metric find_metric(const std::string& text, const std::string& command, const std::string& origin) {
  std::vector<std::string> names;
  for (const Metric& metric : headlines(command)) {
    if (metric.name == text || metric.pointer == text) return metric;
    names.push_back(metric.name);
  }
  const bool pointer = text.starts_with('/');
  const nlohmann::json shape = shape_of(command);
  const auto is_key = [&] {
    return shape.is_null() ? closest_match(text, names).empty() && !text.empty()
                           : shape.contains(text);
  };
  try {
    if (pointer || is_key()) {
      const nlohmann::json::json_pointer checked(pointer ? text : "/" + text);
      return {text, checked.to_string()};
    }
  } catch (const nlohmann::json::exception&) {
  }
  throw ConfigError({origin + " " + text, 0, ""},
                    fmt::format("expected a JSON pointer into the result, a key of it, or one of "
                                "{}{}",
                                fmt::join(names, ", "), meant(text, shape, command)));
}

nlohmann::json shape_of(const std::string& command) {
  return command == "run" ? nlohmann::json(metrics::to_json(full_result())) : nlohmann::json();
}

void check_metrics(const nlohmann::json& result, const std::vector<Metric>& metrics,
                   const std::string& command) {
  for (const Metric& metric : metrics) {
    if (is_headline(metric, command) || may_have(result, metric.pointer)) continue;
    throw ConfigError({"metric " + metric.name, 0, ""},
                      fmt::format("no result has a number or a text at {}{}", metric.pointer,
                                  meant(metric.name, result, command)));
  }
}

Value value_of(const nlohmann::json& result, const Metric& metric) {
  const nlohmann::json::json_pointer pointer(metric.pointer);
  if (!result.contains(pointer)) return Nothing{};
  const nlohmann::json& value = result.at(pointer);
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_string()) return value.get<std::string>();
  return Nothing{};
}

}  // namespace cmsim::study
