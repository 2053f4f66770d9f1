#include "port_graph.hpp"

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace cmsim::coll {
namespace {

constexpr double kRounding = 1 + 1e-9;

using hw::Vertex;
using hw::VertexKind;

bool is_switch(const Vertex& v) { return v.kind == VertexKind::kSwitch; }
bool is_endpoint(const Vertex& v) {
  return v.kind == VertexKind::kDie || v.kind == VertexKind::kCpu;
}
/// How far from the dies: endpoints, then cards, then switches by tier.
int height(const Vertex& v) {
  if (is_endpoint(v)) return -1;
  return is_switch(v) ? v.tier : 0;
}
/// In [0, 1), other for every pair (multiples of the golden ratio lie apart).
double offset_of(std::int32_t from, std::int32_t to) {
  const double turns = (from + 1.0) * 0.6180339887498949 + (to + 1.0) * 0.7548776662466927;
  return turns - std::floor(turns);
}

}  // namespace

/// Which vertices are one place.
class PortGraph::Quotient {
 public:
  Quotient(const hw::Topology& topology, hw::Spread spread) {
    const hw::Graph& graph = topology.graph();
    std::map<std::pair<std::int32_t, std::int16_t>, std::int32_t> places;
    for (const hw::VertexId id : boost::make_iterator_range(boost::vertices(graph))) {
      const Vertex& vertex = graph[id];
      auto place = static_cast<std::int32_t>(first_.size());
      if (is_switch(vertex) && spread != hw::Spread::kHash) {
        const std::int16_t lane = spread == hw::Spread::kStripe ? vertex.lane : std::int16_t{-1};
        place = places.try_emplace({vertex.pool, lane}, place).first->second;
      }
      if (place == static_cast<std::int32_t>(first_.size())) first_.push_back(id);
      of_.push_back(place);
    }
  }
  std::int32_t of(hw::VertexId id) const { return of_[id]; }
  std::size_t size() const { return first_.size(); }

 private:
  std::vector<std::int32_t> of_;
  std::vector<hw::VertexId> first_;
};

PortGraph::PortGraph(const hw::Platform& platform, const hw::Topology& topology, Uplinks uplinks) {
  const hw::Graph& graph = topology.graph();
  const hw::Spread spread = platform.ub.spread;
  const Quotient quotient(topology, spread);
  struct Made {
    Port port;
    std::int32_t from, to;
    std::size_t number;
  };
  std::vector<Made> made;
  // By ends, those of one class and weight: links that have all in common have one port.
  std::map<std::pair<hw::LinkClass, std::uint8_t>, std::unordered_map<std::uint64_t, std::size_t>>
      known;
  for (const auto& edge : boost::make_iterator_range(boost::edges(graph))) {
    const hw::VertexId source = boost::source(edge, graph), target = boost::target(edge, graph);
    const Vertex &from = graph[source], &to = graph[target];
    const hw::Link& link = graph[edge];
    const std::int32_t a = quotient.of(source), b = quotient.of(target);
    const std::uint64_t ends = static_cast<std::uint64_t>(static_cast<std::uint32_t>(a)) << 32 |
                               static_cast<std::uint32_t>(b);
    const auto [place, is_new] = known[{link.cls, link.weight}].try_emplace(ends, made.size());
    port_of_link_.push_back(static_cast<PortId>(place->second));
    if (!is_new) {
      made[place->second].port.capacity += link.bandwidth;
      continue;
    }
    const bool begins_at_owner = height(from) <= height(to);
    const Vertex& owner = begins_at_owner ? from : to;
    const Vertex& other = begins_at_owner ? to : from;
    Port port;
    port.cls = link.cls;
    port.direction = begins_at_owner ? Direction::kOut : Direction::kIn;
    port.weight = link.weight;
    port.capacity = link.bandwidth;
    port.node = owner.node;
    port.to_switch = !(is_endpoint(from) && is_endpoint(to));
    port.in_paths = topology.classes()[link.cls].binds;
    if (owner.kind == VertexKind::kDie || owner.kind == VertexKind::kCpu) {
      port.kind = owner.kind == VertexKind::kDie ? Port::Owner::kDie : Port::Owner::kCpu;
      port.owner = owner.index;
    } else if (owner.node >= 0) {
      port.kind = Port::Owner::kNode;
      port.owner = owner.node;
    } else {
      port.kind = Port::Owner::kSwitch;
      port.owner = static_cast<std::int32_t>(begins_at_owner ? source : target);
    }
    const bool several = !port.to_switch || height(from) == height(to);
    if (several) port.peer = static_cast<std::int32_t>(begins_at_owner ? target : source);
    if (spread != hw::Spread::kAdaptive) port.lane = link.lane;
    if (spread == hw::Spread::kHash && is_switch(owner) && other.tier > owner.tier) {
      port.chip = static_cast<std::int16_t>(other.index);
    }
    made.push_back({port, a, b, made.size()});
  }

  // By class, owner, sub-plane and chip, out before in.
  const auto order = [](const Made& one) {
    const Port& p = one.port;
    return std::tuple(p.cls, p.kind, p.owner, p.lane, p.chip, p.peer, p.direction);
  };
  std::stable_sort(made.begin(), made.end(),
                   [&](const Made& a, const Made& b) { return order(a) < order(b); });

  std::vector<PortId> place_of(made.size());
  for (std::size_t i = 0; i < made.size(); ++i) {
    const Made& one = made[i];
    place_of[one.number] = static_cast<PortId>(i);
    ports_.push_back(one.port);
    ends_.emplace_back(one.from, one.to);
  }
  for (PortId& port : port_of_link_) port = place_of[static_cast<std::size_t>(port)];

  height_.assign(quotient.size(), -1);
  is_cpu_.assign(quotient.size(), 0);
  for (const hw::VertexId id : boost::make_iterator_range(boost::vertices(graph))) {
    const auto place = static_cast<std::size_t>(quotient.of(id));
    height_[place] = static_cast<std::int8_t>(height(graph[id]));
    is_cpu_[place] = graph[id].kind == VertexKind::kCpu;
    place_of_.push_back(quotient.of(id));
  }
  if (uplinks == Uplinks::kWhenNpusCanFillThem && spread != hw::Spread::kHash) {
    std::vector<BytesPerSecond> capacities;
    for (const Port& port : ports_) capacities.push_back(port.capacity);
    const std::vector<char> binding = binding_uplinks(capacities);
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      if (is_uplink(i) && binding[i] == 0) ports_[i].in_paths = false;
    }
  }
  add_planes(topology.classes());
  for (const Plane plane : {Plane::kUb, Plane::kRdma}) {
    nonminimal_[static_cast<std::size_t>(plane)] = hw::nonminimal_routes(platform, topology, plane);
  }
}

