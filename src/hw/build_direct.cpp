// Fabrics whose dies or routers are joined to each other: mesh, torus, dragonfly, explicit lists.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "graph_builder.hpp"

namespace cmsim::hw {
namespace {

/// Of a link between groups: a minimal way has as few of them as it can, and the fewest links of
/// its groups only then (Kim et al., ISCA 2008: local, global, local).
constexpr std::uint8_t kGlobalWeight = 16;

/// Every CPU has a link to each die of its share of the node, which divide its bandwidth.
void join_cpus_to_dies(GraphBuilder& builder, const Unit& unit) {
  const Platform& p = builder.platform();
  if (unit.cpu_bandwidth == 0) return;
  const int dies = p.dies_per_node(), cpus = p.cpus_per_node;
  for (int node = unit.first_node; node < unit.first_node + unit.nodes; ++node) {
    for (int i = 0; i < cpus; ++i) {
      const int first = i * dies / cpus, last = std::max(first + 1, (i + 1) * dies / cpus);
      for (int die = first; die < last; ++die) {
        builder.add_both_ways(builder.cpu(node * cpus + i), builder.die(node * dies + die),
                              {unit.cpu, -1, unit.cpu_bandwidth / (last - first)});
      }
    }
  }
}

}  // namespace

void build_mesh(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit) {
  const Platform& p = builder.platform();
  const int first_die = unit.first_node * p.dies_per_node();
  const int dies = unit.nodes * p.dies_per_node();
  int stride = 1;
  for (std::size_t d = 0; d < fabric.dimensions.size(); ++d) {
    const MeshDimension& dimension = fabric.dimensions[d];
    const LinkClass cls = builder.link_class(
        fmt::format("{}{}", fabric.builder == Builder::kTorus ? "torus_" : "mesh_", d + 1),
        unit.plane);
    for (int die = 0; die < dies; ++die) {
      const int at = die / stride % dimension.size;
      // Each pair once: all later peers of a mesh, the next neighbour of a torus.
      const int last = fabric.builder == Builder::kFullMesh ? dimension.size - 1
                                                            : std::min(at + 1, dimension.size - 1);
      for (int peer = at + 1; peer <= last; ++peer) {
        builder.add_both_ways(builder.die(first_die + die),
                              builder.die(first_die + die + (peer - at) * stride),
                              {cls, -1, dimension.bandwidth});
      }
      const bool closes_ring =
          fabric.builder == Builder::kTorus && at == dimension.size - 1 && dimension.size > 2;
      if (closes_ring) {
        builder.add_both_ways(builder.die(first_die + die),
                              builder.die(first_die + die - at * stride),
                              {cls, -1, dimension.bandwidth});
      }
    }
    stride *= dimension.size;
  }
  join_cpus_to_dies(builder, unit);
}

void build_dragonfly(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit) {
  const Platform& p = builder.platform();
  const int first_die = unit.first_node * p.dies_per_node();
  const int dies = unit.nodes * p.dies_per_node();
  const int routers = fabric.routers_per_group;
  const int per_group = fabric.dies_per_router * routers;
  const int groups = (dies + per_group - 1) / per_group;
  const LinkClass local = builder.link_class("dragonfly_local", unit.plane);
  const LinkClass global = builder.link_class("dragonfly_global", unit.plane);
  std::vector<VertexId> router;  // [group][router]
  for (int group = 0; group < groups; ++group) {
    const std::int32_t group_number = builder.new_group();
    for (int r = 0; r < routers; ++r) {
      router.push_back(builder.add_vertex({.kind = VertexKind::kSwitch,
                                           .tier = 1,
                                           .index = group * routers + r,
                                           .pool = builder.new_pool(),
                                           .group = group_number}));
      for (int peer = 0; peer < r; ++peer) {
        builder.add_both_ways(router[static_cast<std::size_t>(group * routers + peer)],
                              router.back(), {local, -1, fabric.local_bandwidth});
      }
    }
  }
  // The link from a group to the one `offset` further leaves its router of that many links.
  for (int group = 0; group < groups; ++group) {
    for (int other = group + 1; other < groups; ++other) {
      const int there = (other - group - 1) / fabric.global_links_per_router;
      const int back = (groups - (other - group) - 1) / fabric.global_links_per_router;
      builder.add_both_ways(router[static_cast<std::size_t>(group * routers + there)],
                            router[static_cast<std::size_t>(other * routers + back)],
                            {global, -1, fabric.global_bandwidth, kGlobalWeight});
    }
  }
  std::vector<VertexId> router_of(static_cast<std::size_t>(dies));
  for (int die = 0; die < dies; ++die) {
    router_of[static_cast<std::size_t>(die)] =
        router[static_cast<std::size_t>(die / fabric.dies_per_router)];
    builder.add_both_ways(builder.die(first_die + die), router_of[static_cast<std::size_t>(die)],
                          {unit.die, -1, fabric.link_bandwidth});
  }
  attach_cpus(builder, unit, router_of);
}

void build_edges(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit) {
  const bool scale_up = unit.plane == Plane::kUb;
  const auto vertex = [&](const std::string& name) {
    if (!is_endpoint_name(name)) return builder.named_switch(name);
    const Endpoint endpoint = parse_endpoint(name);
    return endpoint.kind == EndpointKind::kDie ? builder.die(endpoint.index)
                                               : builder.cpu(endpoint.index);
  };
  std::map<int, std::int32_t> pools;
  for (const SwitchSpec& spec : fabric.switches) {
    const bool alone = spec.pool < 0 || !pools.contains(spec.pool);
    const std::int32_t pool = alone ? builder.new_pool() : pools.at(spec.pool);
    if (spec.pool >= 0) pools[spec.pool] = pool;
    builder.add_named_switch(spec.name, {.kind = VertexKind::kSwitch,
                                         .tier = static_cast<std::int8_t>(spec.tier),
                                         .lane = static_cast<std::int16_t>(spec.lane),
                                         .node = spec.node,
                                         .index = spec.index,
                                         .pool = pool});
  }
  for (const EdgeSpec& edge : fabric.edges) {
    const bool of_cpu = edge.from.starts_with("cpu:") || edge.to.starts_with("cpu:");
    const bool of_die = edge.from.starts_with("die:") || edge.to.starts_with("die:");
    const std::string cls = !edge.cls.empty() ? edge.cls
                            : of_cpu          ? (scale_up ? "cpu_ub" : "cpu_rdma")
                            : of_die          ? (scale_up ? "die_ub" : "rdma")
                                              : (scale_up ? "uplink" : "rdma_uplink");
    builder.add_both_ways(
        vertex(edge.from), vertex(edge.to),
        {builder.link_class(cls, unit.plane), static_cast<std::int16_t>(edge.lane), edge.bandwidth,
         static_cast<std::uint8_t>(edge.weight)});
  }
}

}  // namespace cmsim::hw
