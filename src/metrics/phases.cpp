#include "cmsim/metrics/phases.hpp"

#include <algorithm>

namespace cmsim::metrics {

std::array<Phase, kPhases> phases_of(const serve::RequestRecord& r) {
  const bool decoded = r.decode_start >= 0;
  // Not taken into a batch before it started: the wait was all spent in the queue.
  const Seconds left_queue = r.cache_read_start >= 0 ? r.cache_read_start : r.prefill_start;
  const std::array<Seconds, kPhases> ends{r.sent,
                                          left_queue,
                                          r.cache_read_end,
                                          r.cache_read_start >= 0 ? r.prefill_start : -1,
                                          r.prefill_end,
                                          r.transfer_start,
                                          r.transfer_end,
                                          r.decode_start,
                                          decoded ? r.first_token : -1,
                                          decoded && r.first_token >= 0 ? r.finished : -1};
  std::array<Phase, kPhases> phases;
  Seconds known = r.arrival;
  for (int i = 0; i < kPhases; ++i) {
    if (ends[i] < 0) continue;
    phases[i] = {known, ends[i]};
    known = ends[i];
  }
  return phases;
}

Seconds last_open_send(const Records& records, Seconds begin) {
  using serve::RequestRecord;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records.get<&RequestRecord::after>(i) < 0) {
      begin = std::max(begin, records.get<&RequestRecord::sent>(i));
    }
  }
  return begin;
}

Seconds tpot(const serve::RequestRecord& record) {
  if (record.initial_tokens > 0) {
    return (record.finished - record.decode_start) /
           static_cast<double>(record.output_tokens - record.initial_tokens);
  }
  if (record.output_tokens <= 1) return -1;
  return (record.finished - record.first_token) / static_cast<double>(record.output_tokens - 1);
}

}  // namespace cmsim::metrics