bool PortGraph::is_uplink(std::size_t port) const {
  const auto a = static_cast<std::size_t>(ends_[port].first);
  const auto b = static_cast<std::size_t>(ends_[port].second);
  return height_[a] > 0 && height_[b] > 0 && height_[a] != height_[b];
}

/// A port between switches cannot bind when all that enters its lower end from dies and switches
/// below is no more than it carries.
std::vector<char> PortGraph::binding_uplinks(std::span<const BytesPerSecond> capacities) const {
  std::vector<double> from_below(height_.size(), 0);
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    const auto a = static_cast<std::size_t>(ends_[i].first);
    const auto b = static_cast<std::size_t>(ends_[i].second);
    if (height_[b] > 0 && height_[a] < height_[b] && is_cpu_[a] == 0) {
      from_below[b] += capacities[i];
    }
  }
  std::vector<char> binding(ends_.size(), 0);
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    if (!is_uplink(i)) continue;
    const auto a = static_cast<std::size_t>(ends_[i].first);
    const auto b = static_cast<std::size_t>(ends_[i].second);
    const std::size_t lower = height_[a] < height_[b] ? a : b;
    binding[i] = from_below[lower] > capacities[i] * kRounding;
  }
  return binding;
}

std::optional<PortId> PortGraph::left_out_but_binding(
    std::span<const BytesPerSecond> capacities) const {
  const std::vector<char> binding = binding_uplinks(capacities);
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    if (binding[i] != 0 && !ports_[i].in_paths) return static_cast<PortId>(i);
  }
  return std::nullopt;
}

void PortGraph::drop_lost(std::span<const BytesPerSecond> capacities) {
  const auto drop = [&](std::vector<std::uint32_t>& first, std::vector<Edge>& edges) {
    std::uint32_t at = 0, kept = 0;
    for (std::size_t vertex = 0; vertex + 1 < first.size(); ++vertex) {
      first[vertex] = kept;
      for (const std::uint32_t end = first[vertex + 1]; at < end; ++at) {
        if (capacities[static_cast<std::size_t>(edges[at].port)] > 0) edges[kept++] = edges[at];
      }
    }
    first.back() = kept;
    edges.resize(kept);
  };
  for (PlaneGraph& graph : planes_) {
    drop(graph.first, graph.edges);
    drop(graph.first_in, graph.edges_in);
    graph.distances.clear();
  }
}

