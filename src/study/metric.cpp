#include "cmsim/study/metric.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cmsim/base/error.hpp"

namespace cmsim::study {

using enum Better;

std::vector<Metric> headlines(const std::string& command) {
  if (command == "run") {
    return {{"goodput", "/window/request_goodput", "req/s", kHigher},
            {"output_throughput", "/window/output_throughput", "tok/s", kHigher},
            {"ttft", "/window/ttft_ms/mean", "ms", kLower},
            {"p99_ttft", "/window/ttft_ms/p99", "ms", kLower},
            {"tpot", "/window/tpot_ms/mean", "ms", kLower},
            {"p99_tpot", "/window/tpot_ms/p99", "ms", kLower},
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

Metric find_metric(const std::string& text, const std::string& command) {
  std::vector<std::string> names;
  for (const Metric& metric : headlines(command)) {
    if (metric.name == text || metric.pointer == text) return metric;
    names.push_back(metric.name);
  }
  const bool pointer = text.starts_with('/');
  try {
    if (pointer || (closest_match(text, names).empty() && !text.empty())) {
      const nlohmann::json::json_pointer checked(pointer ? text : "/" + text);
      return {text, checked.to_string()};
    }
  } catch (const nlohmann::json::exception&) {
  }
  throw ConfigError({"--metric " + text, 0, ""},
                    fmt::format("expected a JSON pointer into the result, a key of it, or one of "
                                "{}",
                                fmt::join(names, ", ")));
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
