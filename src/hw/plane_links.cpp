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
      ends_.push_back(boost::target(edge, graph));
    }
    first_.push_back(static_cast<std::uint32_t>(ends_.size()));
  }
}

void Reach::search(const PlaneLinks& links, VertexId from) {
  hops.assign(links.vertices(), -1);
  between.assign(links.vertices(), 0);
  ways.assign(links.vertices(), 0);
  order.assign(1, from);
  hops[from] = 0;
  ways[from] = 1;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const VertexId at = order[i];
    if (i > 0 && !links.passes_on(at)) continue;
    for (const VertexId end : links.from(at)) {
      const std::int32_t passed =
          between[at] + (links.is_switch(at) && links.is_switch(end) ? 1 : 0);
      if (hops[end] < 0) {
        hops[end] = hops[at] + 1;
        between[end] = passed;
        order.push_back(end);
      }
      if (hops[end] != hops[at] + 1) continue;
      ways[end] += ways[at];
      between[end] = std::min(between[end], passed);
    }
  }
}

}  // namespace cmsim::hw
