#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "arrivals.hpp"
#include "cmsim/base/error.hpp"
#include "cmsim/work/trace_reader.hpp"
#include "cmsim/work/workload.hpp"
#include "resample.hpp"
#include "sessions.hpp"

namespace cmsim::work {
namespace {

[[noreturn]] void fail(const std::string& pointer, const std::string& message) {
  throw ConfigError({.file = "", .line = 0, .pointer = "/workload/" + pointer}, message);
}

/// Turns keep their distance from each other, whatever the arrivals of the first ones.
bool keeps_sessions(const WorkloadSpec& spec) {
  return spec.sessions.wait || spec.sessions.draw.has_value();
}

bool cuts_time(const WorkloadSpec& spec) { return spec.start > 0 || spec.end < 1e300; }

/// The parts of a spec that contradict each other; none is quietly without effect.
void check(const WorkloadSpec& spec) {
  if (!(spec.time_scale > 0)) {
    fail("time_scale", fmt::format("found {}, allowed is above 0", spec.time_scale));
  }
  if (spec.start >= spec.end) {
    fail("end", fmt::format("{} s is not after start ({} s)", spec.end, spec.start));
  }
  if (spec.arrivals.kind != ArrivalKind::kTrace && spec.time_scale != 1) {
    fail("time_scale", fmt::format("has no effect with arrivals of kind {}, use arrivals/rate",
                                   name_of(spec.arrivals.kind)));
  }
  if (spec.arrivals.kind != ArrivalKind::kTrace && spec.spread_timestamps) {
    fail("spread_timestamps",
         fmt::format("has no effect with arrivals of kind {}", name_of(spec.arrivals.kind)));
  }
  if (spec.arrivals.kind == ArrivalKind::kClosedLoop && spec.arrivals.concurrency < 1) {
    fail("arrivals/concurrency",
         fmt::format("found {}, a closed loop needs at least 1", spec.arrivals.concurrency));
  }
  if (spec.arrivals.kind == ArrivalKind::kClosedLoop && keeps_sessions(spec)) {
    fail("arrivals/kind",
         "is closed_loop, which sends the next request whosever turn it is; with sessions allowed "
         "are trace, poisson, gamma, constant, all_at_once");
  }
  if (spec.trace.empty()) {
    const auto need = [](const char* key, std::int64_t found, std::int64_t most) {
      if (found >= 1 && found <= most) return;
      fail(key, fmt::format("found {}, without a trace 1 to {} is needed", found, most));
    };
    need("requests", spec.requests, kMostRequests);
    if (!spec.sessions.draw) {
      need("prompt_length", spec.prompt_length, kMostTokens);
      need("output_length", spec.output_length, kMostTokens);
    }
    if (spec.arrivals.kind == ArrivalKind::kTrace) {
      fail("arrivals/kind",
           "is trace, but there is no trace; allowed are poisson, gamma, constant, "
           "all_at_once, closed_loop");
    }
    if (cuts_time(spec)) fail("start", "start and end cut a trace, and there is none");
    if (spec.max_requests != INT64_MAX) {
      fail("max_requests", "cuts a trace, and there is none; use requests");
    }
  } else if (spec.sessions.draw) {
    fail("sessions/turns", "draws sessions, and there is a trace; allowed is one of them");
  } else if (spec.requests != 0 || spec.prompt_length != 0 || spec.output_length != 0) {
    fail("trace",
         "is given together with requests, prompt_length or output_length; allowed is "
         "either a trace (cut by max_requests) or these three");
  }
}

Trace fixed_length_requests(const WorkloadSpec& spec) {
  Trace trace;
  trace.name = fmt::format("{} x {}+{}", spec.requests, spec.prompt_length, spec.output_length);
  trace.format = "fixed";
  trace.has_arrivals = false;
  trace.rows.assign(static_cast<std::size_t>(spec.requests),
                    {.prompt_tokens = static_cast<std::int32_t>(spec.prompt_length),
                     .output_tokens = static_cast<std::int32_t>(spec.output_length)});
  return trace;
}

Trace generate(const WorkloadSpec& spec, std::uint64_t seed) {
  if (!spec.sessions.draw) return fixed_length_requests(spec);
  return draw_sessions(*spec.sessions.draw, spec.requests, spec.block_size.value_or(kDrawnBlock),
                       spec.sessions.answer_time_per_token, seed);
}

Trace open_trace(const WorkloadSpec& spec, std::uint64_t seed) {
  Trace trace = read_trace(spec.trace, {.format = spec.format,
                                        .block_size = spec.block_size,
                                        .start = spec.start,
                                        .end = spec.end,
                                        .max_requests = spec.max_requests,
                                        .max_bytes = spec.max_bytes,
                                        .seed = seed});
  if (!trace.has_arrivals && cuts_time(spec)) {
    fail("start", "start and end need time stamps, and the trace has lengths only");
  }
  if (!trace.has_arrivals && spec.arrivals.kind == ArrivalKind::kTrace) {
    fail("arrivals/kind",
         "is trace, but the trace has lengths only; allowed are poisson, gamma, "
         "constant, all_at_once, closed_loop");
  }
  if (trace.rows.empty()) {
    throw ConfigError(
        {.file = spec.trace, .line = 0, .pointer = ""},
        cuts_time(spec)
            ? fmt::format("has no request between start ({} s) and end ({} s)", spec.start,
                          spec.end)
            : fmt::format("has no request: {} rows have {}", trace.dropped, trace.dropped_reason));
  }
  if (spec.block_size && !trace.has_blocks()) {
    fail("block_size", "has no effect on a trace without block ids");
  }
  if (spec.sessions.wait && !(trace.has_arrivals && name_sessions(trace))) {
    fail("sessions/wait",
         fmt::format("needs {}, and {} has none",
                     trace.has_arrivals ? "sessions or block ids, which tell them" : "time stamps",
                     trace.name));
  }
  return trace;
}

/// Rows that share a time stamp are spaced evenly up to the next stamp; the last ones as those
/// before.
void spread(Trace& trace) {
  auto& rows = trace.rows;
  Seconds step_to_next = 0;
  for (std::size_t first = 0; first < rows.size();) {
    std::size_t next = first;
    const Seconds stamp = rows[first].arrival;
    while (next < rows.size() && rows[next].arrival == stamp) ++next;
    if (next < rows.size()) step_to_next = rows[next].arrival - stamp;
    const auto shared = static_cast<double>(next - first);
    for (std::size_t i = first; i < next; ++i) {
      rows[i].arrival = stamp + step_to_next * static_cast<double>(i - first) / shared;
    }
    first = next;
  }
}

/// By how much faster a trace arrives than it was recorded.
double time_scale_of(const Trace& trace, const WorkloadSpec& spec) {
  if (spec.arrivals.rate <= 0) return spec.time_scale;
  const Seconds span = trace.rows.back().arrival - trace.rows.front().arrival;
  if (span > 0) {
    return spec.time_scale * spec.arrivals.rate * span / static_cast<double>(trace.rows.size() - 1);
  }
  fail("arrivals/rate", "the requests of the trace all arrive at once, they cannot be stretched");
}

/// Drawn arrivals: of every request, or where sessions are kept of first turns, whose rate is such
/// that all requests together have the one asked for.
void draw_arrivals(Trace& trace, const WorkloadSpec& spec, std::uint64_t seed) {
  ArrivalSpec arrivals = spec.arrivals;
  if (keeps_sessions(spec)) {
    const auto starts = std::ranges::count(predecessors(trace), -1);
    arrivals.rate *= static_cast<double>(starts) / static_cast<double>(trace.rows.size());
  }
  ArrivalProcess process(arrivals, "/workload/arrivals", RandomStream(seed, "work/arrivals"));
  if (keeps_sessions(spec)) {
    redate(
        trace, [&] { return process.next(); }, spec.sessions.stationary);
  } else {
    for (TraceRow& row : trace.rows) row.arrival = process.next();
  }
}

void set_arrivals(Trace& trace, const WorkloadSpec& spec, std::uint64_t seed) {
  double time_scale = 1;
  switch (spec.arrivals.kind) {
    case ArrivalKind::kTrace:
      for (TraceRow& row : trace.rows) row.arrival -= spec.start;
      if (spec.spread_timestamps) spread(trace);
      time_scale = time_scale_of(trace, spec);
      if (spec.resample_block > 0) {
        trace = resample(trace, spec.resample_block, RandomStream(seed, "work/resample"));
      }
      break;
    case ArrivalKind::kAllAtOnce:
    case ArrivalKind::kClosedLoop:
      if (keeps_sessions(spec)) {
        redate(
            trace, [] { return 0.0; }, false);
      } else {
        for (TraceRow& row : trace.rows) row.arrival = 0;
      }
      break;
    default:
      draw_arrivals(trace, spec, seed);
  }
  if (spec.sessions.wait) let_turns_wait(trace, spec.sessions.answer_time_per_token);
  for (TraceRow& row : trace.rows) row.arrival /= time_scale;
  trace.has_arrivals = true;
}

std::string listed(const std::vector<std::string>& names) {
  return fmt::format("\"{}\"", fmt::join(names, "\", \""));
}

/// The class of a row by its name in the trace.
void keep_classes(Trace& trace, std::vector<std::string> names) {
  if (trace.classes.empty()) {
    fail("classes", fmt::format("have no shares, and {} does not say of which class a request is",
                                trace.name));
  }
  std::vector<std::int32_t> places;
  for (const std::string& name : trace.classes) {
    const auto place = std::ranges::find(names, name);
    if (place == names.end()) {
      fail("classes", fmt::format("{} has requests of class \"{}\", given are {}", trace.name, name,
                                  listed(names)));
    }
    places.push_back(static_cast<std::int32_t>(place - names.begin()));
  }
  for (TraceRow& row : trace.rows) {
    row.request_class = places[static_cast<std::size_t>(row.request_class)];
  }
  trace.classes = std::move(names);
}

void draw_classes(Trace& trace, const std::vector<ClassShare>& classes,
                  std::vector<std::string> names, RandomStream random) {
  for (TraceRow& row : trace.rows) {
    double left = random.uniform();
    row.request_class = 0;
    for (const ClassShare& one : classes) {
      left -= *one.share;
      if (left < 0 || row.request_class + 1 == static_cast<std::int32_t>(classes.size())) break;
      ++row.request_class;
    }
  }
  trace.classes = std::move(names);
}

void set_classes(Trace& trace, const WorkloadSpec& spec, std::uint64_t seed) {
  if (spec.classes.empty()) return;
  std::vector<std::string> names;
  for (const ClassShare& one : spec.classes) names.push_back(one.name);
  if (!spec.classes.front().share) return keep_classes(trace, std::move(names));
  draw_classes(trace, spec.classes, std::move(names), RandomStream(seed, "work/classes"));
}

/// Names the key that put the last arrival where a double no longer tells moments apart.
void check_latest(const Trace& trace, const WorkloadSpec& spec) {
  const Seconds last = trace.rows.back().arrival;
  if (last <= kLatestArrival) return;
  const std::string found = fmt::format(
      "the last request arrives at {:.9g} s, allowed is {:g} s (beyond it a double does not hold "
      "the "
      "times of steps)",
      last, kLatestArrival);
  if (spec.arrivals.rate > 0) {
    fail("arrivals/rate", found + ": raise the rate or ask for fewer requests");
  }
  if (spec.time_scale < 1 && last * spec.time_scale <= kLatestArrival) {
    fail("time_scale", fmt::format("found {:g}: {}", spec.time_scale, found));
  }
  const Seconds first = trace.rows.front().arrival;
  if (last - first <= kLatestArrival) {
    fail("start",
         fmt::format("{}: time counts from here, and the first arrives at {:.12g} s of the "
                     "trace: start there",
                     found, std::floor(first * spec.time_scale + spec.start)));
  }
  fail("end", found + ": cut the trace with start and end");
}

}  // namespace

Trace make_workload(const WorkloadSpec& spec, std::uint64_t seed) {
  check(spec);
  Trace trace = spec.trace.empty() ? generate(spec, seed) : open_trace(spec, seed);
  set_arrivals(trace, spec, seed);
  set_classes(trace, spec, seed);
  check_latest(trace, spec);
  return trace;
}

}  // namespace cmsim::work
