// What a run says: one JSON-serialisable value. Every field and its formula: docs/output.md.
//
// Times are simulated seconds unless the name says ms, rates per simulated second, shares in [0,
// 1]. Holds no wall-clock time, so equal scenarios give equal bytes. Optional fields are null in
// JSON when the run has no such thing (e.g. decode figures of a prefill-only run).
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cmsim/metrics/phases.hpp"
#include "cmsim/metrics/slo.hpp"
#include "cmsim/metrics/statistics.hpp"
#include "cmsim/model/breakdown.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

/// A mean over nothing; printed as null.
inline constexpr double kNoSample = std::numeric_limits<double>::quiet_NaN();

enum class Load { kUnserved, kStable, kBacklogged, kOverloaded };
const char* to_string(Load load);

/// Whether the system kept up with what it was sent; see judge_load().
struct LoadVerdict {
  Load load = Load::kUnserved;
  double arrival_rate = 0;                   // requests/s over the arrival window
  std::array<double, 3> waiting_by_third{};  // mean number waiting in each third of that window
  double growth_share = 0;                   // share of what arrives that stays behind
  double waiting_share = 0;                  // of the latency of all requests
  Seconds drain = 0;                         // last send -> end of the run
};

/// The part of the run in which ramp and drain do not count.
struct SteadyWindow {
  Seconds from = 0, to = 0;
  bool steady = false;  // false: requests arrive all at once, the window is the whole run
};

struct RequestCounts {
  std::int64_t total = 0, finished = 0, rejected = 0, failed = 0, unfinished = 0;
  std::int64_t preempted = 0;                                      // at least once
  std::vector<std::pair<std::string, std::int64_t>> not_finished;  // by reason, only those met
};

struct SloVerdict {
  SloSpec limits;
  double share_ttft = 0, share_tpot = 0, share_both = 0;  // of the requests that ended
  bool met_on_mean = false;  // mean TTFT and mean TPOT within the limits
  bool met_at_p99 = false;   // nearest-rank p99 of both within the limits (MLPerf's rule)
};

struct PhaseResult {
  std::string name;
  Distribution ms;
  double share = 0;  // of the summed latency of finished requests
};

struct HbmResult {
  double bytes = 0;             // read and written by all dies of the role
  double busy_bandwidth = 0;    // bytes/s of one die while an iteration runs
  double busy_utilisation = 0;  // of the die's HBM bandwidth while an iteration runs
  double utilisation = 0;       // the same over the whole run
};

struct RoleResult {
  int instances = 0, npus = 0;
  double utilisation = 0;               // share of the run in which an iteration runs
  double tokens_per_second = 0;         // over the whole run
  double steady_tokens_per_second = 0;  // in the steady window
  double steady_tokens_per_second_per_npu = 0;
  std::int64_t iterations = 0;  // prefill batches or decode steps
  Distribution iteration_ms;
  double steady_iteration_ms = kNoSample;  // mean in the steady window
  double mean_sequences = kNoSample;       // per iteration
  double mean_tokens = kNoSample;  // prefill: new tokens, decode: output tokens, per iteration
  double occupancy = 0;            // decode: sequences / slots; prefill: new tokens / budget
  HbmResult hbm;
  double ub_bytes = 0;  // sent over UB by dispatch and combine, all dies
};

struct KvResult {              // of the decode role
  Tokens capacity_tokens = 0;  // over all dies
  double mean_occupancy = 0, peak_occupancy = 0;
};

struct CacheResult {
  bool enabled = false;
  std::int64_t capacity_blocks = 0;
  int block_size = 0;
  std::int64_t lookup_blocks = 0, hit_blocks = 0;
  Tokens lookup_tokens = 0, hit_tokens = 0;
  std::int64_t stored_blocks = 0, peak_blocks = 0, evicted_blocks = 0;
  std::optional<double> imposed_reuse;
};

struct QueueResult {
  std::string name;
  double mean = 0;
  std::int64_t p99 = 0, max = 0;
};

struct TransferResult {
  std::string name;
  std::int64_t count = 0;
  double bytes = 0;
  double mean_ms = kNoSample, max_ms = kNoSample;
  double mean_bandwidth = kNoSample;  // bytes / summed duration
};

/// The ports of one class and direction.
struct LinkResult {
  std::string name;  // "die-ub", ...
  std::string direction;
  int ports = 0;
  double bytes = 0;
  double utilisation = 0, highest_utilisation = 0;
};

/// Of a node. `pressure`: the worst ratio, over time and nodes, of what the open flows could have
/// sent off a node at most to what its uplinks carry.
struct UplinkUse {
  bool in_paths = false;  // then flows share them, and the pressure is met
  double pressure = 0;
};

struct Provenance {
  std::string version, scenario, digest, workload_digest;
  std::uint64_t seed = 0;
  std::string network, command;
  std::string network_note;  // how the fabric was measured; empty when the analytic bound is exact
  std::string trace, trace_format;
  std::int64_t trace_dropped = 0;
  std::string trace_dropped_reason;
  std::vector<std::string> simgrid;
};

/// The end of one decode step, kept for steady-window figures and exact ITL.
struct StepSample {
  Seconds start = 0, end = 0, previous_end = -1;
  std::int32_t instance = 0, sequences = 0, continuing = 0, tokens = 0;
};

struct Result {
  Provenance provenance;
  bool partial = false;  // ended early by Ctrl-C or /horizon
  LoadVerdict load;

  Seconds duration = 0;
  Seconds elapsed = 0;  // from the first send to the end of the simulation
  RequestCounts requests;
  Tokens total_input_tokens = 0, total_output_tokens = 0;
  double request_throughput = 0, request_goodput = 0, output_throughput = 0;
  double total_token_throughput = 0;
  Distribution ttft_ms, tpot_ms, itl_ms, e2el_ms;
  SteadyWindow steady;
  double steady_output_throughput = 0;
  std::optional<double> decode_layer_us;  // one decode layer of the steady batch, from the model

  SloVerdict slo;
  std::vector<PhaseResult> phases;
  std::string slowest_phase;
  std::optional<RoleResult> prefill, decode;
  KvResult kv;
  CacheResult cache;
  std::vector<QueueResult> queues;
  std::vector<TransferResult> transfers;
  std::vector<LinkResult> links;
  UplinkUse uplinks;
  // The mean step and batch of the steady window, without slices.
  std::optional<model::StepBreakdown> decode_breakdown, prefill_breakdown;

  // In requests.csv, and in JSON on request.
  std::vector<serve::RequestRecord> records;  // by id
  std::vector<StepSample> steps;              // by end
};

/// Whether to add the lists of vLLM's detailed result: ttfts, itls, input_lens, output_lens.
enum class Detail { kSummary, kPerRequest };
nlohmann::ordered_json to_json(const Result& result, Detail detail = Detail::kSummary);

}  // namespace cmsim::metrics
