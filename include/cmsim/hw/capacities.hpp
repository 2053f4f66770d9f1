// Capacities of the ports of a platform, read off its topology: what the routing above hw/ needs,
// without the graph. Bytes/s of one direction; links come in equal pairs, so out and in are the
// same.
#pragma once

#include <vector>

#include "cmsim/hw/platform.hpp"

namespace cmsim::hw {

struct PortCapacities {
  std::vector<BytesPerSecond> die_ub;      // [die][sub-plane]
  std::vector<BytesPerSecond> cpu_ub;      // [cpu][sub-plane]
  std::vector<BytesPerSecond> uplink;      // [node][sub-plane][L2 chip]
  std::vector<BytesPerSecond> die_to_die;  // [die], to all dies of its package
  std::vector<BytesPerSecond> rdma;        // [die]
  std::vector<BytesPerSecond> vpc;         // [node]
};

/// Builds the topology of the platform and adds up the links that leave each owner.
PortCapacities read_capacities(const Platform& platform);

}  // namespace cmsim::hw
