#include "halvings.hpp"

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <numeric>

#include "cmsim/hw/cuts.hpp"

namespace cmsim::hw {
namespace {

class Halvings {
 public:
  Halvings(int first_die, int dies) : first_die_(first_die), dies_(dies) {}

  /// `place` says of a die, counted in the unit, what it goes with.
  template <class Place>
  void add(const std::string& by, const Place& place) {
    Halving halving{by, std::vector<VertexId>(static_cast<std::size_t>(dies_))};
    std::iota(halving.order.begin(), halving.order.end(), VertexId{0});
    std::ranges::stable_sort(halving.order, {},
                             [&](VertexId die) { return place(static_cast<int>(die)); });
    const auto middle = halving.order.begin() + dies_ / 2;
    std::sort(halving.order.begin(), middle);
    std::sort(middle, halving.order.end());
    for (VertexId& die : halving.order) die += static_cast<VertexId>(first_die_);
    if (std::ranges::find(found_, halving.order, &Halving::order) != found_.end()) return;
    found_.push_back(std::move(halving));
  }

  std::vector<Halving> take() { return std::move(found_); }

 private:
  int first_die_, dies_;
  std::vector<Halving> found_;
};

/// The first switch that each die of the plane has a link to.
std::vector<VertexId> switches_of_dies(const Topology& topology, Plane plane, int dies) {
  const Graph& graph = topology.graph();
  std::vector<VertexId> switches;
  for (VertexId die = 0; die < static_cast<VertexId>(dies); ++die) {
    VertexId first = static_cast<VertexId>(boost::num_vertices(graph));
    for (const auto& edge : boost::make_iterator_range(boost::out_edges(die, graph))) {
      const VertexId end = boost::target(edge, graph);
      const bool on_plane = topology.classes()[graph[edge].cls].plane == plane;
      if (on_plane && graph[end].kind == VertexKind::kSwitch) first = std::min(first, end);
    }
    switches.push_back(first);
  }
  return switches;
}

void add_of_builder(Halvings& halvings, const FabricSpec& fabric, const Topology& topology,
                    Plane plane, int first_die, int dies) {
  switch (fabric.builder) {
    case Builder::kFullMesh:
    case Builder::kTorus: {
      int stride = 1, number = 0;
      for (const MeshDimension& dimension : fabric.dimensions) {
        halvings.add("dimension " + std::to_string(++number),
                     [&](int die) { return die / stride % dimension.size; });
        stride *= dimension.size;
      }
      break;
    }
    case Builder::kDragonfly:
      halvings.add("groups", [](int die) { return die; });
      halvings.add("routers of a group", [&](int die) {
        return die / fabric.dies_per_router % fabric.routers_per_group;
      });
      break;
    case Builder::kFatTree:
      halvings.add(fabric.cores > 0 ? "pods" : "leaves", [&](int die) {
        return die / (fabric.leaf_ports * fabric.rails) * fabric.rails + die % fabric.rails;
      });
      halvings.add("rails", [&](int die) { return die % fabric.rails; });
      break;
    case Builder::kEdges: {
      const std::vector<VertexId> switches = switches_of_dies(topology, plane, first_die + dies);
      halvings.add("switches",
                   [&](int die) { return switches[static_cast<std::size_t>(first_die + die)]; });
      break;
    }
    case Builder::kClos:
    case Builder::kSwitch:
      break;
  }
}

}  // namespace

std::vector<Halving> halvings(const Platform& platform, const Topology& topology, Plane plane,
                              int first_die, int dies) {
  Halvings found(first_die, dies);
  const FabricSpec& fabric = plane == Plane::kUb ? platform.ub.fabric : platform.rdma.fabric;
  add_of_builder(found, fabric, topology, plane, first_die, dies);
  const bool inside = plane == Plane::kUb && platform.ub.inside_node;
  if (inside && dies == platform.dies_per_node()) {
    add_of_builder(found, *platform.ub.inside_node, topology, plane, first_die, dies);
  }
  found.add(kByNumber, [](int die) { return die; });
  return found.take();
}

}  // namespace cmsim::hw
