// The ways between the ranks of a group, found once: what an exchange between them puts on each
// port is then sums of few terms.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cmsim/coll/fabric.hpp"
#include "cmsim/coll/traffic.hpp"

namespace cmsim::coll {

/// Payload, wire bytes and number of flows on every port, indexed by PortId.
struct PortLoads {
  std::vector<double> bytes;
  std::vector<double> wire_bytes;
  std::vector<double> flows;
  Seconds latency = 0;  // the largest of the pairs that exchange anything

  /// Nothing on any port of the fabric.
  void clear(const Fabric& fabric);
};
PortLoads no_loads(const Fabric& fabric);
/// Of exchanges one after the other: what they move adds up, flows are those of the busier one.
PortLoads& operator+=(PortLoads& loads, const PortLoads& others);
/// Of so many times the bytes, in the same flows.
PortLoads operator*(PortLoads loads, double factor);
/// One more flow, of `bytes` along the path.
void add_path(PortLoads& loads, const Path& path, double bytes);

/// Throws std::invalid_argument where there is no way between two of the ranks.
class GroupRoutes {
 public:
  GroupRoutes(const Fabric& fabric, std::vector<std::int32_t> dies, Plane plane, Op op);

  /// Rank i sends send[i] * receive[j] bytes to rank j. O(ranks + ports) where the paths of a rank
  /// depend on the distance alone (Fabric::is_uniform); else O(ranks * ports on their paths) when
  /// all send or all receive alike, and O(pairs) when not.
  PortLoads loads(std::span<const double> send, std::span<const double> receive) const;
  /// The same in the place of what was in `loads`.
  void find_loads(std::span<const double> send, std::span<const double> receive,
                  PortLoads& loads) const;

  /// s/B: until the ports of a rank alone have carried what it spreads evenly over the group,
  /// itself included, or gets so; of the slowest rank and direction. What others send through the
  /// same ports is not counted.
  double per_rank() const;

 private:
  struct Part {  // of a flow on a port, for each of its bytes
    PortId port = 0;
    double bytes = 0, wire_bytes = 0;
  };
  struct Way {  // on one rank's side, to or from all peers at a distance
    std::vector<Part> parts;
    Seconds latency = 0;
  };
  struct Sibling {
    std::int32_t rank = 0;
    Way way;  // both sides
  };
  struct Rank {
    std::vector<Sibling> siblings;        // in the package, one by one
    std::array<Way, 3> out, in;           // the node, the supernode and beyond
    std::array<std::int32_t, 4> group{};  // package, node, supernode, all: places in sums
  };
  struct Sum {
    double send = 0, receive = 0, senders = 0, receivers = 0;
  };
  struct Share {  // what the pairs of one rank put on a port
    PortId port = 0;
    double bytes = 0, wire_bytes = 0, flows = 0;
  };
  struct ByRank {
    std::vector<std::vector<Share>> shares;
    Seconds latency = 0;
    double per_rank = 0;
  };

  int ranks() const { return static_cast<int>(dies_.size()); }
  Path path(int from, int to) const;
  /// On one side of the path, or on all of it.
  Way way(const Path& path, std::optional<Direction> side = std::nullopt) const;
  void find_distances();
  void add_by_distance(PortLoads& loads, std::span<const double> send,
                       std::span<const double> receive) const;
  void add_by_pair(PortLoads& loads, std::span<const double> send,
                   std::span<const double> receive) const;
  /// Of the pairs that end (or begin) at each rank, a byte for each of them.
  ByRank pairs_by(Direction end) const;
  static void add(PortLoads& loads, const Way& way, double bytes, double flows);

  const Fabric& fabric_;
  std::vector<std::int32_t> dies_;
  Plane plane_;
  Op op_;
  bool uniform_;
  std::vector<Rank> ranks_;                 // where the fabric is uniform
  std::array<int, 4> groups_{};             // how many packages, nodes, supernodes, and 1
  mutable ByRank by_sender_, by_receiver_;  // where it is not; made when first asked for
};

}  // namespace cmsim::coll
