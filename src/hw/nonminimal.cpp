#include "cmsim/hw/nonminimal.hpp"

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <functional>
#include <limits>
#include <unordered_map>
#include <utility>

#include "plane_links.hpp"

namespace cmsim::hw {
namespace {

constexpr double kRounding = 1 + 1e-9;

/// What is common: dies of one package have a link of their own, and faults take ways away.
class RoutesOnPlane : public NonMinimalRoutes {
 public:
  RoutesOnPlane(const Platform& platform, const Topology& topology, Plane plane)
      : dies_(static_cast<VertexId>(platform.dies())),
        dies_per_package_(plane == Plane::kUb ? static_cast<VertexId>(platform.dies_per_npu) : 1),
        is_whole_(platform.faults.empty()),
        links_(topology, plane) {}

  void find(VertexId from, VertexId to, Ways& ways) const final {
    ways.clear();
    if (in_one_package(from, to)) return;
    add(from, to, ways);
    if (!is_whole_) keep_fastest(ways);
  }

 protected:
  bool is_die(VertexId vertex) const { return vertex < dies_; }
  /// All ways of the machine without faults.
  virtual void add(VertexId from, VertexId to, Ways& ways) const = 0;

 private:
  bool in_one_package(VertexId a, VertexId b) const {
    return is_die(a) && is_die(b) && a / dies_per_package_ == b / dies_per_package_;
  }
  /// Of the narrowest link; 0 where one is lost.
  BytesPerSecond width(std::span<const VertexId> way) const {
    BytesPerSecond narrowest = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i + 1 < way.size(); ++i) {
      const auto ends = links_.from(way[i]);
      const auto link = std::ranges::find(ends, way[i + 1], &PlaneLinks::End::vertex);
      if (link == ends.end()) return 0;
      narrowest = std::min(narrowest, link->bandwidth);
    }
    return narrowest;
  }
  /// The k widest carry k times what the narrowest of them does.
  void keep_fastest(Ways& ways) const {
    std::vector<BytesPerSecond> widths;
    for (std::size_t i = 0; i < ways.count(); ++i) widths.push_back(width(ways.way(i)));
    std::vector<BytesPerSecond> sorted = widths;
    std::ranges::sort(sorted, std::greater());
    BytesPerSecond most = 0, least_width = std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < sorted.size(); ++k) {
      const BytesPerSecond together = static_cast<double>(k + 1) * sorted[k];
      if (together <= most * kRounding) continue;
      most = together;
      least_width = sorted[k];
    }
    const Ways all = std::exchange(ways, Ways());
    for (std::size_t i = 0; i < all.count(); ++i) {
      if (widths[i] < least_width) continue;
      for (const VertexId vertex : all.way(i)) ways.add(vertex);
      ways.close();
    }
  }

 private:
  VertexId dies_, dies_per_package_;
  bool is_whole_;
  PlaneLinks links_;
};

/// Over every link of a die into the dimensions in which the two differ: by the peer there that has
/// the coordinate of the other, or around by one that has not, which takes one link more. The other
/// dimensions follow in a circle, so that no two ways of a pair share a link; which way round is
/// said by the pair, so that no dimension is first for all pairs.
class MeshDetours : public RoutesOnPlane {
 public:
  MeshDetours(const Platform& platform, const Topology& topology, Plane plane,
              const FabricSpec& fabric)
      : RoutesOnPlane(platform, topology, plane),
        dies_in_unit_(static_cast<VertexId>(
            std::min(platform.nodes_in(fabric.scope), platform.nodes) * platform.dies_per_node())) {
    VertexId stride = 1;
    for (const MeshDimension& dimension : fabric.dimensions) {
      dimensions_.push_back({static_cast<VertexId>(dimension.size), stride});
      stride *= static_cast<VertexId>(dimension.size);
    }
  }

