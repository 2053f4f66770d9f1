// Hand-made request records for the tests of this room.
#pragma once

#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

/// Finished; sent at `sent` = arrival, phases: queue 1, cache read 0.5, prefill 2, transfer queue
/// 0.25, transfer 0.125, decode queue 0.0625, first iteration 0.0625, then `decode` seconds.
inline serve::RequestRecord finished(std::int64_t id, Seconds sent, Tokens output, Seconds decode) {
  serve::RequestRecord r;
  r.id = id;
  r.prompt_tokens = 100;
  r.output_tokens = output;
  r.arrival = r.sent = sent;
  r.cache_read_start = sent + 1;
  r.prefill_start = r.cache_read_end = r.cache_read_start + 0.5;
  r.prefill_end = r.prefill_start + 2;
  r.transfer_start = r.prefill_end + 0.25;
  r.transfer_end = r.transfer_start + 0.125;
  r.decode_start = r.transfer_end + 0.0625;
  r.first_token = r.decode_start + 0.0625;  // 4 s after sent
  r.finished = r.first_token + decode;
  r.prefill_instance = r.decode_instance = r.decode_rank = 0;
  r.outcome = serve::Outcome::kFinished;
  r.reason = serve::Reason::kNone;
  return r;
}

/// Sent, but still in the prefill queue when the run was ended.
inline serve::RequestRecord left_waiting(std::int64_t id, Seconds sent) {
  serve::RequestRecord r;
  r.id = id;
  r.prompt_tokens = 100;
  r.output_tokens = 10;
  r.arrival = r.sent = sent;
  return r;
}

inline serve::RequestRecord rejected(std::int64_t id, Seconds sent) {
  serve::RequestRecord r = left_waiting(id, sent);
  r.finished = sent;
  r.outcome = serve::Outcome::kRejected;
  r.reason = serve::Reason::kPromptExceedsKv;
  return r;
}

}  // namespace cmsim::metrics
