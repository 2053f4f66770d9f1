// The copy engines of the dies that read and write the context cache and pull KV. Internal to
// serve/.
//
// A die has at most `depth` reads and `depth` writes on the wire at a time; what comes beyond waits
// for its turn, first come, first served. A few copies fill the die's port, so the queue changes
// who shares it and not how much goes through it, and thousands of prompts that end in one batch do
// not become thousands of flows at once. Invariant: a die with a free place has nothing waiting for
// it.
#pragma once

#include <deque>
#include <vector>

#include "cmsim/serve/cluster_state.hpp"

namespace cmsim::serve {

class CopyQueues {
 public:
  CopyQueues(ClusterState& state, int dies, int depth);

  /// Starts the transfer, whose initiator is die number `die` of these queues, as soon as one of
  /// its places is free; then as ClusterState::transfer().
  void start(std::size_t die, const coll::Transfer& transfer, TransferKind kind,
             coll::Runtime::Callback done);

 private:
  struct Copy {
    coll::Transfer transfer;
    TransferKind kind;
    coll::Runtime::Callback done;
  };
  struct Queue {
    int on_wire = 0;
    std::deque<Copy> waiting;
  };
  void launch(Queue& queue, Copy copy);

  ClusterState& state_;
  int depth_;
  std::vector<Queue> queues_;  // reads of die 0, writes of die 0, reads of die 1, ...
};

}  // namespace cmsim::serve
