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

#include "cmsim/metrics/iterations.hpp"
#include "cmsim/metrics/phases.hpp"
#include "cmsim/metrics/records.hpp"
#include "cmsim/metrics/slo.hpp"
#include "cmsim/metrics/statistics.hpp"
#include "cmsim/model/breakdown.hpp"
#include "cmsim/serve/cluster.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

/// A mean over nothing; printed as null.
inline constexpr double kNoSample = std::numeric_limits<double>::quiet_NaN();

/// See judge_load().
enum class Load { kUnserved, kStable, kSaturated, kOverloaded };
const char* to_string(Load load);

/// What one role is offered and what it could sustain, tokens/s: new prompt tokens, output tokens.
struct RoleLoad {
  double offered = kNoSample;     // by what is sent in load_span()
  double sustained = kNoSample;   // most that its instances could do
  double within_slo = kNoSample;  // most with a step that keeps the TPOT limit (prefill: the same)
  double rho() const { return offered / within_slo; }
};

/// Whether the system keeps up with what it is sent; see judge_load().
struct LoadVerdict {
  Load load = Load::kUnserved;
  double arrival_rate = kNoSample;           // requests/s over all arrivals of an open stream
  std::string why_no_rate;                   // the reason when there is none, else empty
  std::array<double, 3> waiting_by_third{};  // mean number waiting in each third of the window
  double growth_share = 0;   // share of what arrives in the window that stays behind
  double waiting_share = 0;  // of the requests in the system, over the window
  std::optional<RoleLoad> prefill, decode;
  Seconds drain = 0;  // last send -> end of the run; in no verdict
};

/// How the measurement window was found; see find_window().
enum class WindowRule { kMser5, kSet, kStationaryStart, kWholeRun };
const char* to_string(WindowRule rule);

/// The requests whose latencies count: those sent in [from, to), whenever they end. All unless
/// bounded; of those under way at the start nobody knows when they were sent.
struct Cohort {
  Seconds from = -std::numeric_limits<double>::infinity();
  Seconds to = std::numeric_limits<double>::infinity();
  bool has(const serve::RequestRecord& record) const;
};

/// The part of the run that headlines are taken from.
struct Window {
  Seconds from = 0, to = 0;
  WindowRule rule = WindowRule::kWholeRun;
  bool steady = false;
  Seconds needed = kNoSample;  // how long arrivals must last for a steady state; none known: null
  std::string why_not{};       // not steady: the reason, for people
  Seconds length() const { return to - from; }
  /// Those sent in its first half: the second is theirs to end in, before arrivals stop and the
  /// system gets faster. All of them where the window is the whole run.
  Cohort cohort() const;
};

struct RequestCounts {
  std::int64_t total = 0, finished = 0, rejected = 0, failed = 0, unfinished = 0;
  std::int64_t initial = 0;                                        // under way at the start
  std::int64_t preempted = 0, swapped = 0;                         // at least once
  std::vector<std::pair<std::string, std::int64_t>> not_finished;  // by reason, only those met
};

struct SloVerdict {
  SloSpec limits;
  double share_ttft = 0, share_tpot = 0, share_both = 0;  // of the cohort, as far as it ended
  // Mean, and nearest-rank p99 (MLPerf's rule), of TTFT and TPOT within the limits; what was
  // rejected or failed is later than any.
  bool met_on_mean = false, met_at_p99 = false;
};

struct PhaseResult {
  std::string name;
  Distribution ms;
  double share = 0;  // of the summed latency of the cohort
};

struct HbmResult {
  double bytes = 0;             // read and written by all dies of the role
  double busy_bandwidth = 0;    // bytes/s of one die while an iteration runs
  double busy_utilisation = 0;  // of the die's HBM bandwidth while an iteration runs
  double utilisation = 0;       // the same over all the time
};

/// Prompts that mixed instances compute beside their sequences.
struct PromptResult {
  double tokens_per_second = 0;                                  // cached ones included
  double mean_sequences = 0, mean_tokens = 0, mean_context = 0;  // of an iteration; tokens that are
                                                                 // computed, and seen before them
};

/// How the experts of decode were placed anew while their popularity drifted.
struct RebalancingResult {
  std::int64_t count = 0;                // that ended, all instances
  std::int64_t experts = 0;              // weights that they moved
  double bytes = 0;                      // of them
  Seconds paid = 0;                      // by which steps were longer, all instances
  double paid_share = 0;                 // of the time of steps
  double mean_balancedness = kNoSample;  // per step: mean over the greatest load of the ranks
  Seconds mean_age = kNoSample;          // of the placement, per step
};

