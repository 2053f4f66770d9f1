// The workload of a scenario: where the requests come from and when they are sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/work/trace.hpp"

namespace cmsim::work {

/// Rates, requests/s. Below the least nobody waits to see two requests; above the most, all_at_once
/// says it.
inline constexpr double kLeastRate = 1e-6, kMostRate = 1e6;
/// 116 days: there a double still tells 2 ns apart, a thousandth of the shortest transfer.
inline constexpr Seconds kLatestArrival = 1e7;

enum class ArrivalKind { kTrace, kPoisson, kGamma, kConstant, kAllAtOnce, kClosedLoop };
/// As /workload/arrivals/kind names it.
std::string_view name_of(ArrivalKind kind);

struct ArrivalSpec {
  ArrivalKind kind = ArrivalKind::kTrace;
  // Requests/s of poisson, gamma, constant. For the arrivals of a trace, 0 = as recorded, else the
  // trace is stretched in time until its mean rate, (n - 1) / (last - first), is this (times
  // time_scale).
  double rate = 0;
  double burstiness = 1;  // gamma: shape b, CV = 1/sqrt(b)
  // Most requests in flight, 0 = no limit. A closed loop keeps just as many, its arrivals being all
  // 0; a request of any other kind that is due waits at the client until there is room.
  std::int64_t concurrency = 0;
};

/// Lognormal lengths clipped to [minimum, maximum]; mean and cv are those *after* clipping.
struct LengthSpec {
  double mean = 1000;
  double cv = 1;  // standard deviation / mean; 0 = constant
  std::int64_t minimum = 1;
  std::int64_t maximum = 131072;
};

/// Sessions that are drawn: a turn's prompt is the prompt before, the answer to it and new tokens.
struct SessionDraw {
  LengthSpec turns{.mean = 4, .maximum = 1000};
  LengthSpec prompt{}, output{};  // tokens; of a prompt those that are new
  Seconds think_mean = 30;        // lognormal
  double think_cv = 1;
  std::int64_t shared_prompt = 0;  // tokens with which every session begins
  std::int64_t longest = 131072;   // a session whose next prompt would be longer ends instead
};

/// How the turns of a session follow each other; /workload/sessions.
struct SessionSpec {
  /// A turn comes when the one before has ended and its user has thought, not at its arrival.
  bool wait = false;
  /// How long an answer took when the arrivals were recorded, or takes where they are drawn: what
  /// the gap between two turns has beside the think time.
  Seconds answer_time_per_token = 0;
  std::optional<SessionDraw> draw = {};
  /// Drawn sessions are under way when time begins: what comes after the last first turn comes at
  /// the start instead.
  bool stationary = false;
};

/// Requests that are promised the same.
struct ClassShare {
  std::string name;
  std::optional<double> share = {};  // of the requests; none: those that the trace says
};

/// Scenario pointers /workload/...; see docs/scenario.schema.json.
struct WorkloadSpec {
  std::string trace;  // file or ServeGen directory, as given; empty = generated
  std::string format = "auto";
  std::optional<int> block_size;   // overrides the format's default
  double time_scale = 1;           // 2 = arrivals twice as fast
  Seconds start = 0, end = 1e300;  // cut, in trace time before scaling
  std::int64_t max_requests = INT64_MAX;
  std::optional<Bytes> max_bytes =
      {};                          // most the trace may hold decompressed; see trace_reader.hpp
  bool spread_timestamps = false;  // spread rows that share a time stamp evenly to the next one
  Seconds resample_block = 0;      // > 0: the seed draws stretches of this length, in trace time
  ArrivalSpec arrivals;
  SessionSpec sessions;
  std::vector<ClassShare> classes;  // all with a share or none; empty: as the trace says
  // Fixed-length requests, used when `trace` is empty.
  std::int64_t requests = 0;
  std::int64_t prompt_length = 0;
  std::int64_t output_length = 0;
};

/// Reads every key, whatever the others say: which of them have an effect is for the scenario to
/// know. Throws ConfigError.
WorkloadSpec read_workload(const ConfigNode& node);

/// Opens the trace (or draws sessions, or makes requests of fixed length), applies cut, scaling and
/// the arrival process; the last arrival is at kLatestArrival at most. Errors in the file are
/// ConfigErrors naming file and line, others name the key. Draws from streams "work/...".
Trace make_workload(const WorkloadSpec& spec, std::uint64_t seed);

}  // namespace cmsim::work
