#include "cmsim/serve/cluster_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "cmsim/base/error.hpp"

namespace cmsim::serve {
namespace {

/// Nothing here sends the rest of a transfer again, so a run cannot go on without it.
void require_done(const coll::Outcome& outcome, const coll::Transfer& transfer) {
  if (outcome.end == coll::Outcome::End::kDone) return;
  throw SimulationError(fmt::format(
      "a transfer from {} to {} was cut off at {:.9g} s, after {} of {} B",
      hw::to_string(coll::source_of(transfer)), hw::to_string(coll::destination_of(transfer)),
      outcome.at, outcome.delivered, transfer.bytes));
}

}  // namespace

void require(bool holds, const char* what) {
  if (!holds) throw InvariantError(std::string("broken invariant: ") + what);
}

RequestView ClusterState::seen(RequestIndex index) const {
  const Request& request = requests[static_cast<std::size_t>(index)];
  const RequestRecord& record = request.record;
  const work::TraceRow& row = trace.rows[static_cast<std::size_t>(index)];
  const RequestClass& its_class = config.classes[static_cast<std::size_t>(record.request_class)];
  return {record.id,
          record.prompt_tokens,
          request.context,
          record.sent,
          now(),
          record.preemptions,
          record.request_class,
          its_class.priority,
          its_class.limits,
          row.session,
          row.block_count > 0 ? trace.block_ids[row.first_block] : 0};
}

void ClusterState::flush_queue() {
  QueueEvent::Blocked decode_blocked = QueueEvent::Blocked::kByNothing;
  for (const Supernode& supernode : supernodes) {
    decode_blocked = std::max(decode_blocked, supernode.decode_blocked);
  }
  QueueEvent event{now(),          in_prefill - prefill_running, prefill_running, decode_waiting,
                   decode_running, decode_kv_reserved,           decode_blocked};
  if (event.prefill_waiting == last_queue.prefill_waiting &&
      event.prefill_running == last_queue.prefill_running &&
      event.decode_waiting == last_queue.decode_waiting &&
      event.decode_running == last_queue.decode_running &&
      event.decode_kv_reserved == last_queue.decode_kv_reserved &&
      event.decode_blocked == last_queue.decode_blocked) {
    return;
  }
  require(event.at >= last_queue.at, "the clock never goes back");
  last_queue = event;
  listeners.emit(&Listener::on_queue, event);
}

void ClusterState::transfer(const coll::Transfer& what, TransferKind kind,
                            coll::Runtime::Callback done) {
  ++totals.transfers;
  runtime.transfer(what, [this, what, start = now(), kind,
                          done = std::move(done)](const coll::Outcome& outcome) {
    require_done(outcome, what);
    listeners.emit(&Listener::on_transfer, TransferEvent{start, outcome.at, kind, what.bytes});
    done();
    flush_queue();
  });
}

}  // namespace cmsim::serve
