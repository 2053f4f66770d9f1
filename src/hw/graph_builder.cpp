#include "graph_builder.hpp"

#include <algorithm>

namespace cmsim::hw {

GraphBuilder::GraphBuilder(const Platform& platform) : platform_(platform) {
  for (int die = 0; die < platform.dies(); ++die) {
    add_vertex({.kind = VertexKind::kDie, .node = platform.node_of_die(die), .index = die});
  }
  for (int cpu = 0; cpu < platform.cpus(); ++cpu) {
    add_vertex({.kind = VertexKind::kCpu, .node = platform.node_of_cpu(cpu), .index = cpu});
  }
}

VertexId GraphBuilder::add_vertex(Vertex vertex) {
  vertices_.push_back(vertex);
  return static_cast<VertexId>(vertices_.size() - 1);
}

LinkClass GraphBuilder::link_class(std::string_view name, Plane plane, bool binds) {
  const auto known = std::ranges::find(classes_, name, &LinkClassInfo::name);
  if (known == classes_.end()) {
    classes_.push_back({std::string(name), plane, binds});
    return static_cast<LinkClass>(classes_.size() - 1);
  }
  if (known->plane != plane) {
    return link_class(to_string(plane) + std::string("_").append(name), plane, binds);
  }
  return static_cast<LinkClass>(known - classes_.begin());
}

void GraphBuilder::add_link(VertexId from, VertexId to, Link link) {
  ends_.emplace_back(from, to);
  links_.push_back(link);
}

void GraphBuilder::add_both_ways(VertexId a, VertexId b, Link link) {
  add_link(a, b, link);
  add_link(b, a, link);
}

VertexId GraphBuilder::named_switch(const std::string& name) {
  const auto known = named_.find(name);
  if (known != named_.end()) return known->second;
  return add_named_switch(name, {.kind = VertexKind::kSwitch, .tier = 1, .pool = new_pool()});
}

VertexId GraphBuilder::add_named_switch(const std::string& name, Vertex vertex) {
  vertex.name = static_cast<std::int32_t>(switch_names_.size());
  switch_names_.push_back(name);
  return named_[name] = add_vertex(vertex);
}

std::vector<char> GraphBuilder::linked() const {
  std::vector<char> linked(vertices_.size(), 0);
  for (const auto& [from, to] : ends_) linked[from] = linked[to] = 1;
  return linked;
}

/// Dies and CPUs keep their places, whose vertices are their numbers.
void GraphBuilder::drop_lost(const std::vector<char>& linked_before) {
  const std::vector<char> linked_now = linked();
  std::vector<VertexId> place(vertices_.size());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < vertices_.size(); ++i) {
    const VertexKind kind = vertices_[i].kind;
    const bool stays = kind == VertexKind::kDie || kind == VertexKind::kCpu;
    if (!stays && linked_before[i] != 0 && linked_now[i] == 0) continue;
    place[i] = static_cast<VertexId>(kept);
    vertices_[kept++] = vertices_[i];
  }
  vertices_.resize(kept);
  for (auto& [from, to] : ends_) {
    from = place[from];
    to = place[to];
  }
}

void GraphBuilder::apply_faults() {
  if (platform_.faults.empty()) return;
  const std::vector<char> linked_before = linked();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    const double left =
        left_of(platform_.faults, vertices_[ends_[i].first], vertices_[ends_[i].second],
                classes_[links_[i].cls].plane, switch_names_);
    if (left <= 0) continue;
    ends_[kept] = ends_[i];
    links_[kept] = links_[i];
    links_[kept++].bandwidth *= left;
  }
  ends_.resize(kept);
  links_.resize(kept);
  drop_lost(linked_before);
}

Graph GraphBuilder::graph() const {
  Graph graph(boost::edges_are_unsorted_multi_pass, ends_.begin(), ends_.end(), links_.begin(),
              static_cast<VertexId>(vertices_.size()));
  for (std::size_t i = 0; i < vertices_.size(); ++i) {
    graph[static_cast<VertexId>(i)] = vertices_[i];
  }
  return graph;
}

void attach_cpus(GraphBuilder& builder, const Unit& unit, const std::vector<VertexId>& chip_of) {
  const Platform& p = builder.platform();
  if (unit.cpu_bandwidth == 0) return;
  for (int node = 0; node < unit.nodes; ++node) {
    for (int i = 0; i < p.cpus_per_node; ++i) {
      const int die = node * p.dies_per_node() + i * p.dies_per_node() / p.cpus_per_node;
      builder.add_both_ways(builder.cpu((unit.first_node + node) * p.cpus_per_node + i),
                            chip_of[static_cast<std::size_t>(die)],
                            {unit.cpu, -1, unit.cpu_bandwidth});
    }
  }
}

}  // namespace cmsim::hw
