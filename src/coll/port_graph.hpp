// The graph of hw::Topology with the switches that stand in for each other made one: its edges are
// the ports. Knows all shortest ways; internal to Fabric.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cmsim/coll/fabric.hpp"
#include "cmsim/hw/nonminimal.hpp"

namespace cmsim::coll {

class PortGraph {
 public:
  PortGraph(const hw::Platform& platform, const hw::Topology& topology, Uplinks uplinks);

  std::span<const Port> ports() const { return ports_; }
  /// In the order of boost::edges() of the topology.
  std::span<const PortId> port_of_link() const { return port_of_link_; }
  /// A port between switches that no path names, though it could bind with these capacities.
  std::optional<PortId> left_out_but_binding(std::span<const BytesPerSecond> capacities) const;
  /// From now on no way goes over a port that carries nothing.
  void drop_lost(std::span<const BytesPerSecond> capacities);
  /// Fills in the ways from one endpoint to another; of more than kMostWays shortest ones as many,
  /// chosen evenly among all. With a hash, the one that it chooses. Returns how many links the
  /// longest of them has more than a shortest way; nullopt when there is none.
  std::optional<int> find_ways(Plane plane, std::int32_t from, std::int32_t to,
                               std::optional<std::uint64_t> hash, Path& path) const;

 private:
  static constexpr int kMostWays = 24;  // as many as four dimensions of a mesh have
  using Distance = std::uint16_t;       // by the weights of the ports
  static constexpr Distance kFar = 0xffff;
  struct Edge {
    std::int32_t end = 0;  // the other one
    PortId port = 0;
    Distance weight = 1;
  };
  struct PlaneGraph {
    std::vector<std::uint32_t> first;  // of the edges that leave a vertex, and one more
    std::vector<Edge> edges;
    std::vector<std::uint32_t> first_in;  // of the edges that enter a vertex
    std::vector<Edge> edges_in;
    std::vector<std::int32_t> component;  // by vertex
    std::vector<std::int32_t> place;      // of a vertex in its component
    std::vector<std::int32_t> sizes;      // of the components
    Distance heaviest = 1;                // of the edges
    // Distances to a vertex, by place; remembered, since few vertices are ever a destination.
    mutable std::vector<std::vector<Distance>> distances;
  };
  class Quotient;

  bool is_uplink(std::size_t port) const;
  std::vector<char> binding_uplinks(std::span<const BytesPerSecond> capacities) const;
  void add_planes(std::span<const hw::LinkClassInfo> classes);
  static void find_components(PlaneGraph& graph, std::size_t vertices);
  /// Null when `from` does not reach `to`.
  const std::vector<Distance>* distances_to(const PlaneGraph& graph, std::int32_t from,
                                            std::int32_t to) const;
  std::vector<Distance> find_distances(const PlaneGraph& graph, std::int32_t to) const;
  /// Calls `use` with every edge from `at` to a vertex that is nearer by its weight.
  template <class Use>
  void for_each_nearer(const PlaneGraph& graph, const std::vector<Distance>& distances,
                       std::int32_t at, std::int32_t to, const Use& use) const;
  /// False when there are more than kMostWays.
  bool walk(const PlaneGraph& graph, const std::vector<Distance>& distances, std::int32_t at,
            std::int32_t to, std::vector<PortId>& way, Path& path, int& count) const;
  using WayCounts = std::unordered_map<std::int32_t, double>;  // by vertex; there may be 10^20
  double count_ways(const PlaneGraph& graph, const std::vector<Distance>& distances,
                    std::int32_t at, std::int32_t to, WayCounts& counts) const;
  void sample_ways(const PlaneGraph& graph, const std::vector<Distance>& distances,
                   std::int32_t from, std::int32_t to, double offset, Path& path) const;
  int links_of_shortest(const PlaneGraph& graph, const std::vector<Distance>& distances,
                        std::int32_t from, std::int32_t to) const;
  void hashed_way(const PlaneGraph& graph, const std::vector<Distance>& distances,
                  std::int32_t from, std::int32_t to, std::uint64_t hash,
                  std::vector<PortId>& ports) const;
  /// The ways beyond the shortest ones; returns the links of the longest, 0 where there are none.
  int nonminimal_ways(Plane plane, std::int32_t from, std::int32_t to,
                      std::optional<std::uint64_t> hash, Path& path) const;
  /// False, and `ports` as they were, where a link of the way is lost.
  bool add_way(const PlaneGraph& graph, std::span<const hw::VertexId> way,
               std::vector<PortId>& ports) const;

  std::vector<Port> ports_;
  std::vector<std::pair<std::int32_t, std::int32_t>> ends_;  // of the ports
  std::vector<PortId> port_of_link_;
  std::vector<std::int8_t> height_;     // by vertex
  std::vector<char> is_cpu_;            // by vertex; a CPU passes nothing on
  std::vector<std::int32_t> place_of_;  // by vertex of the topology
  PlaneGraph planes_[hw::kPlanes];
  std::shared_ptr<const hw::NonMinimalRoutes> nonminimal_[hw::kPlanes];  // null: none
};

}  // namespace cmsim::coll
