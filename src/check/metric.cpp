#include "cmsim/check/metric.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace cmsim::check {
namespace {

constexpr std::array<std::pair<Kind, std::string_view>, 4> kKinds{
    {{Kind::kRun, "run"},
     {Kind::kStep, "step"},
     {Kind::kCollective, "collective"},
     {Kind::kP2p, "p2p"}}};

bool is_pointer(std::string_view text) {
  if (!text.starts_with('/')) return false;
  try {
    const nlohmann::json::json_pointer pointer{std::string(text)};
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

}  // namespace

std::string to_string(Kind kind) {
  return std::string(std::ranges::find(kKinds, kind, &decltype(kKinds)::value_type::first)->second);
}

std::optional<Kind> kind_named(std::string_view command) {
  const auto found = std::ranges::find(kKinds, command, &decltype(kKinds)::value_type::second);
  return found == kKinds.end() ? std::nullopt : std::optional(found->first);
}

std::string to_string(Direction direction) {
  return direction == Direction::kHigher  ? "higher"
         : direction == Direction::kLower ? "lower"
                                          : "both";
}

std::vector<Metric> headlines(Kind kind) {
  constexpr auto higher = Direction::kHigher, lower = Direction::kLower, both = Direction::kBoth;
  switch (kind) {
    case Kind::kRun:
      return {{"goodput", "/request_goodput", "1/s", higher, ""},
              {"output_throughput", "/output_throughput", "tokens/s", higher, "decode"},
              {"tokens_per_s_per_npu", "/decode_tokens_per_second_per_npu", "tokens/s", higher,
               "decode"},
              {"prefill_tokens_per_s_per_npu", "/prefill_tokens_per_second_per_npu", "tokens/s",
               higher, "prefill"},
              {"ttft", "/mean_ttft_ms", "ms", lower, ""},
              {"p99_ttft", "/p99_ttft_ms", "ms", lower, ""},
              {"tpot", "/mean_tpot_ms", "ms", lower, "decode"},
              {"p99_tpot", "/p99_tpot_ms", "ms", lower, "decode"},
              {"verdict", "/load/verdict", "", both, ""},
              {"slo", "/slo/met_at_p99", "", higher, ""}};
    case Kind::kStep:
      return {{"duration", "/duration_us", "us", lower, ""},
              {"layer", "/layer_us", "us", lower, ""}};
    case Kind::kCollective:
      return {{"latency", "/latency_us", "us", lower, ""},
              {"bandwidth", "/bandwidth_gb_per_s", "GB/s", higher, ""}};
    case Kind::kP2p:
      return {{"time", "/time_us", "us", lower, ""},
              {"bandwidth", "/bandwidth_gb_per_s", "GB/s", higher, ""},
              {"latency", "/latency_us", "us", lower, ""}};
  }
  return {};
}

std::optional<Metric> metric_named(Kind kind, std::string_view text) {
  for (const Metric& metric : headlines(kind)) {
    if (metric.name == text || metric.pointer == text) return metric;
  }
  if (!is_pointer(text)) return std::nullopt;
  return Metric{std::string(text), std::string(text), "", Direction::kBoth, ""};
}

}  // namespace cmsim::check
