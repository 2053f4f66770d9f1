#include "cmsim/hw/cuts.hpp"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/push_relabel_max_flow.hpp>
#include <boost/range/iterator_range.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cmsim/hw/fault.hpp"
#include "halvings.hpp"

namespace cmsim::hw {
namespace {

using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
using Capacity = boost::property<boost::edge_capacity_t, std::int64_t>;
using Residual = boost::property<boost::edge_residual_capacity_t, std::int64_t, Capacity>;
using Reverse = boost::property<boost::edge_reverse_t, Traits::edge_descriptor, Residual>;
using FlowGraph =
    boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, Reverse>;

/// The links between places: the dies in use of each half are one place, every other vertex its
/// own. Equal units have equal ones, since places are numbered as they are met.
struct Cable {
  std::uint32_t from = 0, to = 0;
  double bandwidth = 0;
  friend bool operator==(const Cable&, const Cable&) = default;
};
constexpr std::uint32_t kFirst = 0, kRest = 1;
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

struct Halves {
  std::span<const VertexId> first, rest;
};

/// Those of the same ends made one.
void merge_cables(std::vector<Cable>& cables) {
  std::ranges::stable_sort(cables, {}, [](const Cable& c) { return std::pair(c.from, c.to); });
  std::size_t kept = 0;
  for (const Cable& cable : cables) {
    Cable* last = kept > 0 ? &cables[kept - 1] : nullptr;
    if (last != nullptr && last->from == cable.from && last->to == cable.to) {
      last->bandwidth += cable.bandwidth;
    } else {
      cables[kept++] = cable;
    }
  }
  cables.resize(kept);
}

class Cuts {
 public:
  Cuts(const Platform& platform, const Topology& topology, Plane plane)
      : topology_(topology), plane_(plane), place_(boost::num_vertices(topology.graph()), kNone) {
    for (const std::int32_t die : whole_dies(platform))
      whole_.push_back(static_cast<VertexId>(die));
  }

  bool is_whole(VertexId die) const { return std::ranges::binary_search(whole_, die); }

  std::vector<Cable> cables(const Halves& halves) {
    std::vector<Cable> cables;
    double direct = 0;
    std::vector<VertexId> reached;
    for (const VertexId die : halves.first) {
      if (is_whole(die)) place_[die] = kFirst, reached.push_back(die);
    }
    for (const VertexId die : halves.rest) {
      if (is_whole(die)) place_[die] = kRest, reached.push_back(die);
    }
    const Graph& graph = topology_.graph();
    std::uint32_t places = kRest + 1;
    for (std::size_t i = 0; i < reached.size(); ++i) {
      const std::uint32_t here = place_[reached[i]];
      for (const auto& edge : boost::make_iterator_range(boost::out_edges(reached[i], graph))) {
        const VertexId to = boost::target(edge, graph);
        const bool on_plane = topology_.classes()[graph[edge].cls].plane == plane_;
        if (!on_plane || graph[to].kind == VertexKind::kCpu) continue;
        if (place_[to] == kNone) {
          place_[to] = places++;
          reached.push_back(to);
        }
        if (place_[to] == here || place_[to] == kFirst || here == kRest) continue;
        if (here == kFirst && place_[to] == kRest) {
          direct += graph[edge].bandwidth;
        } else {
          cables.push_back({here, place_[to], graph[edge].bandwidth});
        }
      }
    }
    if (direct > 0) cables.push_back({kFirst, kRest, direct});
    for (const VertexId vertex : reached) place_[vertex] = kNone;
    merge_cables(cables);
    return cables;
  }

 private:
  const Topology& topology_;
  Plane plane_;
  std::vector<VertexId> whole_;
  std::vector<std::uint32_t> place_;  // by vertex; kNone between two calls
};

BytesPerSecond maximum_flow(std::span<const Cable> cables) {
  double sum = 0;
  std::uint32_t places = kRest + 1;
  for (const Cable& cable : cables) {
    sum += cable.bandwidth;
    places = std::max({places, cable.from + 1, cable.to + 1});
  }
  // Whole bytes/s, coarser only where their sum would not be exact in a double.
  const double unit = std::max(1.0, std::ceil(sum / 9e15));
  FlowGraph graph(places);
  const auto capacity = boost::get(boost::edge_capacity, graph);
  const auto reverse = boost::get(boost::edge_reverse, graph);
  for (const Cable& cable : cables) {
    const auto forth = boost::add_edge(cable.from, cable.to, graph).first;
    const auto back = boost::add_edge(cable.to, cable.from, graph).first;
    capacity[forth] = std::llround(cable.bandwidth / unit);
    capacity[back] = 0;
    reverse[forth] = back;
    reverse[back] = forth;
  }
  return unit * static_cast<double>(boost::push_relabel_max_flow(graph, kFirst, kRest));
}

int nodes_of_unit(const Platform& platform, Plane plane) {
  const FabricSpec& fabric = plane == Plane::kUb ? platform.ub.fabric : platform.rdma.fabric;
  if (fabric.builder == Builder::kEdges) return platform.nodes;
  return std::min(platform.nodes, platform.nodes_in(fabric.scope));
}

/// The first nodes of the units. Those of one size are alike where no fault touches any.
std::vector<int> units_that_differ(const Platform& platform, int nodes) {
  std::vector<int> units;
  for (int first_node = 0; first_node < platform.nodes; first_node += nodes) {
    const bool is_whole = first_node + nodes <= platform.nodes;
    if (platform.faults.empty() && is_whole && first_node > 0) continue;
    units.push_back(first_node);
  }
  return units;
}

}  // namespace

std::optional<Bisection> bisection(const Platform& platform, const Topology& topology,
                                   Plane plane) {
  Cuts cuts(platform, topology, plane);
  std::optional<Bisection> least;
  std::map<std::string, std::vector<Cable>> last;  // of the unit before, by what halves it
  const int nodes = nodes_of_unit(platform, plane);
  for (const int first_node : units_that_differ(platform, nodes)) {
    Bisection found;
    found.first_node = first_node;
    found.nodes = std::min(nodes, platform.nodes - first_node);
    found.dies = found.nodes * platform.dies_per_node();
    found.dies_in_first_half = found.dies / 2;
    const int first_die = first_node * platform.dies_per_node();
    for (const Halving& halving : halvings(platform, topology, plane, first_die, found.dies)) {
      const std::span<const VertexId> order(halving.order);
      const auto middle = static_cast<std::size_t>(found.dies_in_first_half);
      const Halves halves{order.first(middle), order.subspan(middle)};
      const auto in_use = [&](VertexId die) { return cuts.is_whole(die); };
      if (std::ranges::none_of(halves.first, in_use)) continue;
      if (std::ranges::none_of(halves.rest, in_use)) continue;
      std::vector<Cable> cables = cuts.cables(halves);
      if (cables.size() > kMostCutLinks) return std::nullopt;
      const auto before = last.find(halving.by);
      if (before != last.end() && before->second == cables) continue;
      found.halves = halving.by;
      found.bandwidth = maximum_flow(cables);
      if (!least || found.bandwidth < least->bandwidth) least = found;
      last[halving.by] = std::move(cables);
    }
  }
  return least;
}

}  // namespace cmsim::hw