void PortGraph::add_planes(std::span<const hw::LinkClassInfo> classes) {
  const std::size_t vertices = height_.size();
  for (PlaneGraph& graph : planes_) {
    graph.first.assign(vertices + 1, 0);
    graph.first_in.assign(vertices + 1, 0);
  }
  const auto plane_of = [&](std::size_t port) -> PlaneGraph& {
    return planes_[static_cast<std::size_t>(classes[ports_[port].cls].plane)];
  };
  for (std::size_t port = 0; port < ends_.size(); ++port) {
    ++plane_of(port).first[static_cast<std::size_t>(ends_[port].first) + 1];
    ++plane_of(port).first_in[static_cast<std::size_t>(ends_[port].second) + 1];
  }
  std::vector<std::uint32_t> next[hw::kPlanes], next_in[hw::kPlanes];
  for (std::size_t plane = 0; plane < hw::kPlanes; ++plane) {
    PlaneGraph& graph = planes_[plane];
    std::partial_sum(graph.first.begin(), graph.first.end(), graph.first.begin());
    std::partial_sum(graph.first_in.begin(), graph.first_in.end(), graph.first_in.begin());
    graph.edges.resize(graph.first.back());
    graph.edges_in.resize(graph.first_in.back());
    next[plane] = graph.first;
    next_in[plane] = graph.first_in;
  }
  for (std::size_t port = 0; port < ends_.size(); ++port) {
    const auto plane = static_cast<std::size_t>(classes[ports_[port].cls].plane);
    const auto [from, to] = ends_[port];
    const Distance weight = ports_[port].weight;
    planes_[plane].heaviest = std::max(planes_[plane].heaviest, weight);
    planes_[plane].edges[next[plane][static_cast<std::size_t>(from)]++] = {
        to, static_cast<PortId>(port), weight};
    planes_[plane].edges_in[next_in[plane][static_cast<std::size_t>(to)]++] = {
        from, static_cast<PortId>(port), weight};
  }
  for (PlaneGraph& graph : planes_) find_components(graph, vertices);
}

void PortGraph::find_components(PlaneGraph& graph, std::size_t vertices) {
  graph.component.assign(vertices, -1);
  graph.place.assign(vertices, 0);
  std::vector<std::int32_t> queue;
  for (std::size_t start = 0; start < vertices; ++start) {
    if (graph.component[start] >= 0) continue;
    const auto id = static_cast<std::int32_t>(graph.sizes.size());
    queue.assign(1, static_cast<std::int32_t>(start));
    graph.component[start] = id;
    const auto visit = [&](std::int32_t vertex) {
      std::int32_t& component = graph.component[static_cast<std::size_t>(vertex)];
      if (component >= 0) return;
      component = id;
      queue.push_back(vertex);
    };
    for (std::size_t i = 0; i < queue.size(); ++i) {
      const auto at = static_cast<std::size_t>(queue[i]);
      graph.place[at] = static_cast<std::int32_t>(i);
      for (auto e = graph.first[at]; e < graph.first[at + 1]; ++e) visit(graph.edges[e].end);
      for (auto e = graph.first_in[at]; e < graph.first_in[at + 1]; ++e)
        visit(graph.edges_in[e].end);
    }
    graph.sizes.push_back(static_cast<std::int32_t>(queue.size()));
  }
}

const std::vector<PortGraph::Distance>* PortGraph::distances_to(const PlaneGraph& graph,
                                                                std::int32_t from,
                                                                std::int32_t to) const {
  const auto a = static_cast<std::size_t>(from), b = static_cast<std::size_t>(to);
  if (graph.component[a] != graph.component[b]) return nullptr;
  if (graph.distances.empty()) graph.distances.resize(graph.component.size());
  std::vector<Distance>& distances = graph.distances[b];
  if (distances.empty()) distances = find_distances(graph, to);
  return distances[static_cast<std::size_t>(graph.place[a])] == kFar ? nullptr : &distances;
}

