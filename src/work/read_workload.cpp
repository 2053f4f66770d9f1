#include <fmt/format.h>

#include "arrivals.hpp"
#include "cmsim/work/trace_reader.hpp"
#include "cmsim/work/workload.hpp"

namespace cmsim::work {
namespace {

constexpr ArrivalKind kKinds[] = {ArrivalKind::kTrace,     ArrivalKind::kPoisson,
                                  ArrivalKind::kGamma,     ArrivalKind::kConstant,
                                  ArrivalKind::kAllAtOnce, ArrivalKind::kClosedLoop};

/// A path in a scenario is relative to the scenario; one from --set, which the user typed in a
/// shell, may also be relative to where the shell stands.
std::string resolve(const std::string& path, const std::filesystem::path& base) {
  if (path.empty() || std::filesystem::path(path).is_absolute()) return path;
  const std::filesystem::path beside = base / path;
  std::error_code error;
  if (!std::filesystem::exists(beside, error) && std::filesystem::exists(path, error)) return path;
  return beside.lexically_normal().string();
}

/// A rate may be written 12.5 or "12.5/s".
double read_rate(const ConfigNode& node) {
  if (!node.has("rate")) return 0;
  const nlohmann::json& value = node.raw().at("rate");
  const bool bare =
      (value.is_object() ? value.value("value", nlohmann::json()) : value).is_number();
  return bare ? node.number("rate", 0, 1e9) : node.quantity("rate", Dimension::kRate, 0, 1e9);
}

ArrivalSpec read_arrivals(const ConfigNode& node) {
  std::vector<std::string> names;
  for (const ArrivalKind kind : kKinds) names.emplace_back(name_of(kind));
  const std::string name = node.choice_or("kind", names.front(), names);
  ArrivalSpec spec;
  for (const ArrivalKind kind : kKinds) {
    if (name_of(kind) == name) spec.kind = kind;
  }
  const bool drawn = spec.kind == ArrivalKind::kPoisson || spec.kind == ArrivalKind::kGamma ||
                     spec.kind == ArrivalKind::kConstant;
  spec.rate = read_rate(node);
  if (drawn && !(spec.rate > 0)) {
    node.fail("rate", fmt::format("arrivals of kind {} need a rate above 0", name));
  }
  spec.burstiness = node.number_or("burstiness", spec.burstiness, 1e-4, 1e6);
  spec.concurrency = node.integer_or("concurrency", spec.concurrency, 1);
  node.close();
  return spec;
}

}  // namespace

WorkloadSpec read_workload(const ConfigNode& node, const std::filesystem::path& base_directory) {
  constexpr std::int64_t kMostTokens = INT32_MAX;
  WorkloadSpec spec;
  spec.trace = resolve(node.text_or("trace", ""), base_directory);
  std::vector<std::string> formats = known_formats();
  formats.insert(formats.begin(), "auto");
  spec.format = node.choice_or("format", spec.format, formats);
  if (node.has("block_size")) {
    spec.block_size = static_cast<int>(node.integer("block_size", 1, 1 << 20));
  }
  spec.time_scale = node.number_or("time_scale", spec.time_scale, 1e-6, 1e6);
  spec.start = node.quantity_or("start", Dimension::kTime, spec.start);
  spec.end = node.quantity_or("end", Dimension::kTime, spec.end);
  spec.max_requests = node.integer_or("max_requests", spec.max_requests, 1);
  spec.spread_timestamps = node.boolean_or("spread_timestamps", spec.spread_timestamps);
  spec.arrivals = read_arrivals(node.child_or_empty("arrivals"));
  for (const std::string_view key : {"requests", "prompt_length", "output_length"}) {
    if (node.has(key) && !spec.trace.empty()) {
      node.fail(key, "is given together with a trace, which has requests and lengths of its own");
    }
  }
  spec.requests = node.integer_or("requests", spec.requests, 1, kMostTokens);
  spec.prompt_length = node.integer_or("prompt_length", spec.prompt_length, 1, kMostTokens);
  spec.output_length = node.integer_or("output_length", spec.output_length, 1, kMostTokens);
  node.ignore("role");
  node.close();
  return spec;
}

}  // namespace cmsim::work
