// The contended ports of a platform and the path of a flow over them: one table that the analytic
// bound, the SimGrid zone and the test oracle all read, so that they cannot differ in physics.
//
// A port is a directed resource with a capacity (bytes/s on the wire). Under Spread::kAdaptive the
// sub-plane links of a die are pooled into one port; kStripe and kHash keep them apart. Invariant:
// a flow of b bytes puts b / (efficiency * stripes) wire bytes on every port of its path.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cmsim/coll/runtime.hpp"
#include "cmsim/hw/endpoint.hpp"
#include "cmsim/hw/platform.hpp"

namespace cmsim::coll {

enum class PortClass : std::uint8_t { kDieUb, kCpuUb, kUplink, kDieToDie, kRdma, kVpc };
inline constexpr int kPortClasses = 6;
const char* to_string(PortClass cls);

/// As seen by the owner: a die, a CPU or a node.
enum class Direction : std::uint8_t { kOut, kIn };
const char* to_string(Direction direction);

using PortId = std::int32_t;

struct Port {
  PortClass cls = PortClass::kDieUb;
  Direction direction = Direction::kOut;
  std::int32_t owner = 0;   // die (kDieUb, kDieToDie, kRdma), CPU (kCpuUb) or node (kUplink, kVpc)
  std::int16_t plane = -1;  // -1 = all sub-planes pooled
  std::int16_t chip = -1;   // L2 chip of an uplink; -1 = all pooled
  BytesPerSecond capacity = 0;
};
std::string name_of(const Port& port);  // "die 17 ub out", "node 3 uplink plane 2 chip 5 in"

struct Path {
  std::vector<PortId> ports;  // empty: a copy inside one endpoint
  double stripes = 1;         // the flow is split evenly over this many parallel ways
  double efficiency = 1;      // payload bytes per wire byte
  Seconds latency = 0;
};

/// Whether paths between nodes name the node's uplinks. They couple all flows of a node, which
/// makes SimGrid 4 to 34 times slower, and cannot bind while dies alone send on a non-blocking
/// fabric.
enum class Uplinks : std::uint8_t { kWhenNpusCanFillThem, kAlways };

class Fabric {
 public:
  explicit Fabric(const hw::Platform& platform, Uplinks uplinks = Uplinks::kWhenNpusCanFillThem);

  const hw::Platform& platform() const { return platform_; }
  std::span<const Port> ports() const { return ports_; }
  bool uplinks_in_paths() const { return uplinks_in_paths_; }
  /// Capacity, one way, of all uplinks of a node together.
  BytesPerSecond node_uplink_capacity() const { return node_uplink_capacity_; }

  /// The path that data takes from `from` to `to`. Throws std::invalid_argument when there is none:
  /// an endpoint that does not exist, or a CPU on the RDMA plane.
  Path path(hw::Endpoint from, hw::Endpoint to, Plane plane, Op op) const;

  int node_of(hw::Endpoint endpoint) const;

 private:
  struct Group {  // where the ports of a class start, and how many ways each owner has
    PortId base = 0;
    int planes = 1;
    int chips = 1;
  };
  void add_group(PortClass cls, int owners, int planes, int chips,
                 const std::vector<BytesPerSecond>& capacity);
  PortId port(PortClass cls, int owner, int plane, int chip, Direction direction) const;
  void check(hw::Endpoint endpoint) const;
  void add_ub_ports(hw::Endpoint from, hw::Endpoint to, bool other_node, Path* path) const;

  hw::Platform platform_;
  bool uplinks_in_paths_ = false;
  BytesPerSecond node_uplink_capacity_ = 0;
  std::vector<Port> ports_;
  std::array<Group, kPortClasses> groups_{};
};

/// Data source and destination of a transfer: a read moves target -> initiator.
inline hw::Endpoint source_of(const Transfer& t) {
  return t.op == Op::kRead ? t.target : t.initiator;
}
inline hw::Endpoint destination_of(const Transfer& t) {
  return t.op == Op::kRead ? t.initiator : t.target;
}

}  // namespace cmsim::coll
