// The explicit fabric of a platform as a Boost.Graph: every die, CPU, switch chip and directed
// link.
//
// It is what exists and where it is thin; it is not a router and holds no traffic (coll/fabric.hpp
// turns it into ports and paths). Bandwidths are bytes/s of one direction. Invariant: links come in
// pairs, one per direction, so what leaves a vertex by a class can also enter it.
#pragma once

#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <cstdint>
#include <vector>

#include "cmsim/hw/platform.hpp"

namespace cmsim::hw {

enum class VertexKind : std::uint8_t {
  kDie,
  kCpu,
  kL1Chip,
  kL2Chip,
  kRdmaPlane,
  kVpcCard,
  kVpcPlane
};

enum class LinkClass : std::uint8_t {
  kDieUb,     // die <-> L1 chip, one per sub-plane
  kCpuUb,     // CPU <-> L1 chip, one per sub-plane
  kUplink,    // L1 chip <-> L2 chip
  kDieToDie,  // inside a package
  kRdma,      // die <-> RDMA plane
  kVpc,       // VPC card of a node <-> VPC plane
  kPcie       // CPU <-> VPC card of its node; as wide as the card, so it never binds
};
inline constexpr int kLinkClasses = 7;
const char* to_string(LinkClass cls);

struct Vertex {
  VertexKind kind = VertexKind::kDie;
  int node = -1;   // -1 for what belongs to no node
  int plane = -1;  // sub-plane of a switch chip
  int index = 0;   // die, CPU, or number of the chip within its sub-plane
};

struct Link {
  LinkClass cls = LinkClass::kDieUb;
  int plane = -1;
  BytesPerSecond bandwidth = 0;
};

/// Links by the vertex they leave: it is built once and read, and a list of nodes costs five times
/// as much to build.
using Graph = boost::compressed_sparse_row_graph<boost::directedS, Vertex, Link, boost::no_property,
                                                 std::uint32_t, std::uint32_t>;

class Topology {
 public:
  explicit Topology(const Platform& platform);

  const Graph& graph() const { return graph_; }

  int count(VertexKind kind) const;
  int count(LinkClass cls) const;                // directed links
  BytesPerSecond capacity(LinkClass cls) const;  // sum over directed links

  /// Directed links of the UB plane that carry NPU traffic: die ports and uplinks.
  int npu_fabric_links() const { return count(LinkClass::kDieUb) + count(LinkClass::kUplink); }

  /// What the ports of a node can send into its L1 chips, over what the uplinks can carry away.
  /// 1.0 = non-blocking. The first counts dies alone, the second dies and CPUs.
  double npu_oversubscription() const;
  double oversubscription_with_cpus() const;

  /// UB bandwidth, one way, between the first half of the nodes and the rest (through the L2
  /// chips).
  BytesPerSecond bisection() const;

 private:
  Graph graph_;
};

/// The switches that a supernode of this many nodes needs (P Table 11): logical switches of two
/// chips.
struct SwitchPlan {
  int per_plane = 0;
  int total = 0;
  double port_utilisation = 0;
};
SwitchPlan plan_switches(const Platform& platform);

}  // namespace cmsim::hw
