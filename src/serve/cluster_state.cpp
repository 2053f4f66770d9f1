#include "cmsim/serve/cluster_state.hpp"

#include <string>
#include <utility>

namespace cmsim::serve {

void require(bool holds, const char* what) {
  if (!holds) throw InvariantError(std::string("broken invariant: ") + what);
}

void ClusterState::flush_queue() {
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
  runtime.transfer(what, [this, start = now(), bytes = what.bytes, kind, done = std::move(done)] {
    listeners.emit(&Listener::on_transfer, TransferEvent{start, now(), kind, bytes});
    done();
    flush_queue();
  });
}

}  // namespace cmsim::serve
