#include "cmsim/hw/topology.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/range/iterator_range.hpp>

#include "graph_builder.hpp"

namespace cmsim::hw {
namespace {

void build_unit(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit) {
  switch (fabric.builder) {
    case Builder::kClos:
      return build_clos(builder, fabric, unit);
    case Builder::kSwitch:
      return build_switch(builder, fabric, unit);
    case Builder::kFullMesh:
    case Builder::kTorus:
      return build_mesh(builder, fabric, unit);
    case Builder::kFatTree:
      return build_fat_tree(builder, fabric, unit);
    case Builder::kDragonfly:
      return build_dragonfly(builder, fabric, unit);
    case Builder::kEdges:
      return build_edges(builder, fabric, unit);
  }
}

/// A copy of the fabric in every unit of its scope; a list of edges names all that there is.
void build_units(GraphBuilder& builder, const FabricSpec& fabric, Unit unit) {
  const Platform& p = builder.platform();
  const int nodes = fabric.builder == Builder::kEdges ? p.nodes : p.nodes_in(fabric.scope);
  for (unit.first_node = 0; unit.first_node < p.nodes; unit.first_node += nodes) {
    unit.nodes = std::min(nodes, p.nodes - unit.first_node);
    build_unit(builder, fabric, unit);
  }
}

void build_packages(GraphBuilder& builder) {
  const Platform& p = builder.platform();
  if (p.dies_per_npu < 2) return;
  const LinkClass cls = builder.link_class("die_to_die", Plane::kUb);
  for (int first = 0; first < p.dies(); first += p.dies_per_npu) {
    for (int a = first; a < first + p.dies_per_npu; ++a) {
      for (int b = a + 1; b < first + p.dies_per_npu; ++b) {
        builder.add_both_ways(builder.die(a), builder.die(b),
                              {cls, -1, p.die.die_to_die_bandwidth});
      }
    }
  }
}

/// A card a node, the way out and the way in apart, so that traffic of a node to itself uses both.
void build_vpc(GraphBuilder& builder) {
  const Platform& p = builder.platform();
  const LinkClass card_link = builder.link_class("vpc", Plane::kVpc);
  const LinkClass pcie = builder.link_class("pcie", Plane::kVpc, false);
  const double bandwidth = p.vpc.bandwidth_per_node;
  const VertexId network =
      builder.add_vertex({.kind = VertexKind::kSwitch, .tier = 1, .pool = builder.new_pool()});
  for (int node = 0; node < p.nodes; ++node) {
    const VertexId out = builder.add_vertex({.kind = VertexKind::kCard, .node = node});
    const VertexId in = builder.add_vertex({.kind = VertexKind::kCard, .node = node, .index = 1});
    builder.add_link(out, network, {card_link, -1, bandwidth});
    builder.add_link(network, in, {card_link, -1, bandwidth});
    const auto join = [&](VertexId endpoint) {
      builder.add_link(endpoint, out, {pcie, -1, bandwidth});
      builder.add_link(in, endpoint, {pcie, -1, bandwidth});
    };
    for (int i = 0; i < p.dies_per_node(); ++i) join(builder.die(node * p.dies_per_node() + i));
    for (int i = 0; i < p.cpus_per_node; ++i) join(builder.cpu(node * p.cpus_per_node + i));
  }
}

}  // namespace

const char* to_string(Plane plane) {
  switch (plane) {
    case Plane::kUb:
      return "ub";
    case Plane::kRdma:
      return "rdma";
    case Plane::kVpc:
      return "vpc";
  }
  return "";
}

Topology::Topology(const Platform& platform) : dies_(platform.dies()) {
  GraphBuilder builder(platform);
  Unit unit;
  const bool direct = platform.ub.fabric.builder == Builder::kFullMesh ||
                      platform.ub.fabric.builder == Builder::kTorus;
  if (!direct) unit.die = builder.link_class("die_ub", Plane::kUb);
  unit.cpu = builder.link_class("cpu_ub", Plane::kUb);
  unit.cpu_bandwidth = platform.ub.cpu_bandwidth;
  build_units(builder, platform.ub.fabric, unit);
  if (platform.ub.inside_node) {
    Unit inside;
    inside.die = builder.link_class("die_node", Plane::kUb);
    build_units(builder, *platform.ub.inside_node, inside);
  }
  build_packages(builder);
  Unit scale_out;
  scale_out.plane = Plane::kRdma;
  scale_out.die = builder.link_class("rdma", Plane::kRdma);
  scale_out.cpu_bandwidth = platform.rdma.cpu_bandwidth;
  if (scale_out.cpu_bandwidth > 0) scale_out.cpu = builder.link_class("cpu_rdma", Plane::kRdma);
  build_units(builder, platform.rdma.fabric, scale_out);
  build_vpc(builder);
  builder.apply_faults();
  graph_ = builder.graph();
  classes_ = std::move(builder).classes();
  switch_names_ = std::move(builder).switch_names();
}

VertexId Topology::vertex_of(Endpoint endpoint) const {
  return static_cast<VertexId>(endpoint.kind == EndpointKind::kDie ? endpoint.index
                                                                   : dies_ + endpoint.index);
}

std::string name_of(const Vertex& vertex, std::span<const std::string> switch_names) {
  switch (vertex.kind) {
    case VertexKind::kDie:
      return to_string(hw::die(vertex.index));
    case VertexKind::kCpu:
      return to_string(hw::cpu(vertex.index));
    case VertexKind::kCard:
      return fmt::format("card{}:{}", vertex.index == 0 ? "" : "-in", vertex.node);
    case VertexKind::kSwitch:
      break;
  }
  if (vertex.name >= 0) return switch_names[static_cast<std::size_t>(vertex.name)];
  if (vertex.lane < 0) return fmt::format("l{}:{}", vertex.tier, vertex.index);
  if (vertex.node >= 0) return fmt::format("l{}:{}/{}", vertex.tier, vertex.node, vertex.lane);
  return fmt::format("l{}:{}/{}", vertex.tier, vertex.lane, vertex.index);
}

std::string Topology::name_of(VertexId id) const { return hw::name_of(graph_[id], switch_names_); }
double Topology::left_of(std::span<const Fault> faults, const EdgeId& link) const {
  return hw::left_of(faults, graph_[boost::source(link, graph_)],
                     graph_[boost::target(link, graph_)], classes_[graph_[link].cls].plane,
                     switch_names_);
}

int Topology::count(VertexKind kind) const {
  const auto [begin, end] = boost::vertices(graph_);
  return static_cast<int>(
      std::count_if(begin, end, [&](VertexId v) { return graph_[v].kind == kind; }));
}

int Topology::switches(int tier) const {
  const auto [begin, end] = boost::vertices(graph_);
  return static_cast<int>(std::count_if(begin, end, [&](VertexId v) {
    return graph_[v].kind == VertexKind::kSwitch && graph_[v].tier == tier;
  }));
}

int Topology::count(std::string_view cls) const {
  const auto [begin, end] = boost::edges(graph_);
  return static_cast<int>(std::count_if(
      begin, end, [&](const auto& e) { return classes_[graph_[e].cls].name == cls; }));
}

BytesPerSecond Topology::capacity(std::string_view cls) const {
  BytesPerSecond sum = 0;
  for (const auto& e : boost::make_iterator_range(boost::edges(graph_))) {
    if (classes_[graph_[e].cls].name == cls) sum += graph_[e].bandwidth;
  }
  return sum;
}

std::int64_t links_in(const Platform& p) {
  const auto links = [&](const FabricSpec& fabric, std::int64_t endpoints) {
    const std::int64_t dies = p.dies(), nodes = p.nodes;
    std::int64_t count = endpoints * fabric.sub_planes;
    switch (fabric.builder) {
      case Builder::kClos:
        return count + nodes * fabric.sub_planes * fabric.l2_chips_per_plane;
      case Builder::kSwitch:
        return count;
      case Builder::kFullMesh:
      case Builder::kTorus:
        for (const MeshDimension& dimension : fabric.dimensions) count += dies * dimension.size;
        return count;
      case Builder::kFatTree: {
        const std::int64_t leaves = dies / fabric.leaf_ports + fabric.rails;
        const std::int64_t pods =
            fabric.leaves_per_pod > 0 ? leaves / fabric.leaves_per_pod + 1 : 1;
        return count + leaves * fabric.spines + pods * fabric.spines * fabric.cores;
      }
      case Builder::kDragonfly: {
        const std::int64_t routers = dies / fabric.dies_per_router + fabric.routers_per_group;
        const std::int64_t groups = routers / fabric.routers_per_group + 1;
        return count + routers * fabric.routers_per_group + groups * groups;
      }
      case Builder::kEdges:
        return count + static_cast<std::int64_t>(fabric.edges.size());
    }
    return count;
  };
  const std::int64_t dies = p.dies(), endpoints = dies + p.cpus();
  std::int64_t count = links(p.ub.fabric, endpoints) + links(p.rdma.fabric, endpoints) + endpoints +
                       dies * (p.dies_per_npu - 1) + p.nodes;
  if (p.ub.inside_node) count += links(*p.ub.inside_node, dies);
  return 2 * count;
}

}  // namespace cmsim::hw
