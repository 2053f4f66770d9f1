// Fabrics whose dies hang on switches: one tier, Clos, fat tree.
#include <algorithm>

#include "graph_builder.hpp"

namespace cmsim::hw {
namespace {

/// Hangs the dies and CPUs of a node on a switch of this lane, each by a link of its own.
void attach_node(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit, int node,
                 int lane, VertexId chip) {
  const Platform& p = builder.platform();
  const auto lane_id = static_cast<std::int16_t>(lane);
  for (int i = 0; i < p.dies_per_node(); ++i) {
    builder.add_both_ways(builder.die(node * p.dies_per_node() + i), chip,
                          {unit.die, lane_id, fabric.link_bandwidth});
  }
  if (unit.cpu_bandwidth == 0) return;
  for (int i = 0; i < p.cpus_per_node; ++i) {
    builder.add_both_ways(builder.cpu(node * p.cpus_per_node + i), chip,
                          {unit.cpu, lane_id, unit.cpu_bandwidth / fabric.sub_planes});
  }
}

}  // namespace

void build_switch(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit) {
  const std::int32_t pool = builder.new_pool();
  for (int lane = 0; lane < fabric.sub_planes; ++lane) {
    const VertexId chip = builder.add_vertex({.kind = VertexKind::kSwitch,
                                              .tier = 1,
                                              .lane = static_cast<std::int16_t>(lane),
                                              .node = unit.nodes == 1 ? unit.first_node : -1,
                                              .pool = pool});
    for (int i = 0; i < unit.nodes; ++i) {
      attach_node(builder, fabric, unit, unit.first_node + i, lane, chip);
    }
  }
}

void build_clos(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit) {
  const LinkClass uplink = builder.link_class("uplink", Plane::kUb);
  const int chips = fabric.l2_chips_per_plane;
  const std::int32_t l2_pool = builder.new_pool();
  std::vector<VertexId> l2;  // [lane][chip]
  for (int lane = 0; lane < fabric.sub_planes; ++lane) {
    for (int chip = 0; chip < chips; ++chip) {
      l2.push_back(builder.add_vertex({.kind = VertexKind::kSwitch,
                                       .tier = 2,
                                       .lane = static_cast<std::int16_t>(lane),
                                       .index = chip,
                                       .pool = l2_pool}));
    }
  }
  for (int node = unit.first_node; node < unit.first_node + unit.nodes; ++node) {
    const std::int32_t l1_pool = builder.new_pool();
    for (int lane = 0; lane < fabric.sub_planes; ++lane) {
      const auto lane_id = static_cast<std::int16_t>(lane);
      const VertexId l1 = builder.add_vertex(
          {.kind = VertexKind::kSwitch, .tier = 1, .lane = lane_id, .node = node, .pool = l1_pool});
      attach_node(builder, fabric, unit, node, lane, l1);
      for (int chip = 0; chip < chips; ++chip) {
        builder.add_both_ways(l1, l2[static_cast<std::size_t>(lane * chips + chip)],
                              {uplink, lane_id, fabric.link_bandwidth});
      }
    }
  }
}

void build_fat_tree(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit) {
  const Platform& p = builder.platform();
  const std::string prefix = unit.plane == Plane::kUb ? "" : "rdma_";
  const LinkClass uplink = builder.link_class(prefix + "uplink", unit.plane);
  const int dies = unit.nodes * p.dies_per_node();
  const int first_die = unit.first_node * p.dies_per_node();
  // A leaf has leaf_ports dies in a row; with rails, those of one rail among its block of nodes.
  const int block = fabric.leaf_ports * fabric.rails;
  const int leaves = (dies + block - 1) / block * fabric.rails;
  const int pod_leaves = fabric.leaves_per_pod > 0 ? fabric.leaves_per_pod : leaves;
  std::vector<VertexId> cores;
  if (fabric.cores > 0) {
    const std::int32_t pool = builder.new_pool();
    for (int core = 0; core < fabric.cores; ++core) {
      cores.push_back(builder.add_vertex(
          {.kind = VertexKind::kSwitch, .tier = 3, .index = core, .pool = pool}));
    }
  }
  std::vector<VertexId> spines;
  std::vector<VertexId> leaf_of(static_cast<std::size_t>(dies));
  for (int leaf = 0; leaf < leaves; ++leaf) {
    if (leaf % pod_leaves == 0) {
      spines.clear();
      const std::int32_t pool = builder.new_pool();
      for (int spine = 0; spine < fabric.spines; ++spine) {
        spines.push_back(builder.add_vertex(
            {.kind = VertexKind::kSwitch, .tier = 2, .index = spine, .pool = pool}));
        for (const VertexId core : cores) {
          builder.add_both_ways(
              spines.back(), core,
              {builder.link_class(prefix + "core_link", unit.plane), -1, fabric.core_bandwidth});
        }
      }
    }
    const VertexId chip = builder.add_vertex(
        {.kind = VertexKind::kSwitch, .tier = 1, .index = leaf, .pool = builder.new_pool()});
    for (const VertexId spine : spines) {
      builder.add_both_ways(chip, spine, {uplink, -1, fabric.uplink_bandwidth});
    }
    const int rail = leaf % fabric.rails;
    for (int port = 0; port < fabric.leaf_ports; ++port) {
      const int die = leaf / fabric.rails * block + port * fabric.rails + rail;
      if (die >= dies) break;
      builder.add_both_ways(builder.die(first_die + die), chip,
                            {unit.die, -1, fabric.link_bandwidth});
      leaf_of[static_cast<std::size_t>(die)] = chip;
    }
  }
  attach_cpus(builder, unit, leaf_of);
}

}  // namespace cmsim::hw
