#include "cmsim/metrics/load.hpp"

#include <algorithm>

#include "cmsim/metrics/figures.hpp"
#include "cmsim/metrics/phases.hpp"

namespace cmsim::metrics {
namespace {

using serve::Outcome;
using serve::RequestRecord;

/// Until the last that waits for no other request; what comes later the system decides.
struct Sends {
  Seconds first = 0, last = 0;
  std::int64_t count = 0;
};

Sends sends_of(const Records& records) {
  Sends sends;
  sends.last = last_open_send(records, 0);
  for (const RequestRecord& r : records) {
    if (r.sent < 0 || r.initial_tokens > 0 || r.sent > sends.last) continue;
    sends.first = sends.count == 0 ? r.sent : std::min(sends.first, r.sent);
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

const char* why_no_rate(Stream stream, const Sends& sends) {
  if (stream == Stream::kClosedLoop) return "a closed loop: the system decides when requests come";
  if (sends.count == 0) return "no request was sent";
  return sends.last > sends.first ? "" : "requests come all at once";
}

bool exceeds(const std::optional<RoleLoad>& role, double RoleLoad::*most) {
  return role && role->offered > *role.*most;
}

}  // namespace

const char* to_string(Load load) {
  switch (load) {
    case Load::kUnserved:
      return "unserved";
    case Load::kStable:
      return "stable";
    case Load::kSaturated:
      return "saturated";
    case Load::kOverloaded:
      return "overloaded";
  }
  return "";
}

LoadSpan load_span(const Result& result) {
  if (result.window.rule != WindowRule::kWholeRun) return {result.window.from, result.window.to};
  const Sends sends = sends_of(result.records);
  return {sends.first, sends.last};
}

LoadVerdict judge_load(const Result& result, const Offer& offer) {
  const auto& [stream, prefill, decode] = offer;
  LoadVerdict verdict;
  verdict.prefill = prefill;
  verdict.decode = decode;
  const Sends sends = sends_of(result.records);
  const Window& window = result.window;
  const Seconds run_end = result.whole_run.to;
  verdict.drain = run_end - (sends.count > 0 ? sends.last : result.whole_run.from);
  verdict.why_no_rate = why_no_rate(stream, sends);
  if (verdict.why_no_rate.empty()) {
    verdict.arrival_rate = static_cast<double>(sends.count) / (sends.last - sends.first);
  }

  double waiting = 0, in_system = 0;
  bool came = false, serves_new = false, serves_old = false;  // old: under way at the start
  std::array<double, 3> area{};
  for (const RequestRecord& r : result.records) {
    if (r.sent < 0) continue;
    const bool is_new = r.initial_tokens == 0;
    came = came || is_new;
    if (r.outcome == Outcome::kFinished) (is_new ? serves_new : serves_old) = true;
    in_system += overlap(r.sent, r.finished >= 0 ? r.finished : run_end, window.from, window.to);
    for_each_wait(r, run_end, [&](Seconds from, Seconds to) {
      waiting += overlap(from, to, window.from, window.to);
      for (int third = 0; third < 3; ++third) {
        const Seconds begin = window.from + window.length() * third / 3;
        area[third] += overlap(from, to, begin, begin + window.length() / 3);
      }
    });
  }
  verdict.waiting_share = in_system > 0 ? waiting / in_system : 0;
  bool grows = false;
  const double rate = result.measured.request_rate;
  if (window.length() > 0) {
    for (int third = 0; third < 3; ++third)
      verdict.waiting_by_third[third] = area[third] * 3 / window.length();
  }
  if (window.length() > 0 && rate > 0) {
    const auto& [w1, w2, w3] = verdict.waiting_by_third;
    verdict.growth_share = (w3 - w1) / (2 * window.length() / 3) / rate;
    const Seconds service = (in_system - waiting) / (rate * window.length());
    grows = w1 < w2 && w2 < w3 &&
            (verdict.growth_share > 0.1 || (verdict.growth_share > 0.02 && w3 / rate > service));
  }
  if (grows || exceeds(prefill, &RoleLoad::sustained) || exceeds(decode, &RoleLoad::sustained)) {
    verdict.load = Load::kOverloaded;
  } else if (verdict.waiting_share > 0.5 || exceeds(decode, &RoleLoad::within_slo)) {
    verdict.load = Load::kSaturated;
  } else if (came ? serves_new : serves_old) {
    verdict.load = Load::kStable;
  }
  return verdict;
}

}  // namespace cmsim::metrics
