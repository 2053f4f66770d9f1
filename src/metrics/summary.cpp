#include "cmsim/metrics/summary.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "cmsim/metrics/load.hpp"

namespace cmsim::metrics {
namespace {

using serve::Outcome;
using serve::RequestRecord;

bool inside(Seconds time, const SteadyWindow& window) {
  return time > window.from && time <= window.to;
}

/// A first population that was already under way when the run began has no latencies.
bool has_latency(const RequestRecord& r, const SteadyWindow& measured) {
  return r.outcome == Outcome::kFinished && r.initial_tokens == 0 && inside(r.finished, measured);
}

void count(RequestCounts& counts, std::span<const RequestRecord> records) {
  std::map<std::string, std::int64_t> reasons;
  counts.total = static_cast<std::int64_t>(records.size());
  for (const RequestRecord& r : records) {
    counts.preempted += r.preemptions > 0 ? 1 : 0;
    switch (r.outcome) {
      case Outcome::kFinished:
        ++counts.finished;
        continue;
      case Outcome::kRejected:
        ++counts.rejected;
        break;
      case Outcome::kFailed:
        ++counts.failed;
        break;
      case Outcome::kUnfinished:
        ++counts.unfinished;
        break;
    }
    ++reasons[serve::to_string(r.reason)];
  }
  counts.not_finished.assign(reasons.begin(), reasons.end());
}

void add_phases(Result& result, const SteadyWindow& measured) {
  std::array<std::vector<double>, kPhases> samples;
  double total = 0;
  for (const RequestRecord& r : result.records) {
    if (!has_latency(r, measured)) continue;
    const auto phases = phases_of(r);
    for (int i = 0; i < kPhases; ++i) {
      if (phases[i].happened()) samples[i].push_back(phases[i].duration());
    }
    total += r.finished - r.arrival;
  }
  double slowest = -1;
  for (int i = 0; i < kPhases; ++i) {
    // An open loop has no wait at the client; a phase of a role not run has no sample.
    if (samples[i].empty() || (i == 0 && std::ranges::max(samples[i]) == 0)) continue;
    PhaseResult phase{std::string(kPhaseNames[i]), summarize(std::move(samples[i]), 1e3), 0};
    const double sum = phase.ms.mean * 1e-3 * static_cast<double>(phase.ms.count);
    phase.share = total > 0 ? sum / total : 0;
    if (sum > slowest) {
      slowest = sum;
      result.slowest_phase = phase.name;
    }
    result.phases.push_back(std::move(phase));
  }
}

bool at_most(std::vector<double>& samples, Seconds limit, SloVerdict& verdict) {
  if (samples.empty()) return true;
  std::sort(samples.begin(), samples.end());
  verdict.met_at_p99 = verdict.met_at_p99 && nearest_rank(samples, 0.99) <= limit;
  return summarize(samples).mean <= limit;
}

}  // namespace

SteadyWindow measured_window(std::span<const RequestRecord> records, serve::Role role,
                             const SteadyWindow& steady) {
  constexpr Seconds kForever = std::numeric_limits<double>::infinity();
  const bool any =
      std::ranges::any_of(records, [&](const RequestRecord& r) { return has_latency(r, steady); });
  if (role == serve::Role::kAll || !steady.steady || !any) return {-kForever, kForever, false};
  return steady;
}

Tokens output_of(const RequestRecord& record, serve::Role role) {
  if (role == serve::Role::kPrefillOnly) return 1;
  return record.output_tokens - record.initial_tokens;
}

SloCheck check_slo(const RequestRecord& record, const SloSpec& slo) {
  return {ttft(record) <= slo.ttft, tpot(record) <= slo.tpot};
}

void summarize_requests(Result& result, serve::Role role, const SloSpec& slo, Seconds run_end) {
  const std::span<const RequestRecord> records = result.records;
  count(result.requests, records);
  result.steady = steady_window(records, run_end);
  const SteadyWindow measured = measured_window(records, role, result.steady);
  Seconds first_sent = run_end;
  Seconds last_finish = -1;
  std::vector<double> ttfts, tpots, e2es;
  SloVerdict& verdict = result.slo;
  verdict.limits = slo;
  double judged = 0, good = 0;
  for (const RequestRecord& r : records) {
    if (r.sent >= 0) first_sent = std::min(first_sent, r.sent);
    if (r.outcome == Outcome::kRejected || r.outcome == Outcome::kFailed) ++judged;
    if (r.outcome != Outcome::kFinished) continue;
    last_finish = std::max(last_finish, r.finished);
    result.total_input_tokens += r.prompt_tokens;
    result.total_output_tokens += output_of(r, role);
    if (!has_latency(r, measured)) continue;
    ++judged;
    const bool decoded = role != serve::Role::kPrefillOnly;
    ttfts.push_back(ttft(r));
    e2es.push_back(e2e(r));
    if (decoded && r.output_tokens > 1) tpots.push_back(tpot(r));
    SloCheck check = check_slo(r, slo);
    if (!decoded) check.tpot = true;
    verdict.share_ttft += check.ttft ? 1 : 0;
    verdict.share_tpot += check.tpot ? 1 : 0;
    good += check.both() ? 1 : 0;
  }
  if (judged > 0) {
    verdict.share_ttft /= judged;
    verdict.share_tpot /= judged;
    verdict.share_both = good / judged;
  }
  verdict.met_at_p99 = !e2es.empty();
  const bool ttft_met = at_most(ttfts, slo.ttft, verdict);
  const bool tpot_met = at_most(tpots, slo.tpot, verdict);
  verdict.met_on_mean = !e2es.empty() && ttft_met && tpot_met;

  result.elapsed = run_end - first_sent;
  result.duration = last_finish >= 0 && !result.partial ? last_finish - first_sent : result.elapsed;
  if (result.duration > 0) {
    const auto input = static_cast<double>(result.total_input_tokens);
    const auto output = static_cast<double>(result.total_output_tokens);
    result.request_throughput = static_cast<double>(result.requests.finished) / result.duration;
    result.request_goodput =
        good / (measured.steady ? measured.to - measured.from : result.duration);
    result.output_throughput = output / result.duration;
    result.total_token_throughput = (input + output) / result.duration;
  }
  result.ttft_ms = summarize(std::move(ttfts), 1e3);
  result.tpot_ms = summarize(std::move(tpots), 1e3);
  result.e2el_ms = summarize(std::move(e2es), 1e3);
  result.load = judge_load(records, run_end);
  add_phases(result, measured);
}

Distribution pooled_itl_ms(std::span<const StepSample> steps, const SteadyWindow& measured) {
  std::vector<WeightedSample> gaps;
  gaps.reserve(steps.size());
  for (const StepSample& step : steps) {
    if (step.previous_end < 0 || !inside(step.end, measured)) continue;
    gaps.push_back({step.end - step.previous_end, step.continuing});
  }
  return summarize(std::move(gaps), 1e3);
}

namespace {

/// The part of [from, to] inside the window, as a share of it.
double share_inside(Seconds from, Seconds to, const SteadyWindow& window) {
  if (to <= from) return from >= window.from && from < window.to ? 1 : 0;
  return std::max(0.0, std::min(to, window.to) - std::max(from, window.from)) / (to - from);
}

}  // namespace

double prompt_rate(std::span<const RequestRecord> records, const SteadyWindow& window) {
  double tokens = 0;
  for (const RequestRecord& r : records) {
    if (r.prefill_start < 0 || r.prefill_end < 0) continue;
    tokens +=
        static_cast<double>(r.prompt_tokens) * share_inside(r.prefill_start, r.prefill_end, window);
  }
  return window.to > window.from ? tokens / (window.to - window.from) : 0;
}

double output_rate(std::span<const StepSample> steps, const SteadyWindow& window) {
  double tokens = 0;
  for (const StepSample& step : steps) {
    tokens += step.tokens * share_inside(step.start, step.end, window);
  }
  return window.to > window.from ? tokens / (window.to - window.from) : 0;
}

}  // namespace cmsim::metrics
