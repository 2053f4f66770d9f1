// The contended ports of a platform and the path of a flow over them: one table that the analytic
// bound, the SimGrid zone and the test oracle all read, so that they cannot differ in physics.
//
// Both come from the graph of hw::Topology. A port is a directed resource with a capacity (bytes/s
// on the wire): a link, or links between the same two places that a flow is spread over evenly.
// Under Spread::kAdaptive all switches of a pool are one place, under kStripe those of one
// sub-plane, under kHash each is its own. Paths are the shortest ones, or those of
// hw::NonMinimalRoutes. Invariant: a flow of b bytes puts b / (efficiency * stripes) wire bytes on
// every port of each of its ways.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cmsim/coll/runtime.hpp"
#include "cmsim/hw/endpoint.hpp"
#include "cmsim/hw/topology.hpp"

namespace cmsim::coll {

using hw::LinkClass;

/// As seen by the owner: away from it, or to it.
enum class Direction : std::uint8_t { kOut, kIn };
const char* to_string(Direction direction);

using PortId = std::int32_t;

struct Port {
  /// Of the two ends the one nearer to the dies; of equal ones, where the port begins.
  enum class Owner : std::uint8_t { kDie, kCpu, kNode, kSwitch };

  LinkClass cls = 0;
  Direction direction = Direction::kOut;
  Owner kind = Owner::kDie;
  bool in_paths = true;     // false: it cannot be what slows a flow down, and no path names it
  bool to_switch = true;    // false: it joins two dies or CPUs
  std::uint8_t weight = 1;  // of its links
  std::int32_t owner = 0;   // number of the die, CPU or node; vertex of the switch
  std::int32_t node = -1;   // of the owner, when it is in one
  std::int32_t peer = -1;   // vertex at the other end, where there are several
  std::int16_t lane = -1;   // -1 = all sub-planes pooled
  std::int16_t chip = -1;   // of the upper switch; -1 = all pooled
  BytesPerSecond capacity = 0;
};

/// A flow is split evenly over the ways of its path, which may differ in length.
struct Path {
  std::vector<PortId> ports;              // of one way after the other; none: a copy in one place
  std::vector<std::uint32_t> later_ways;  // where in `ports` the second and later ones begin
  double efficiency = 1;                  // payload bytes per wire byte
  Seconds latency = 0;                    // of the longest way

  double stripes() const { return static_cast<double>(later_ways.size() + 1); }
};

/// Whether paths name ports between switches that NPUs alone cannot fill. They couple all flows of
/// a node, which makes SimGrid 4 to 34 times slower.
enum class Uplinks : std::uint8_t { kWhenNpusCanFillThem, kAlways };

class Fabric {
 public:
  explicit Fabric(const hw::Platform& platform, Uplinks uplinks = Uplinks::kWhenNpusCanFillThem);
  ~Fabric();
  Fabric(const Fabric& other);
  Fabric& operator=(const Fabric&) = delete;

  const hw::Platform& platform() const { return platform_; }
  const hw::Topology& topology() const;
  std::span<const Port> ports() const;
  std::span<const hw::LinkClassInfo> classes() const;
  std::string name_of(
      PortId port) const;  // "die:17 die_ub out", "node:3 uplink out plane 2 chip 5"
  /// No port between switches of the scale-up plane is left out of the paths.
  bool uplinks_in_paths() const;
  /// Capacity, one way, of all uplinks of a node together; 0 when nodes have none of their own.
  BytesPerSecond node_uplink_capacity() const;

  /// What each port carries, by PortId, when these faults come on top of those of the platform.
  /// Throws std::invalid_argument when a port between switches that the paths leave out could then
  /// slow a flow down; with Uplinks::kAlways there are none.
  std::vector<BytesPerSecond> capacities_under(std::span<const hw::Fault> faults) const;

  /// The same ports, and paths that avoid those that carry nothing; `capacities` by PortId.
  Fabric avoiding_lost(std::span<const BytesPerSecond> capacities) const;

  /// The path that data takes from `from` to `to`; dies that the scale-up plane does not join are
  /// joined by the scale-out plane. Throws std::invalid_argument when there is none: an endpoint
  /// that does not exist, or that the plane does not reach.
  Path path(hw::Endpoint from, hw::Endpoint to, Plane plane, Op op) const;

  /// On the plane, the ports of a path at one end depend on that end and on the distance alone: in
  /// the package, the node, the supernode or beyond.
  bool is_uniform(Plane plane) const;

  int node_of(hw::Endpoint endpoint) const;

 private:
  class Routes;
  Fabric(const hw::Platform& platform, std::shared_ptr<Routes> routes);
  static std::shared_ptr<Routes> routes_of(const hw::Platform& platform, Uplinks uplinks);

  hw::Platform platform_;
  std::shared_ptr<Routes> routes_;  // shared by fabrics of a platform; it remembers distances
};

}  // namespace cmsim::coll
