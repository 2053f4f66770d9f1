#include "cmsim/hw/cuts.hpp"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/push_relabel_max_flow.hpp>
#include <boost/range/iterator_range.hpp>
#include <cmath>
#include <limits>
#include <map>

namespace cmsim::hw {
namespace {

using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
using Capacity = boost::property<boost::edge_capacity_t, std::int64_t>;
using Residual = boost::property<boost::edge_residual_capacity_t, std::int64_t, Capacity>;
using Reverse = boost::property<boost::edge_reverse_t, Traits::edge_descriptor, Residual>;
using FlowGraph =
    boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, Reverse>;

/// The links between places: each half of the dies is one place, every other vertex its own.
using Cables = std::map<std::pair<std::uint32_t, std::uint32_t>, double>;
constexpr std::uint32_t kFirst = 0, kRest = 1;

Cables cables_between(const Topology& topology, Plane plane, int dies_in_first_half, int dies) {
  const Graph& graph = topology.graph();
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> place(boost::num_vertices(graph), kNone);
  std::vector<VertexId> reached;
  for (VertexId die = 0; die < static_cast<VertexId>(dies); ++die) {
    place[die] = die < static_cast<VertexId>(dies_in_first_half) ? kFirst : kRest;
    reached.push_back(die);
  }
  Cables cables;
  std::uint32_t places = kRest + 1;
  for (std::size_t i = 0; i < reached.size(); ++i) {
    for (const auto& edge : boost::make_iterator_range(boost::out_edges(reached[i], graph))) {
      const VertexId to = boost::target(edge, graph);
      const bool on_plane = topology.classes()[graph[edge].cls].plane == plane;
      if (!on_plane || graph[to].kind == VertexKind::kCpu) continue;
      if (place[to] == kNone) {
        place[to] = places++;
        reached.push_back(to);
      }
      if (place[to] == place[reached[i]] || place[to] == kFirst || place[reached[i]] == kRest) {
        continue;
      }
      cables[{place[reached[i]], place[to]}] += graph[edge].bandwidth;
      if (cables.size() > kMostCutLinks) return cables;
    }
  }
  return cables;
}

BytesPerSecond maximum_flow(const Cables& cables) {
  double sum = 0;
  std::uint32_t places = kRest + 1;
  for (const auto& [ends, bandwidth] : cables) {
    sum += bandwidth;
    places = std::max({places, ends.first + 1, ends.second + 1});
  }
  // Whole bytes/s, coarser only where their sum would not be exact in a double.
  const double unit = std::max(1.0, std::ceil(sum / 9e15));
  FlowGraph graph(places);
  const auto capacity = boost::get(boost::edge_capacity, graph);
  const auto reverse = boost::get(boost::edge_reverse, graph);
  for (const auto& [ends, bandwidth] : cables) {
    const auto forth = boost::add_edge(ends.first, ends.second, graph).first;
    const auto back = boost::add_edge(ends.second, ends.first, graph).first;
    capacity[forth] = std::llround(bandwidth / unit);
    capacity[back] = 0;
    reverse[forth] = back;
    reverse[back] = forth;
  }
  return unit * static_cast<double>(boost::push_relabel_max_flow(graph, kFirst, kRest));
}

}  // namespace

std::optional<Bisection> bisection(const Platform& platform, const Topology& topology,
                                   Plane plane) {
  const Scope scope = plane == Plane::kUb ? platform.ub.fabric.scope : Scope::kAll;
  Bisection found;
  found.nodes = std::min(platform.nodes, platform.nodes_in(scope));
  found.dies = found.nodes * platform.dies_per_node();
  found.dies_in_first_half =
      found.nodes > 1 ? found.nodes / 2 * platform.dies_per_node() : found.dies / 2;
  if (found.dies_in_first_half == 0) return std::nullopt;
  const Cables cables = cables_between(topology, plane, found.dies_in_first_half, found.dies);
  if (cables.size() > kMostCutLinks) return std::nullopt;
  found.bandwidth = maximum_flow(cables);
  return found;
}

}  // namespace cmsim::hw