struct RoleResult {
  int instances = 0, npus = 0;
  double utilisation = 0;  // share of the time in which an iteration runs, mean over instances
  double occupancy = 0;    // decode: sequences / slots; prefill: new tokens / budget
  double tokens_per_second = 0;
  std::int64_t iterations = 0;  // prefill batches or decode steps that ended
  Distribution iteration_ms;
  double contention = 0;  // share of the time of iterations that goes by for sharing links
  double mean_sequences = kNoSample;  // per iteration
  double mean_tokens = kNoSample;     // prefill: new tokens, decode: output tokens, per iteration
  double mean_context = kNoSample;    // prefill: cached tokens, decode: tokens held, per iteration
  double mean_cached_blocks = 0;      // prefill: read from the context cache, per iteration
  std::optional<PromptResult> prompts;  // mixed instances
  HbmResult hbm;
  double ub_bytes = 0;  // sent over UB by dispatch, combine and collectives, all dies
  double exchange_bytes = 0, collective_bytes = 0;  // see model::IterationBytes
  std::optional<RebalancingResult> rebalancing;     // of decode, where popularity drifts
  std::int64_t plan_changes = 0;                    // of decode
  double tokens_per_second_per_npu() const { return tokens_per_second / npus; }
};

/// Of NPUs that may change their role, mean over the time.
struct ProportionResult {
  double prefill_npus = 0, decode_npus = 0;    // that serve, or are being drained
  double draining_npus = 0, loading_npus = 0;  // of those; of neither
  std::int64_t changes = 0;                    // that were completed
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
  std::int64_t stored_blocks = 0, peak_blocks = 0, evicted_blocks = 0;  // of DRAM
  std::optional<double> imposed_reuse;
  // Where there are SSDs; hits are of both tiers.
  std::int64_t ssd_capacity_blocks = 0, ssd_hit_blocks = 0;
  Tokens ssd_hit_tokens = 0;
  serve::SsdCounts ssd;
  Bytes bytes_per_token = 0;
};

struct QueueResult {
  std::string name;
  double mean = 0;
  std::int64_t max = 0;
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
  std::string name;  // "die_ub", ...
  std::string direction;
  int ports = 0;
  double transfer_bytes = 0;  // payload of cache and KV transfers
  double exchange_bytes = 0;  // payload of token exchanges and collectives inside iterations
  double utilisation = 0;     // of the wire, mean over the ports
  double busiest_utilisation =
      0;  // of the busiest port of transfers and that of exchanges together
};

/// What holds the system back, for which share of the time.
struct Bind {
  std::string what;  // "decode slots", "decode: FusedAttention", ...
  double share = 0;
};

/// How requests of one kind were served.
struct GroupResult {
  std::string name;
  std::int64_t requests = 0;  // that ended; of them:
  std::int64_t finished = 0, rejected = 0;
  double share_slo = 0;  // kept both limits of their class
  Distribution ttft_ms, tpot_ms;
  std::optional<Seconds> longest_wait;
};

/// The load of the most loaded / the mean load; kNoSample where there is none.
struct ImbalanceResult {
  double prefill_instances = kNoSample;                           // new prompt tokens
  double decode_instances = kNoSample, decode_ranks = kNoSample;  // output tokens
};

/// See service_of().
struct ServiceResult {
  std::vector<GroupResult> classes, prompt_lengths;  // only those met
  std::optional<Seconds> longest_wait;
  double jain_index = kNoSample;  // of the output tokens per second of each request
  ImbalanceResult imbalance;
};

/// What a part of the run looks like. docs/output.md has every formula.
struct Figures {
  Seconds from = 0, to = 0;
  double request_rate = kNoSample;  // sent, per second
  double request_throughput = 0, request_goodput = 0, output_throughput = 0;
  double total_token_throughput = 0;
  Distribution ttft_ms, tpot_ms, itl_ms, e2el_ms;
  SloVerdict slo;
  ServiceResult service;
  std::vector<PhaseResult> phases;
  std::string slowest_phase, longest_wait;  // of those in which a request waits for a place
  std::optional<RoleResult> prefill, decode;
  std::optional<ProportionResult> proportion;  // where roles can change
  KvResult kv;
  std::vector<QueueResult> queues;
  std::vector<TransferResult> transfers;
  std::vector<LinkResult> links;
  std::vector<Bind> binds;  // largest share first
};

/// Of a node. `pressure`: the worst ratio, over time and nodes, of what the open flows could have
/// sent off a node at most to what its uplinks carry.
struct UplinkUse {
  bool in_paths = false;  // then flows share them, and the pressure is met
  double pressure = 0;
};

