// The explicit fabric of a platform as a Boost.Graph: every die, CPU, switch and directed link.
//
// The builders that the platform file names make it, and everything that asks about the network
// reads it: ports and routes (coll/fabric.hpp), counts, cuts and drawings. Bandwidths are bytes/s
// of one direction.
#pragma once

#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cmsim/hw/endpoint.hpp"
#include "cmsim/hw/plane.hpp"
#include "cmsim/hw/platform.hpp"

namespace cmsim::hw {

enum class VertexKind : std::uint8_t { kDie, kCpu, kSwitch, kCard };

struct Vertex {
  VertexKind kind = VertexKind::kDie;
  std::int8_t tier = 0;     // of a switch, from 1: how far it is above the dies
  std::int16_t lane = -1;   // the sub-plane or rail of a switch
  std::int32_t node = -1;   // -1 for what belongs to no node
  std::int32_t index = 0;   // of a die or CPU; of a switch among those of its pool and lane
  std::int32_t pool = -1;   // switches of one pool stand in for each other (see coll/fabric.hpp)
  std::int32_t group = -1;  // of a router of a dragonfly: a number that no other group has
  std::int32_t name = -1;   // of a switch that a list of edges names: Topology::switch_names()
};

using LinkClass = std::uint8_t;  // an index into Topology::classes()

struct LinkClassInfo {
  std::string name;  // "die_ub", "uplink"
  Plane plane = Plane::kUb;
  bool binds = true;  // false: as wide as what it leads to
};

struct Link {
  LinkClass cls = 0;
  std::int16_t lane = -1;
  BytesPerSecond bandwidth = 0;
  std::uint8_t weight = 1;  // in the length of a way; shortest ways are those of the least length
};

inline constexpr int kMostLinkWeight = 64;

/// Links by the vertex they leave: it is built once and read, and a list of nodes costs five times
/// as much to build.
using Graph = boost::compressed_sparse_row_graph<boost::directedS, Vertex, Link, boost::no_property,
                                                 std::uint32_t, std::uint32_t>;
using VertexId = Graph::vertex_descriptor;
using EdgeId = Graph::edge_descriptor;

/// "die:3", "cpu:0", "l1:12/2" (node/sub-plane), "l2:3/5" (sub-plane/chip), "card:7" and
/// "card-in:7" (node), or what a list of edges calls it.
std::string name_of(const Vertex& vertex, std::span<const std::string> switch_names);

class Topology {
 public:
  explicit Topology(const Platform& platform);

  const Graph& graph() const { return graph_; }
  std::span<const LinkClassInfo> classes() const { return classes_; }
  std::span<const std::string> switch_names() const { return switch_names_; }
  VertexId vertex_of(Endpoint endpoint) const;
  std::string name_of(VertexId vertex) const;
  /// Share of its bandwidth that faults leave to a link, on top of those of the platform.
  double left_of(std::span<const Fault> faults, const EdgeId& link) const;

  int count(VertexKind kind) const;
  int switches(int tier) const;
  int count(std::string_view cls) const;                // directed links
  BytesPerSecond capacity(std::string_view cls) const;  // sum over directed links

 private:
  Graph graph_;
  std::vector<LinkClassInfo> classes_;
  std::vector<std::string> switch_names_;
  int dies_ = 0;
};

/// A bound on the directed links that the platform has, without making them.
std::int64_t links_in(const Platform& platform);

}  // namespace cmsim::hw
