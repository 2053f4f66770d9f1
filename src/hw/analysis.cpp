#include "cmsim/hw/analysis.hpp"

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <memory>

#include "cmsim/hw/nonminimal.hpp"
#include "plane_links.hpp"

namespace cmsim::hw {
namespace {

constexpr int kChipsPerLogicalSwitch = 2;  // P Table 11 counts L2 switches of two chips
// Of a machine too large for every die: at least, at most, and links looked at in between.
constexpr int kFewestSamples = 16, kMostSamples = 256;
constexpr double kLinksLookedAt = 1e8;

auto links_of(const Graph& graph) { return boost::make_iterator_range(boost::edges(graph)); }
auto vertices_of(const Graph& graph) { return boost::make_iterator_range(boost::vertices(graph)); }

/// One die out of each of `samples` equal parts, at another place in each.
std::vector<VertexId> sample_dies(int dies, int samples) {
  constexpr double kGoldenRatio = 0.6180339887498949;
  std::vector<VertexId> chosen;
  for (int i = 0; i < samples; ++i) {
    const double place = i * kGoldenRatio;
    const double at = (i + place - std::floor(place)) * dies / samples;
    chosen.push_back(static_cast<VertexId>(std::min(dies - 1, static_cast<int>(at))));
  }
  return chosen;
}

/// The ways from one vertex to another.
struct WaysTo {
  Hops hops;
  double mean_hops = 0;
  int between = 0;  // links from switch to switch, of shortest ways the least number
  double ways = 0;
};

class PlaneWays {
 public:
  PlaneWays(const Platform& platform, const Topology& topology, Plane plane)
      : links_(topology, plane), nonminimal_(nonminimal_routes(platform, topology, plane)) {}

  std::size_t links() const { return links_.links(); }

  /// Calls `use` with every vertex in reach, itself included, and the ways to it.
  template <class Use>
  void for_each_end(VertexId from, const Use& use) const {
    Reach reach;
    reach.search(links_, from);
    Ways ways;
    for (const VertexId end : reach.order) {
      if (nonminimal_ && end != from) nonminimal_->find(from, end, ways);
      if (ways.count() > 0 && end != from) {
        use(end, measure(ways));
      } else {
        const Reach::Found& to = reach.to[end];
        use(end, WaysTo{{to.fewest, to.most}, to.links / to.ways, to.between, to.ways});
      }
    }
  }

 private:
  WaysTo measure(const Ways& ways) const {
    WaysTo to;
    to.ways = static_cast<double>(ways.count());
    for (std::size_t i = 0; i < ways.count(); ++i) {
      const auto way = ways.way(i);
      const int hops = static_cast<int>(way.size()) - 1;
      int between = 0;
      for (std::size_t j = 0; j + 1 < way.size(); ++j) {
        between += links_.is_switch(way[j]) && links_.is_switch(way[j + 1]) ? 1 : 0;
      }
      to.hops.least = i == 0 ? hops : std::min(to.hops.least, hops);
      to.hops.most = std::max(to.hops.most, hops);
      to.between = std::max(to.between, between);
      to.mean_hops += hops / to.ways;
    }
    return to;
  }

