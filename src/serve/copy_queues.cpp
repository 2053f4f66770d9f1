#include "cmsim/serve/copy_queues.hpp"

#include <utility>

namespace cmsim::serve {

CopyQueues::CopyQueues(ClusterState& state, int dies, int depth)
    : state_(state), depth_(depth), queues_(static_cast<std::size_t>(dies) * 2) {}

void CopyQueues::start(std::size_t die, const coll::Transfer& transfer, TransferKind kind,
                       coll::Runtime::Callback done) {
  Queue& queue = queues_[die * 2 + (transfer.op == coll::Op::kWrite ? 1 : 0)];
  Copy copy{transfer, kind, std::move(done)};
  if (queue.on_wire < depth_) {
    launch(queue, std::move(copy));
  } else {
    queue.waiting.push_back(std::move(copy));
  }
}

void CopyQueues::launch(Queue& queue, Copy copy) {
  ++queue.on_wire;
  state_.transfer(copy.transfer, copy.kind, [this, &queue, done = std::move(copy.done)] {
    --queue.on_wire;
    if (!queue.waiting.empty()) {
      Copy next = std::move(queue.waiting.front());
      queue.waiting.pop_front();
      launch(queue, std::move(next));
    }
    done();
  });
}

}  // namespace cmsim::serve