/// Where a run lies outside of what was held against measurements; see run/envelope.hpp.
struct Extrapolation {
  std::string what;          // "decode/batch_per_npu", "device"
  double value = kNoSample;  // of a quantity, with the range it would have to lie in
  double least = 0, most = 0;
  std::string name{}, validated_name{};  // of what has a name instead
  bool is_named() const { return !name.empty(); }
};

struct Provenance {
  std::string version, scenario, digest, workload_digest;
  std::uint64_t seed = 0;
  std::vector<std::string> seed_redraws;  // streams that another seed draws anew
  std::string network, command;
  std::string network_note;  // how the fabric was measured; empty when the analytic bound is exact
  std::string trace, trace_format;
  std::int64_t trace_dropped = 0;
  std::string trace_dropped_reason;
  std::vector<std::string> trace_retired;  // keys of the scenario that were of another trace
  std::vector<std::string> borrowed;       // figures of the platform measured on another device
  std::vector<Extrapolation> extrapolated;
  std::vector<std::string> simgrid;
};

/// What a step of a mixed instance computes of prompts, as DecodeStepEvent has it.
struct StepPrompts {
  std::int32_t sequences = 0, tokens = 0;
  Tokens context = 0;
};

/// Of a decode step, where the popularity of experts drifts.
struct StepExperts {
  Seconds moving = 0;         // waited for experts that move
  Seconds placement_age = 0;  // of its experts
  double balancedness = 1;    // of its ranks
};

/// What vLLM's benchmark calls its arguments.
struct BenchmarkArguments {
  std::string model_id;
  /// Of the arrival process: infinite when requests do not wait for a date. Neither is there when
  /// the dates are a trace's.
  std::optional<double> request_rate, burstiness;
  std::optional<std::int64_t> max_concurrency;
  std::vector<double> percentiles{99};  // of the latencies at the top, 0 to 100
};

/// The busiest second, see peaks.hpp.
struct Peaks {
  /// Output tokens in one second. A decode step's tokens count at its end, and there those of
  /// requests that did not finish too; in a prefill-only run a request's one token at its end.
  std::int64_t output_tokens_per_s = 0;
  /// Requests that were in the system at any time of one second, from that of their sending to
  /// that of their last token.
  std::int64_t concurrent_requests = 0;
};

/// How far a headline moves while the constants of the scenario move within their ranges.
struct Band {
  std::string metric, unit;
  double nominal = kNoSample;  // of this run
  double low = kNoSample, high = kNoSample;
  std::string dominant{};  // pointer; empty when no constant moves it
  double correlation = 0;  // of the ranks of the dominant constant and the metric
  double share() const { return correlation * correlation; }
};

struct BandConstant {
  std::string pointer;
  std::string low, high;  // as written
  std::string source;
};

struct Uncertainty {
  std::size_t samples = 0;  // those that ended well
  std::vector<Band> bands;
  std::vector<BandConstant> constants;
  std::vector<std::string> idle;  // pointers of constants with a range that have no effect
};

struct Result {
  Provenance provenance;
  BenchmarkArguments arguments;
  bool partial = false;  // ended early by Ctrl-C or /horizon
  LoadVerdict load;

  // As vLLM's benchmark counts them: over the whole run.
  Seconds duration = 0;
  Seconds elapsed = 0;  // from the first send to the end of the simulation
  RequestCounts requests;
  Tokens total_input_tokens = 0, total_output_tokens = 0;
  double request_throughput = 0, request_goodput = 0, output_throughput = 0;
  double total_token_throughput = 0;
  Peaks peaks;

  Window window;
  Figures measured;   // of the window
  Figures whole_run;  // with ramp and drain
  CacheResult cache;
  UplinkUse uplinks;
  // The mean step and batch of the window, without slices.
  std::optional<model::StepBreakdown> decode_breakdown, prefill_breakdown;

  std::optional<Uncertainty> uncertainty;  // when asked for; made by many runs, not by this one

  std::vector<serve::RequestClass> classes = {serve::RequestClass()};  // by request_class
  // In requests.csv, and in JSON on request.
  Records records;                                    // by id
  Iterations batches, steps;                          // by end
  std::vector<StepExperts> step_experts;              // by step; none where nothing drifts
  std::vector<serve::RebalancingEvent> rebalancings;  // by end
  std::optional<std::string> time_series;             // timeseries.csv, when asked for
};

/// Whether to add the lists of vLLM's detailed result: ttfts, itls, input_lens, output_lens.
enum class Detail { kSummary, kPerRequest };
nlohmann::ordered_json to_json(const Result& result, Detail detail = Detail::kSummary);

}  // namespace cmsim::metrics