  PlaneLinks links_;
  std::unique_ptr<NonMinimalRoutes> nonminimal_;
};

}  // namespace

std::vector<ClassSummary> summarise_classes(const Topology& topology) {
  std::vector<ClassSummary> classes;
  for (const LinkClassInfo& info : topology.classes()) {
    ClassSummary summary;
    summary.cls = static_cast<LinkClass>(classes.size());
    summary.name = info.name;
    summary.plane = info.plane;
    summary.least = std::numeric_limits<double>::infinity();
    classes.push_back(summary);
  }
  const Graph& graph = topology.graph();
  for (const auto& edge : links_of(graph)) {
    ClassSummary& summary = classes[graph[edge].cls];
    const BytesPerSecond bandwidth = graph[edge].bandwidth;
    ++summary.links;
    summary.least = std::min(summary.least, bandwidth);
    summary.most = std::max(summary.most, bandwidth);
    summary.capacity += bandwidth / 2;
  }
  std::erase_if(classes, [](const ClassSummary& summary) { return summary.links == 0; });
  return classes;
}

std::vector<Plane> planes_of_switches(const Topology& topology) {
  const Graph& graph = topology.graph();
  std::vector<Plane> planes(boost::num_vertices(graph), Plane::kUb);
  const auto is_endpoint = [&](VertexId v) {
    return graph[v].kind == VertexKind::kDie || graph[v].kind == VertexKind::kCpu;
  };
  for (const auto& edge : links_of(graph)) {
    const Plane plane = topology.classes()[graph[edge].cls].plane;
    for (const VertexId end : {boost::source(edge, graph), boost::target(edge, graph)}) {
      if (!is_endpoint(end)) planes[end] = plane;
    }
  }
  return planes;
}

std::optional<double> TierSummary::oversubscription() const {
  if (up <= 0) return std::nullopt;
  return (from_dies + from_switches) / up;
}

std::optional<double> TierSummary::oversubscription_with_cpus() const {
  if (up <= 0) return std::nullopt;
  return (from_dies + from_switches + from_cpus) / up;
}

std::vector<TierSummary> summarise_tiers(const Topology& topology) {
  const Graph& graph = topology.graph();
  const std::vector<Plane> planes = planes_of_switches(topology);
  std::map<std::pair<Plane, int>, TierSummary> tiers;
  const auto tier_of = [&](VertexId v) -> TierSummary& {
    return tiers[{planes[v], graph[v].tier}];
  };
  const auto is_switch = [&](VertexId v) { return graph[v].kind == VertexKind::kSwitch; };
  for (const VertexId v : vertices_of(graph)) {
    if (!is_switch(v)) continue;
    TierSummary& tier = tier_of(v);
    tier.plane = planes[v];
    tier.tier = graph[v].tier;
    ++tier.switches;
  }
  std::vector<char> leads_up(boost::num_vertices(graph), 0);
  for (const auto& edge : links_of(graph)) {
    const VertexId from = boost::source(edge, graph), to = boost::target(edge, graph);
    if (!is_switch(from) || !is_switch(to)) continue;
    if (graph[to].tier > graph[from].tier) leads_up[from] = 1;
  }
  for (const auto& edge : links_of(graph)) {
    const VertexId from = boost::source(edge, graph), to = boost::target(edge, graph);
    const BytesPerSecond bandwidth = graph[edge].bandwidth;
    if (is_switch(from) && is_switch(to)) {
      if (graph[to].tier > graph[from].tier) tier_of(from).up += bandwidth;
      if (graph[to].tier == graph[from].tier) tier_of(from).across += bandwidth / 2;
    }
    if (!is_switch(to) || leads_up[to] == 0) continue;
    TierSummary& tier = tier_of(to);
    if (graph[from].kind == VertexKind::kDie) tier.from_dies += bandwidth;
    if (graph[from].kind == VertexKind::kCpu) tier.from_cpus += bandwidth;
    if (is_switch(from) && graph[from].tier < graph[to].tier) tier.from_switches += bandwidth;
  }
  std::vector<TierSummary> list;
  for (const auto& [key, tier] : tiers) list.push_back(tier);
  return list;
}

std::optional<SwitchPlan> plan_switches(const Platform& platform) {
  const FabricSpec& fabric = platform.ub.fabric;
  if (fabric.builder != Builder::kClos) return std::nullopt;
  const int nodes = std::min(platform.nodes, platform.nodes_in(fabric.scope));
  const int units = (platform.nodes + nodes - 1) / nodes;
  const int ports = kChipsPerLogicalSwitch * fabric.l2_chip_ports;
  const int uplinks = nodes * fabric.l2_chips_per_plane;
  SwitchPlan plan;
  plan.per_plane = (uplinks + ports - 1) / ports;
  plan.total = plan.per_plane * fabric.sub_planes * units;
  plan.port_utilisation = static_cast<double>(uplinks) / (plan.per_plane * ports);
  return plan;
}

PlaneShape shape_of(const Platform& platform, const Topology& topology, Plane plane,
                    int most_sources) {
  const PlaneWays plane_ways(platform, topology, plane);
  const int dies = topology.count(VertexKind::kDie);
  PlaneShape shape;
  shape.exact = dies <= most_sources;
  shape.sources = dies;
  if (!shape.exact) {
    const double affordable = kLinksLookedAt / static_cast<double>(plane_ways.links() + 1);
    shape.sources = static_cast<int>(std::clamp<double>(affordable, kFewestSamples, kMostSamples));
    shape.sources = std::min(shape.sources, std::max(1, most_sources));
  }
  double pairs = 0, hops = 0, ways = 0;
  shape.least_ways = std::numeric_limits<double>::infinity();
  for (const VertexId source : sample_dies(dies, shape.sources)) {
    plane_ways.for_each_end(source, [&](VertexId end, const WaysTo& to) {
      if (end == source || end >= static_cast<VertexId>(dies)) return;
      ++pairs;
      hops += to.mean_hops;
      ways += to.ways;
      shape.diameter = std::max(shape.diameter, to.hops.most);
      shape.diameter_of_switches = std::max(shape.diameter_of_switches, to.between);
      shape.least_ways = std::min(shape.least_ways, to.ways);
    });
  }
  if (pairs == 0) {
    shape.least_ways = 0;
    return shape;
  }
  shape.joined = pairs / (static_cast<double>(shape.sources) * (dies - 1));
  shape.mean_hops = hops / pairs;
  shape.mean_ways = ways / pairs;
  return shape;
}

std::vector<Hops> hops_from(const Platform& platform, const Topology& topology, Plane plane,
                            VertexId from) {
  std::vector<Hops> hops(boost::num_vertices(topology.graph()));
  PlaneWays(platform, topology, plane).for_each_end(from, [&](VertexId end, const WaysTo& to) {
    hops[end] = to.hops;
  });
  return hops;
}

}  // namespace cmsim::hw
