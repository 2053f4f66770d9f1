// The SSDs of the context cache at work: what goes between a volume and the DRAM of a CPU. Internal
// to serve/.
//
// Every node has one volume, which serves its reads one after the other and its writes beside them.
// A transfer is on the wire while the volume serves it, after the latency of an access, and has
// ended when both have. The wire is that of /deployment/cache/ssd/plane, shared with all else.
#pragma once

#include <array>
#include <cstdint>
#include <map>

#include "cmsim/serve/cluster_state.hpp"

namespace cmsim::serve {

class SsdVolumes {
 public:
  SsdVolumes(ClusterState& state, std::int32_t cpus_per_node)
      : state_(state), cpus_per_node_(cpus_per_node) {}

  /// From the volume at one CPU into the DRAM of another; `done` runs when all is there.
  void read(std::int32_t volume, std::int32_t dram, Bytes bytes, coll::Runtime::Callback done);
  /// The other way.
  void write(std::int32_t volume, std::int32_t dram, Bytes bytes, coll::Runtime::Callback done);

 private:
  struct Volume {
    Seconds reads_until = 0, writes_until = 0;  // it has served all that it was asked for
  };
  Volume& volume_at(std::int32_t cpu) { return volumes_[cpu / cpus_per_node_]; }
  void move(const coll::Transfer& transfer, TransferKind kind, Seconds& served_until,
            BytesPerSecond bandwidth, coll::Runtime::Callback done);

  ClusterState& state_;
  std::int32_t cpus_per_node_;
  std::map<std::int32_t, Volume> volumes_;  // by node
};

}  // namespace cmsim::serve
