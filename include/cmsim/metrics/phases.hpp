// The phases of a request: consecutive differences of the times in a RequestRecord.
//
// A phase ends at its own time and starts at the last time before it that is known, so the phases
// that happened add up to finished - arrival. Units are those of the record's times.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "cmsim/metrics/records.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

inline constexpr int kPhases = 10;
inline constexpr std::array<std::string_view, kPhases> kPhaseNames{
    "client_wait",    "prefill_queue", "cache_read",   "batch_wait",      "prefill",
    "transfer_queue", "transfer",      "decode_queue", "first_iteration", "decode"};
/// Phases in which a request waits for a place in the system, not for work done on it.
inline constexpr std::array<int, 4> kWaitingPhases{1, 3, 5, 7};

struct Phase {
  Seconds start = -1, end = -1;
  bool happened() const { return end >= 0; }
  Seconds duration() const { return happened() ? end - start : 0; }
};

std::array<Phase, kPhases> phases_of(const serve::RequestRecord& record);

/// When the stream of arrivals ends: the last send of a request that waits for no other; `begin` at
/// the earliest. Turns that wait go on coming, ever fewer.
Seconds last_open_send(const Records& records, Seconds begin);

/// Of a request that finished: sent -> first output token, sent -> last.
inline Seconds ttft(const serve::RequestRecord& record) { return record.first_token - record.sent; }
inline Seconds e2e(const serve::RequestRecord& record) { return record.finished - record.sent; }
/// (E2E - TTFT) / (output tokens - 1); -1 for a request of one output token. Of one that was under
/// way when the run began: (finished - start of decode) / (output - initial tokens).
Seconds tpot(const serve::RequestRecord& record);

}  // namespace cmsim::metrics