 private:
  void add(VertexId from, VertexId to, Ways& ways) const override {
    if (!is_die(from) || !is_die(to) || from / dies_in_unit_ != to / dies_in_unit_) return;
    std::vector<Dimension> differing;
    VertexId coordinates = 0;
    for (const Dimension& d : dimensions_) {
      coordinates += d.of(from) + d.of(to);
      if (d.of(from) != d.of(to)) {
        differing.push_back(d);
      }
    }
    const bool backwards = coordinates % 2 == 1;
    const std::size_t count = differing.size();
    for (std::size_t first = 0; first < count; ++first) {
      const Dimension& d = differing[first];
      for (VertexId over = 0; over < d.size; ++over) {
        if (over == d.of(from)) continue;
        ways.add(from);
        VertexId at = d.moved(from, over);
        for (std::size_t turn = 1; turn < count; ++turn) {
          const Dimension& next = differing[(first + (backwards ? count - turn : turn)) % count];
          ways.add(at);
          at = next.moved(at, next.of(to));
        }
        if (at != to) ways.add(at);
        ways.add(to);
        ways.close();
      }
    }
  }

  struct Dimension {
    VertexId size = 1, stride = 1;
    VertexId of(VertexId die) const { return die / stride % size; }
    VertexId moved(VertexId die, VertexId to) const { return die + to * stride - of(die) * stride; }
  };
  VertexId dies_in_unit_;
  std::vector<Dimension> dimensions_;
};

/// By a router of every group but the two of the ends, and the one link between any two groups.
class DragonflyValiant : public RoutesOnPlane {
 public:
  DragonflyValiant(const Platform& platform, const Topology& topology, Plane plane)
      : RoutesOnPlane(platform, topology, plane),
        group_(boost::num_vertices(topology.graph()), -1),
        router_(group_.size()) {
    const Graph& graph = topology.graph();
    for (const VertexId v : boost::make_iterator_range(boost::vertices(graph))) {
      group_[v] = graph[v].group;
      router_[v] = v;
    }
    for (const auto& edge : boost::make_iterator_range(boost::edges(graph))) {
      if (topology.classes()[graph[edge].cls].plane != plane) continue;
      const VertexId from = boost::source(edge, graph), to = boost::target(edge, graph);
      if (graph[from].kind != VertexKind::kSwitch && graph[to].group >= 0) {
        group_[from] = graph[to].group;
        router_[from] = to;
      }
      if (graph[from].group >= 0 && graph[to].group >= 0 && graph[from].group != graph[to].group) {
        gates_[graph[from].group].push_back({graph[to].group, from, to});
      }
    }
    for (auto& [group, gates] : gates_) std::ranges::sort(gates, {}, &Gate::to_group);
  }

 private:
  void add(VertexId from, VertexId to, Ways& ways) const override {
    const std::int32_t here = group_[from], there = group_[to];
    if (here < 0 || there < 0 || here == there) return;
    const auto out = gates_.find(here);
    if (out == gates_.end()) return;
    for (const Gate& first : out->second) {
      const Gate* second = gate(first.to_group, there);
      if (second == nullptr) continue;
      VertexId at = from;
      ways.add(at);
      for (const VertexId next :
           {router_[from], first.from, first.to, second->from, second->to, router_[to], to}) {
        if (next != at) ways.add(at = next);
      }
      ways.close();
    }
  }

  struct Gate {
    std::int32_t to_group = 0;
    VertexId from = 0, to = 0;
  };
  const Gate* gate(std::int32_t from, std::int32_t to) const {
    const auto found = gates_.find(from);
    if (found == gates_.end()) return nullptr;
    const auto place = std::ranges::lower_bound(found->second, to, {}, &Gate::to_group);
    const bool there = place != found->second.end() && place->to_group == to;
    return there ? &*place : nullptr;
  }

  std::vector<std::int32_t> group_;                            // by vertex
  std::vector<VertexId> router_;                               // of an endpoint
  std::unordered_map<std::int32_t, std::vector<Gate>> gates_;  // by the group that they leave
};

}  // namespace

std::unique_ptr<NonMinimalRoutes> nonminimal_routes(const Platform& platform,
                                                    const Topology& topology, Plane plane) {
  if (plane == Plane::kVpc) return nullptr;
  const FabricSpec& fabric = plane == Plane::kUb ? platform.ub.fabric : platform.rdma.fabric;
  switch (fabric.routes) {
    case Routes::kMinimal:
      return nullptr;
    case Routes::kDetours:
      return std::make_unique<MeshDetours>(platform, topology, plane, fabric);
    case Routes::kValiant:
      return std::make_unique<DragonflyValiant>(platform, topology, plane);
  }
  return nullptr;
}

}  // namespace cmsim::hw