/// Dijkstra's, with what waits sorted by distance: no edge is longer than the heaviest.
std::vector<PortGraph::Distance> PortGraph::find_distances(const PlaneGraph& graph,
                                                           std::int32_t to) const {
  const auto component = static_cast<std::size_t>(graph.component[static_cast<std::size_t>(to)]);
  std::vector<Distance> distances(static_cast<std::size_t>(graph.sizes[component]), kFar);
  const auto distance = [&](std::int32_t vertex) -> Distance& {
    return distances[static_cast<std::size_t>(graph.place[static_cast<std::size_t>(vertex)])];
  };
  std::vector<std::vector<std::int32_t>> waiting(std::size_t{graph.heaviest} + 1);
  waiting[0].push_back(to);
  distance(to) = 0;
  std::size_t left = 1;
  for (std::size_t length = 0; left > 0; ++length) {
    auto& now = waiting[length % waiting.size()];
    for (const std::int32_t vertex : now) {
      --left;
      const auto at = static_cast<std::size_t>(vertex);
      if (distance(vertex) != length) continue;  // found nearer since
      if (vertex != to && is_cpu_[at] != 0) continue;
      for (auto e = graph.first_in[at]; e < graph.first_in[at + 1]; ++e) {
        const Edge& edge = graph.edges_in[e];
        Distance& there = distance(edge.end);
        if (length + edge.weight >= there) continue;
        there = static_cast<Distance>(length + edge.weight);
        waiting[there % waiting.size()].push_back(edge.end);
        ++left;
      }
    }
    now.clear();
  }
  return distances;
}

template <class Use>
void PortGraph::for_each_nearer(const PlaneGraph& graph, const std::vector<Distance>& distances,
                                std::int32_t at, std::int32_t to, const Use& use) const {
  const auto distance = [&](std::int32_t vertex) {
    return distances[static_cast<std::size_t>(graph.place[static_cast<std::size_t>(vertex)])];
  };
  const auto here = static_cast<std::size_t>(at), there = static_cast<std::size_t>(to);
  const Distance left = distance(at);
  if (left == 1) {  // a switch may have a thousand links, a die has few
    for (auto e = graph.first_in[there]; e < graph.first_in[there + 1]; ++e) {
      const Edge& edge = graph.edges_in[e];
      if (edge.end == at && edge.weight == left) use(Edge{to, edge.port, edge.weight});
    }
    return;
  }
  for (auto e = graph.first[here]; e < graph.first[here + 1]; ++e) {
    const Edge& edge = graph.edges[e];
    if (edge.end != to && is_cpu_[static_cast<std::size_t>(edge.end)] != 0) continue;
    if (distance(edge.end) + edge.weight == left) use(edge);
  }
}

bool PortGraph::walk(const PlaneGraph& graph, const std::vector<Distance>& distances,
                     std::int32_t at, std::int32_t to, std::vector<PortId>& way, Path& path,
                     int& count) const {
  if (at == to) {
    if (count == kMostWays) return false;
    if (count++ > 0) path.later_ways.push_back(static_cast<std::uint32_t>(path.ports.size()));
    path.ports.insert(path.ports.end(), way.begin(), way.end());
    return true;
  }
  bool all = true;
  for_each_nearer(graph, distances, at, to, [&](const Edge& edge) {
    if (!all) return;
    const bool named = ports_[static_cast<std::size_t>(edge.port)].in_paths;
    if (named) way.push_back(edge.port);
    all = walk(graph, distances, edge.end, to, way, path, count);
    if (named) way.pop_back();
  });
  return all;
}

double PortGraph::count_ways(const PlaneGraph& graph, const std::vector<Distance>& distances,
                             std::int32_t at, std::int32_t to, WayCounts& counts) const {
  if (at == to) return 1;
  if (const auto known = counts.find(at); known != counts.end()) return known->second;
  double ways = 0;
  for_each_nearer(graph, distances, at, to, [&](const Edge& edge) {
    ways += count_ways(graph, distances, edge.end, to, counts);
  });
  return counts[at] = ways;
}

/// All ways in their order are cut into kMostWays equal parts, and of each the one at `offset` of
/// its length is taken.
void PortGraph::sample_ways(const PlaneGraph& graph, const std::vector<Distance>& distances,
                            std::int32_t from, std::int32_t to, double offset, Path& path) const {
  WayCounts counts;
  const double all = count_ways(graph, distances, from, to, counts);
  for (int i = 0; i < kMostWays; ++i) {
    if (i > 0) path.later_ways.push_back(static_cast<std::uint32_t>(path.ports.size()));
    double before = (i + offset) / kMostWays * all;  // ways ahead of the one that is looked for
    for (std::int32_t at = from; at != to;) {
      Edge chosen;  // the last one, should rounding leave none
      bool found = false;
      for_each_nearer(graph, distances, at, to, [&](const Edge& edge) {
        if (found) return;
        chosen = edge;
        const double ways = count_ways(graph, distances, edge.end, to, counts);
        found = before < ways;
        if (!found) before -= ways;
      });
      if (ports_[static_cast<std::size_t>(chosen.port)].in_paths) path.ports.push_back(chosen.port);
      at = chosen.end;
    }
  }
}

