#include "cmsim/hw/capacities.hpp"

#include <boost/range/iterator_range.hpp>

#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {

PortCapacities read_capacities(const Platform& p) {
  const Topology topology(p);
  const auto planes = static_cast<std::size_t>(p.ub.sub_planes);
  const auto chips = static_cast<std::size_t>(p.ub.l2_chips_per_plane);
  const auto dies = static_cast<std::size_t>(p.dies());
  const auto nodes = static_cast<std::size_t>(p.nodes);
  PortCapacities c{std::vector<double>(dies * planes),
                   std::vector<double>(static_cast<std::size_t>(p.cpus()) * planes),
                   std::vector<double>(nodes * planes * chips),
                   std::vector<double>(dies),
                   std::vector<double>(dies),
                   std::vector<double>(nodes)};
  const Graph& graph = topology.graph();
  for (const auto& edge : boost::make_iterator_range(boost::edges(graph))) {
    const Vertex& from = graph[boost::source(edge, graph)];
    const Vertex& to = graph[boost::target(edge, graph)];
    const Link& link = graph[edge];
    const auto index = static_cast<std::size_t>(from.index);
    const auto plane = static_cast<std::size_t>(link.plane);
    switch (link.cls) {
      case LinkClass::kDieUb:
        if (from.kind == VertexKind::kDie) c.die_ub[index * planes + plane] += link.bandwidth;
        break;
      case LinkClass::kCpuUb:
        if (from.kind == VertexKind::kCpu) c.cpu_ub[index * planes + plane] += link.bandwidth;
        break;
      case LinkClass::kUplink:
        if (from.kind == VertexKind::kL1Chip) {
          const auto node = static_cast<std::size_t>(from.node);
          const auto chip = static_cast<std::size_t>(to.index);
          c.uplink[(node * planes + plane) * chips + chip] += link.bandwidth;
        }
        break;
      case LinkClass::kDieToDie:
        c.die_to_die[index] += link.bandwidth;
        break;
      case LinkClass::kRdma:
        if (from.kind == VertexKind::kDie) c.rdma[index] += link.bandwidth;
        break;
      case LinkClass::kVpc:
        if (from.kind == VertexKind::kVpcCard) {
          c.vpc[static_cast<std::size_t>(from.node)] += link.bandwidth;
        }
        break;
      case LinkClass::kPcie:
        break;
    }
  }
  return c;
}

}  // namespace cmsim::hw
