#include "cmsim/metrics/load.hpp"

#include <algorithm>

namespace cmsim::metrics {
namespace {

using serve::Outcome;
using serve::RequestRecord;

struct Sends {
  Seconds first = 0, last = 0;
  std::int64_t count = 0;
};

Sends sends_of(std::span<const RequestRecord> records) {
  Sends sends;
  for (const RequestRecord& r : records) {
    if (r.sent < 0) continue;
    sends.first = sends.count == 0 ? r.sent : std::min(sends.first, r.sent);
    sends.last = sends.count == 0 ? r.sent : std::max(sends.last, r.sent);
    ++sends.count;
  }
  return sends;
}

/// Since when a request that has not ended waits for a place; -1 when it is being worked on.
Seconds waiting_since(const RequestRecord& r) {
  if (r.decode_start >= 0) return -1;
  if (r.transfer_start >= 0) return r.transfer_end;
  if (r.prefill_end >= 0) return r.prefill_end;
  if (r.prefill_start >= 0) return -1;
  if (r.cache_read_start < 0) return r.sent;
  return r.cached_tokens > 0 ? r.cache_read_end : r.cache_read_start;
}

/// The intervals in which a request waits; one that the end of the run cut off is still waiting.
template <class Visit>
void for_each_wait(const RequestRecord& r, Seconds run_end, const Visit& visit) {
  const auto phases = phases_of(r);
  for (const int i : kWaitingPhases) {
    if (phases[i].happened()) visit(phases[i].start, phases[i].end);
  }
  if (r.outcome != Outcome::kUnfinished) return;
  if (const Seconds since = waiting_since(r); since >= 0) visit(since, run_end);
}

}  // namespace

const char* to_string(Load load) {
  switch (load) {
    case Load::kUnserved:
      return "unserved";
    case Load::kStable:
      return "stable";
    case Load::kBacklogged:
      return "backlogged";
    case Load::kOverloaded:
      return "overloaded";
  }
  return "";
}

SteadyWindow steady_window(std::span<const RequestRecord> records, Seconds run_end) {
  const Sends sends = sends_of(records);
  const Seconds arrivals = sends.last - sends.first;
  if (arrivals <= 1e-3 * (run_end - sends.first)) return {sends.first, run_end, false};
  std::vector<double> latencies;
  for (const RequestRecord& r : records) {
    if (r.outcome == Outcome::kFinished && r.initial_tokens == 0) latencies.push_back(e2e(r));
  }
  std::sort(latencies.begin(), latencies.end());
  const Seconds ramp = latencies.empty() ? arrivals : percentile(latencies, 0.9);
  return {sends.first + std::min(ramp, arrivals / 3), sends.last, true};
}

LoadVerdict judge_load(std::span<const RequestRecord> records, Seconds run_end) {
  LoadVerdict verdict;
  const Sends sends = sends_of(records);
  if (sends.count == 0) return verdict;
  const Seconds window = sends.last - sends.first;
  verdict.drain = run_end - sends.last;

  double waiting = 0;
  double latency = 0;
  bool served = false;
  std::array<double, 3> area{};
  for (const RequestRecord& r : records) {
    if (r.sent < 0) continue;
    served = served || r.outcome == Outcome::kFinished;
    latency += (r.finished >= 0 ? r.finished : run_end) - r.sent;
    for_each_wait(r, run_end, [&](Seconds from, Seconds to) {
      waiting += to - from;
      for (int third = 0; third < 3; ++third) {
        const Seconds begin = sends.first + window * third / 3;
        area[third] += std::max(0.0, std::min(to, begin + window / 3) - std::max(from, begin));
      }
    });
  }
  verdict.waiting_share = latency > 0 ? waiting / latency : 0;
  const auto count = static_cast<double>(sends.count);
  const Seconds service = (latency - waiting) / count;
  bool overloaded = false;
  if (window > 0) {
    verdict.arrival_rate = count / window;
    for (int third = 0; third < 3; ++third)
      verdict.waiting_by_third[third] = area[third] * 3 / window;
    const auto& [w1, w2, w3] = verdict.waiting_by_third;
    verdict.growth_share = (w3 - w1) / (2 * window / 3) / verdict.arrival_rate;
    const bool grows = w1 < w2 && w2 < w3;
    const bool outweighs = w3 / verdict.arrival_rate > service;
    overloaded =
        grows && (verdict.growth_share > 0.1 || (verdict.growth_share > 0.02 && outweighs));
  }
  if (overloaded) {
    verdict.load = Load::kOverloaded;
  } else if (verdict.waiting_share > 0.5) {
    verdict.load = Load::kBacklogged;
  } else if (served) {
    verdict.load = Load::kStable;
  }
  return verdict;
}

}  // namespace cmsim::metrics
