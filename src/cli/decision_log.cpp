#include "decision_log.hpp"

#include <spdlog/spdlog.h>

namespace cmsim::cli {

void DecisionLog::on_request_sent(const serve::RequestRecord& record) {
  spdlog::debug("{:.6f} s: request {} of {} + {} tokens is sent", record.sent, record.id,
                record.prompt_tokens, record.output_tokens);
}

void DecisionLog::on_request_end(const serve::RequestRecord& r) {
  spdlog::debug(
      "{:.6f} s: request {} {}{}{}: prefill instance {}, decode instance {} rank {}, {} "
      "tokens from the cache, preempted {} times",
      r.finished, r.id, serve::to_string(r.outcome), r.reason == serve::Reason::kNone ? "" : ", ",
      r.reason == serve::Reason::kNone ? "" : serve::to_string(r.reason), r.prefill_instance,
      r.decode_instance, r.decode_rank, r.cached_tokens, r.preemptions);
}

void DecisionLog::on_prefill_batch(const serve::PrefillBatchEvent& event) {
  spdlog::debug(
      "{:.6f} s: prefill instance {} starts a batch of {} sequences, {} new and {} "
      "cached tokens",
      event.start, event.instance, event.sequences, event.new_tokens, event.cached_tokens);
}

void DecisionLog::on_decode_step(const serve::DecodeStepEvent& event) {
  spdlog::debug("{:.6f} s: decode instance {} starts a step of {} sequences, {} of them new",
                event.start, event.instance, event.sequences, event.sequences - event.continuing);
}

}  // namespace cmsim::cli
