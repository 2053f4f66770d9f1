// The fabric of a small platform has ports and paths that carry something.
#pragma once

#include <cmath>

#include "cmsim/coll/fabric.hpp"
#include "cmsim/hw/platform.hpp"
#include "cmsim/hw/topology.hpp"
#include "oracle.hpp"

namespace cmsim::fuzz {

constexpr int kSmall = 64;  // dies; larger fabrics cost time and show nothing new

inline bool positive(double value) { return value > 0 && std::isfinite(value); }

inline void check_path(const coll::Fabric& fabric, hw::Endpoint from, hw::Endpoint to,
                       coll::Plane plane) {
  const coll::Path path = fabric.path(from, to, plane, coll::Op::kWrite);
  require(positive(path.stripes()) && positive(path.efficiency) && path.latency >= 0,
          "a path carries something");
  for (const coll::PortId port : path.ports) {
    require(port >= 0 && static_cast<std::size_t>(port) < fabric.ports().size(),
            "a path goes over ports that exist");
  }
}

inline void check_fabric(const hw::Platform& platform) {
  if (platform.dies() > kSmall || hw::links_in(platform) > 16 * kSmall) return;
  const coll::Fabric fabric(platform);
  for (const coll::Port& port : fabric.ports()) {
    require(port.capacity >= 0 && std::isfinite(port.capacity), "a port has a finite capacity");
  }
  const hw::Endpoint first = hw::die(0), last = hw::die(platform.dies() - 1);
  check_path(fabric, first, last, coll::Plane::kUb);
  check_path(fabric, first, last, coll::Plane::kRdma);
  check_path(fabric, hw::cpu(platform.cpus() - 1), first, coll::Plane::kUb);
  check_path(fabric, hw::cpu(0), last, coll::Plane::kVpc);
}

}  // namespace cmsim::fuzz
