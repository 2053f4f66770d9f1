#include "plane_links.hpp"

#include <algorithm>
#include <boost/range/iterator_range.hpp>

namespace cmsim::hw {

PlaneLinks::PlaneLinks(const Topology& topology, Plane plane) {
  const Graph& graph = topology.graph();
  first_.push_back(0);
  for (const VertexId vertex : boost::make_iterator_range(boost::vertices(graph))) {
    kinds_.push_back(graph[vertex].kind);
    for (const auto& edge : boost::make_iterator_range(boost::out_edges(vertex, graph))) {
      if (topology.classes()[graph[edge].cls].plane != plane) continue;
      ends_.push_back({boost::target(edge, graph), graph[edge].weight, graph[edge].bandwidth});
      heaviest_ = std::max<int>(heaviest_, graph[edge].weight);
    }
    first_.push_back(static_cast<std::uint32_t>(ends_.size()));
  }
}

/// Dijkstra's, with what waits sorted by length: no link is longer than the heaviest.
void Reach::search(const PlaneLinks& links, VertexId from) {
  to.assign(links.vertices(), {});
  order.clear();
  to[from] = {.length = 0, .ways = 1};
  std::vector<std::vector<VertexId>> waiting(static_cast<std::size_t>(links.heaviest()) + 1);
  waiting[0].push_back(from);
  std::size_t left = 1;
  for (std::int32_t length = 0; left > 0; ++length) {
    auto& now = waiting[static_cast<std::size_t>(length) % waiting.size()];
    for (const VertexId at : now) {
      --left;
      const Found here = to[at];
      if (here.length != length) continue;  // found nearer since
      order.push_back(at);
      if (at != from && !links.passes_on(at)) continue;
      for (const PlaneLinks::End& end : links.from(at)) {
        Found& there = to[end.vertex];
        const std::int32_t through = length + end.weight;
        if (there.length >= 0 && there.length < through) continue;
        const std::int32_t passed =
            here.between + (links.is_switch(at) && links.is_switch(end.vertex) ? 1 : 0);
        const double all_links = here.links + here.ways;
        if (there.length == through) {
          there.fewest = std::min(there.fewest, here.fewest + 1);
          there.most = std::max(there.most, here.most + 1);
          there.between = std::min(there.between, passed);
          there.ways += here.ways;
          there.links += all_links;
          continue;
        }
        there = {through, here.fewest + 1, here.most + 1, passed, here.ways, all_links};
        waiting[static_cast<std::size_t>(through) % waiting.size()].push_back(end.vertex);
        ++left;
      }
    }
    now.clear();
  }
}

}  // namespace cmsim::hw
