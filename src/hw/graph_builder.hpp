// What the builders add vertices and links to, and the builders themselves.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {

class GraphBuilder {
 public:
  /// Begins with all dies, then all CPUs, so that their vertices are their numbers.
  explicit GraphBuilder(const Platform& platform);

  const Platform& platform() const { return platform_; }
  VertexId die(int index) const { return static_cast<VertexId>(index); }
  VertexId cpu(int index) const { return static_cast<VertexId>(platform_.dies() + index); }

  VertexId add_vertex(Vertex vertex);
  std::int32_t new_pool() { return pools_++; }
  std::int32_t new_group() { return groups_++; }
  /// A class is of one plane: a name that another plane has already gets that of the plane before
  /// it.
  LinkClass link_class(std::string_view name, Plane plane, bool binds = true);
  void add_link(VertexId from, VertexId to, Link link);
  void add_both_ways(VertexId a, VertexId b, Link link);
  /// The switch of this name, made when it is new.
  VertexId named_switch(const std::string& name);
  VertexId add_named_switch(const std::string& name, Vertex vertex);

  /// Takes away the links of which the faults leave nothing, with the switches and cards that then
  /// have none, and narrows the others.
  void apply_faults();
  Graph graph() const;
  std::vector<LinkClassInfo> classes() && { return std::move(classes_); }
  std::vector<std::string> switch_names() && { return std::move(switch_names_); }

 private:
  std::vector<char> linked() const;  // by vertex
  void drop_lost(const std::vector<char>& linked_before);

  const Platform& platform_;
  std::vector<Vertex> vertices_;
  std::vector<std::pair<VertexId, VertexId>> ends_;
  std::vector<Link> links_;
  std::vector<LinkClassInfo> classes_;
  std::vector<std::string> switch_names_;
  std::map<std::string, VertexId> named_;
  std::int32_t pools_ = 0;
  std::int32_t groups_ = 0;
};

/// Share of the bandwidth that the faults leave to a link.
double left_of(std::span<const Fault> faults, const Vertex& from, const Vertex& to, Plane plane,
               std::span<const std::string> switch_names);

/// The dies and CPUs that one copy of a fabric joins, and the classes of their links.
struct Unit {
  int first_node = 0, nodes = 0;
  Plane plane = Plane::kUb;
  BytesPerSecond cpu_bandwidth = 0;  // of one CPU; 0: none is joined
  LinkClass die = 0, cpu = 0;
};

/// Hangs every CPU of the unit on the switch of a die of its node, `chip_of` by the die's place in
/// the unit, so that the CPUs of a node spread over its dies.
void attach_cpus(GraphBuilder& builder, const Unit& unit, const std::vector<VertexId>& chip_of);

void build_clos(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit);
void build_switch(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit);
void build_mesh(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit);  // and torus
void build_fat_tree(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit);
void build_dragonfly(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit);
void build_edges(GraphBuilder& builder, const FabricSpec& fabric, const Unit& unit);

}  // namespace cmsim::hw