void PortGraph::hashed_way(const PlaneGraph& graph, const std::vector<Distance>& distances,
                           std::int32_t from, std::int32_t to, std::uint64_t hash,
                           std::vector<PortId>& ports) const {
  std::vector<Edge> nearer;
  for (std::int32_t at = from; at != to;) {
    nearer.clear();
    for_each_nearer(graph, distances, at, to, [&](const Edge& edge) { nearer.push_back(edge); });
    const Edge& chosen = nearer[hash % nearer.size()];
    hash /= nearer.size();
    if (ports_[static_cast<std::size_t>(chosen.port)].in_paths) ports.push_back(chosen.port);
    at = chosen.end;
  }
}

int PortGraph::links_of_shortest(const PlaneGraph& graph, const std::vector<Distance>& distances,
                                 std::int32_t from, std::int32_t to) const {
  int links = 0;
  for (std::int32_t at = from; at != to; ++links) {
    std::int32_t next = to;
    for_each_nearer(graph, distances, at, to, [&](const Edge& edge) { next = edge.end; });
    at = next;
  }
  return links;
}

bool PortGraph::add_way(const PlaneGraph& graph, std::span<const hw::VertexId> way,
                        std::vector<PortId>& ports) const {
  const std::size_t before = ports.size();
  for (std::size_t i = 0; i + 1 < way.size(); ++i) {
    const std::int32_t to = place_of_[way[i + 1]];
    const auto at = static_cast<std::size_t>(place_of_[way[i]]);
    auto e = graph.first[at];
    while (e < graph.first[at + 1] && graph.edges[e].end != to) ++e;
    if (e == graph.first[at + 1]) {
      ports.resize(before);
      return false;
    }
    ports.push_back(graph.edges[e].port);
  }
  return true;
}

int PortGraph::nonminimal_ways(Plane plane, std::int32_t from, std::int32_t to,
                               std::optional<std::uint64_t> hash, Path& path) const {
  const auto& routes = nonminimal_[static_cast<std::size_t>(plane)];
  if (routes == nullptr) return 0;
  const PlaneGraph& graph = planes_[static_cast<std::size_t>(plane)];
  hw::Ways ways;
  routes->find(static_cast<hw::VertexId>(from), static_cast<hw::VertexId>(to), ways);
  std::vector<std::uint32_t> ends;
  for (std::size_t i = 0; i < ways.count(); ++i) {
    if (!add_way(graph, ways.way(i), path.ports)) continue;
    ends.push_back(static_cast<std::uint32_t>(path.ports.size()));
  }
  if (ends.empty()) return 0;
  if (hash) {
    const std::size_t chosen = *hash % ends.size();
    const auto begin = path.ports.begin();
    path.ports.erase(begin + ends[chosen], path.ports.end());
    if (chosen > 0) path.ports.erase(begin, begin + ends[chosen - 1]);
    return static_cast<int>(path.ports.size());
  }
  path.later_ways.assign(ends.begin(), ends.end() - 1);
  std::uint32_t longest = 0, first = 0;
  for (const std::uint32_t end : ends) longest = std::max(longest, end - std::exchange(first, end));
  return static_cast<int>(longest);
}

std::optional<int> PortGraph::find_ways(Plane plane, std::int32_t from, std::int32_t to,
                                        std::optional<std::uint64_t> hash, Path& path) const {
  const PlaneGraph& graph = planes_[static_cast<std::size_t>(plane)];
  const std::vector<Distance>* distances = distances_to(graph, from, to);
  if (distances == nullptr) return std::nullopt;
  if (const int longest = nonminimal_ways(plane, from, to, hash, path)) {
    return longest - links_of_shortest(graph, *distances, from, to);
  }
  if (hash) {
    hashed_way(graph, *distances, from, to, *hash, path.ports);
  } else {
    std::vector<PortId> way;
    int count = 0;
    if (!walk(graph, *distances, from, to, way, path, count)) {
      path.ports.clear();
      path.later_ways.clear();
      sample_ways(graph, *distances, from, to, offset_of(from, to), path);
    }
  }
  return 0;
}

}  // namespace cmsim::coll
