#include <fmt/format.h>

#include <cmath>

#include "arrivals.hpp"
#include "class_names.hpp"
#include "cmsim/work/trace_reader.hpp"
#include "cmsim/work/workload.hpp"

namespace cmsim::work {
namespace {

constexpr ArrivalKind kKinds[] = {ArrivalKind::kTrace,     ArrivalKind::kPoisson,
                                  ArrivalKind::kGamma,     ArrivalKind::kConstant,
                                  ArrivalKind::kAllAtOnce, ArrivalKind::kClosedLoop};

/// A rate may be written 12.5 or "12.5/s".
double read_rate(const ConfigNode& node) {
  if (!node.has("rate")) return 0;
  const nlohmann::json& value = node.raw().at("rate");
  const bool bare =
      (value.is_object() ? value.value("value", nlohmann::json()) : value).is_number();
  return bare ? node.number("rate", kLeastRate, kMostRate)
              : node.quantity("rate", Dimension::kRate, kLeastRate, kMostRate);
}

/// The one method is named so that another can be added.
Seconds read_resample(const ConfigNode& node) {
  node.choice("method", {"block_bootstrap"});
  const Seconds block = node.quantity("block", Dimension::kTime, 1e-3, kLatestArrival);
  node.close();
  return block;
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
  spec.burstiness = node.number_or("burstiness", spec.burstiness, 1e-4, 1e6);
  spec.concurrency = node.integer_or("concurrency", spec.concurrency, 1, kMostRequests);
  node.close();
  if (drawn && !node.has("rate")) {
    node.fail("rate", fmt::format("missing, arrivals of kind {} need a rate", name));
  }
  return spec;
}

/// Priorities and limits are not of this room.
std::vector<ClassShare> read_classes(const ConfigNode& node) {
  std::vector<ClassShare> classes;
  double sum = 0;
  std::size_t shares = 0;
  for (const std::string& name : node.keys()) {
    if (!can_name_a_class(name)) {
      node.fail(name, fmt::format("is no name of a class, allowed are {}", kInClassNames));
    }
    const ConfigNode own = node.child(name);
    ClassShare& one = classes.emplace_back(ClassShare{name});
    if (own.has("share")) {
      one.share = own.number("share", 0, 1);
      sum += *one.share;
      ++shares;
    }
    own.ignore("priority");
    own.ignore("slo");
    own.close();
  }
  if (classes.empty()) node.fail("has no class, expected at least one");
  if (shares > 0 && shares < classes.size()) {
    node.fail(
        fmt::format("{} of {} classes have a share, expected all or none", shares, classes.size()));
  }
  if (shares > 0 && std::abs(sum - 1) > 1e-6) {
    node.fail(fmt::format("the shares add up to {:g}, expected 1", sum));
  }
  return classes;
}

LengthSpec read_lengths(const ConfigNode& node, LengthSpec spec) {
  spec.mean = node.number_or("mean", spec.mean, 1, double{kMostTokens});
  spec.cv = node.number_or("cv", spec.cv, 0, 100);
  spec.minimum = node.integer_or("minimum", spec.minimum, 1, kMostTokens);
  spec.maximum = node.integer_or("maximum", spec.maximum, 1, kMostTokens);
  node.close();
  return spec;
}

SessionDraw read_draw(const ConfigNode& node) {
  SessionDraw draw;
  draw.turns = read_lengths(node.child_or_empty("turns"), draw.turns);
  draw.longest = node.integer_or("max_prompt", draw.longest, 1, kMostTokens);
  draw.shared_prompt = node.integer_or("shared_prompt", draw.shared_prompt, 0, draw.longest);
  draw.prompt.maximum = draw.longest - draw.shared_prompt;
  draw.prompt = read_lengths(node.child_or_empty("prompt"), draw.prompt);
  draw.output = read_lengths(node.child_or_empty("output"), draw.output);
  const ConfigNode think = node.child_or_empty("think_time");
  draw.think_mean = think.quantity_or("mean", Dimension::kTime, draw.think_mean, 0, kLatestArrival);
  draw.think_cv = think.number_or("cv", draw.think_cv, 0, 100);
  think.close();
  return draw;
}

/// Where the key is given turns wait, unless it says otherwise.
SessionSpec read_sessions(const ConfigNode& node) {
  SessionSpec spec;
  spec.wait = node.boolean_or("wait", true);
  spec.answer_time_per_token =
      node.quantity_or("answer_time_per_token", Dimension::kTime, 0, 0, kLatestArrival);
  const SessionDraw draw = read_draw(node);
  if (node.has("turns")) spec.draw = draw;
  for (const char* key : {"prompt", "output", "think_time", "shared_prompt", "max_prompt"}) {
    if (!spec.draw && node.has(key)) {
      node.fail(key, "describes sessions that are drawn, which need turns");
    }
  }
  node.close();
  return spec;
}

}  // namespace

WorkloadSpec read_workload(const ConfigNode& node) {
  WorkloadSpec spec;
  spec.trace = node.text_or("trace", "");
  if (spec.trace.empty() && node.has("trace")) node.fail("trace", "is empty, expected a path");
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
  if (node.has("max_bytes")) {
    spec.max_bytes = static_cast<Bytes>(node.quantity("max_bytes", Dimension::kBytes, 1, 1e15));
  }
  spec.spread_timestamps = node.boolean_or("spread_timestamps", spec.spread_timestamps);
  if (node.has("resample")) spec.resample_block = read_resample(node.child("resample"));
  spec.arrivals = read_arrivals(node.child_or_empty("arrivals"));
  if (node.has("sessions")) spec.sessions = read_sessions(node.child("sessions"));
  spec.sessions.stationary = node.text_or("population", "") == "stationary";
  if (node.has("classes")) spec.classes = read_classes(node.child("classes"));
  spec.requests = node.integer_or("requests", spec.requests, 1, kMostRequests);
  spec.prompt_length = node.integer_or("prompt_length", spec.prompt_length, 1, kMostTokens);
  spec.output_length = node.integer_or("output_length", spec.output_length, 1, kMostTokens);
  node.ignore("role");
  node.close();
  return spec;
}

}  // namespace cmsim::work
