// KV of preempted requests in the DRAM of the nodes: room, and the copies to and from it. Internal
// to serve/.
//
// A rank's KV goes to a CPU of its own node (InstancePlace::cpus), which gives each CPU's share of
// /deployment/swap/dram_per_node; any rank reads it back from there. Room is taken when the copy
// begins and given back when the KV is on a rank again. Invariant: what a CPU holds is at most its
// share.
#pragma once

#include <cstdint>
#include <map>

#include "cmsim/serve/cluster_state.hpp"
#include "cmsim/serve/copy_queues.hpp"

namespace cmsim::serve {

class KvSwap {
 public:
  KvSwap(ClusterState& state, CopyQueues& copies, std::int32_t cpus_per_node)
      : state_(state),
        copies_(copies),
        of_cpu_(state.config.deployment.swap.dram_per_node / cpus_per_node) {}

  Bytes bytes_of(RequestIndex index) const;
  /// Of the CPU's share; 0 where `cpu` is -1, for none.
  Bytes free(std::int32_t cpu) const;
  /// Copies the KV of the request from the die, the `engine`-th of the copy queues, to the CPU,
  /// which has room for it; then `done`.
  void out(RequestIndex index, std::size_t engine, std::int32_t die, std::int32_t cpu,
           coll::Runtime::Callback done);
  bool holds(RequestIndex index) const { return state_.request(index).swapped_to >= 0; }
  /// Copies it to a die, from where it is held; then `done`.
  void in(RequestIndex index, std::size_t engine, std::int32_t die, coll::Runtime::Callback done);
  /// Throws InvariantError unless nothing is held.
  void check_empty() const;

 private:
  ClusterState& state_;
  CopyQueues& copies_;
  Bytes of_cpu_;
  std::map<std::int32_t, Bytes> held_;  // by CPU
};

}  // namespace cmsim::serve
