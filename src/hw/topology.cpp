#include "cmsim/hw/topology.hpp"

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <utility>

namespace cmsim::hw {
namespace {

using VertexId = Graph::vertex_descriptor;

constexpr int kChipsPerLogicalSwitch = 2;  // P Table 11 counts L2 switches of two chips

/// Builds die -> NPU -> node -> sub-plane -> supernode, each level by a function of its own.
class Builder {
 public:
  explicit Builder(const Platform& platform) : platform_(platform) {}

  Graph build() {
    add_shared_planes();
    for (int plane = 0; plane < platform_.ub.sub_planes; ++plane) add_l2_chips(plane);
    for (int node = 0; node < platform_.nodes; ++node) add_node(node);
    return Graph(boost::edges_are_unsorted_multi_pass, ends_.begin(), ends_.end(), links_.begin(),
                 static_cast<VertexId>(vertices_.size()));
  }
  const std::vector<Vertex>& vertices() const { return vertices_; }

 private:
  VertexId add_vertex(Vertex vertex) {
    vertices_.push_back(vertex);
    return static_cast<VertexId>(vertices_.size() - 1);
  }

  void add_both_ways(VertexId a, VertexId b, Link link) {
    ends_.emplace_back(a, b);
    links_.push_back(link);
    ends_.emplace_back(b, a);
    links_.push_back(link);
  }

  void add_shared_planes() {
    rdma_plane_ = add_vertex({.kind = VertexKind::kRdmaPlane});
    vpc_plane_ = add_vertex({.kind = VertexKind::kVpcPlane});
  }

  void add_l2_chips(int plane) {
    for (int chip = 0; chip < platform_.ub.l2_chips_per_plane; ++chip) {
      l2_chips_.push_back(add_vertex({.kind = VertexKind::kL2Chip, .plane = plane, .index = chip}));
    }
  }

  void add_node(int node) {
    add_l1_chips(node);
    const int first_npu = node * platform_.npus_per_node;
    for (int npu = 0; npu < platform_.npus_per_node; ++npu) add_npu(node, first_npu + npu);
    add_host_side(node);
  }

  void add_l1_chips(int node) {
    const int uplinks = platform_.ub.l2_chips_per_plane;
    l1_chips_.clear();
    for (int plane = 0; plane < platform_.ub.sub_planes; ++plane) {
      const VertexId l1 =
          add_vertex({.kind = VertexKind::kL1Chip, .node = node, .plane = plane, .index = 0});
      l1_chips_.push_back(l1);
      for (int chip = 0; chip < uplinks; ++chip) {
        add_both_ways(l1, l2_chips_[static_cast<std::size_t>(plane * uplinks + chip)],
                      {LinkClass::kUplink, plane, platform_.ub.link_bandwidth});
      }
    }
  }

  void add_npu(int node, int npu) {
    std::vector<VertexId> package;
    for (int i = 0; i < platform_.dies_per_npu; ++i) {
      const VertexId die = add_die(node, npu * platform_.dies_per_npu + i);
      for (const VertexId sibling : package) {
        add_both_ways(sibling, die, {LinkClass::kDieToDie, -1, platform_.die.die_to_die_bandwidth});
      }
      package.push_back(die);
    }
  }

  VertexId add_die(int node, int index) {
    const VertexId die = add_vertex({.kind = VertexKind::kDie, .node = node, .index = index});
    for (int plane = 0; plane < platform_.ub.sub_planes; ++plane) {
      add_both_ways(die, l1_chips_[static_cast<std::size_t>(plane)],
                    {LinkClass::kDieUb, plane, platform_.ub.link_bandwidth});
    }
    add_both_ways(die, rdma_plane_, {LinkClass::kRdma, -1, platform_.rdma.bandwidth_per_die});
    return die;
  }

  void add_host_side(int node) {
    const VertexId card = add_vertex({.kind = VertexKind::kVpcCard, .node = node});
    const double card_bandwidth = platform_.vpc.bandwidth_per_node;
    add_both_ways(card, vpc_plane_, {LinkClass::kVpc, -1, card_bandwidth});
    for (int i = 0; i < platform_.cpus_per_node; ++i) {
      const int index = node * platform_.cpus_per_node + i;
      const VertexId cpu = add_vertex({.kind = VertexKind::kCpu, .node = node, .index = index});
      for (int plane = 0; plane < platform_.ub.sub_planes; ++plane) {
        add_both_ways(
            cpu, l1_chips_[static_cast<std::size_t>(plane)],
            {LinkClass::kCpuUb, plane, platform_.ub.cpu_bandwidth / platform_.ub.sub_planes});
      }
      add_both_ways(cpu, card, {LinkClass::kPcie, -1, card_bandwidth});
    }
  }

  const Platform& platform_;
  std::vector<Vertex> vertices_;
  std::vector<std::pair<VertexId, VertexId>> ends_;
  std::vector<Link> links_;
  std::vector<VertexId> l1_chips_;  // of the node being built
  std::vector<VertexId> l2_chips_;  // [plane][chip]
  VertexId rdma_plane_ = 0;
  VertexId vpc_plane_ = 0;
};

}  // namespace

const char* to_string(LinkClass cls) {
  switch (cls) {
    case LinkClass::kDieUb:
      return "die_ub";
    case LinkClass::kCpuUb:
      return "cpu_ub";
    case LinkClass::kUplink:
      return "uplink";
    case LinkClass::kDieToDie:
      return "die_to_die";
    case LinkClass::kRdma:
      return "rdma";
    case LinkClass::kVpc:
      return "vpc";
    case LinkClass::kPcie:
      return "pcie";
  }
  return "";
}

Topology::Topology(const Platform& platform) {
  Builder builder(platform);
  graph_ = builder.build();
  for (std::size_t i = 0; i < builder.vertices().size(); ++i) graph_[i] = builder.vertices()[i];
}

int Topology::count(VertexKind kind) const {
  const auto [begin, end] = boost::vertices(graph_);
  return static_cast<int>(
      std::count_if(begin, end, [&](VertexId v) { return graph_[v].kind == kind; }));
}

int Topology::count(LinkClass cls) const {
  const auto [begin, end] = boost::edges(graph_);
  return static_cast<int>(
      std::count_if(begin, end, [&](const auto& e) { return graph_[e].cls == cls; }));
}

BytesPerSecond Topology::capacity(LinkClass cls) const {
  BytesPerSecond sum = 0;
  const auto [begin, end] = boost::edges(graph_);
  for (auto e = begin; e != end; ++e) {
    if (graph_[*e].cls == cls) sum += graph_[*e].bandwidth;
  }
  return sum;
}

double Topology::npu_oversubscription() const {
  return capacity(LinkClass::kDieUb) / capacity(LinkClass::kUplink);
}

double Topology::oversubscription_with_cpus() const {
  return (capacity(LinkClass::kDieUb) + capacity(LinkClass::kCpuUb)) / capacity(LinkClass::kUplink);
}

BytesPerSecond Topology::bisection() const {
  int nodes = 0;
  for (const VertexId v : boost::make_iterator_range(boost::vertices(graph_))) {
    nodes = std::max(nodes, graph_[v].node + 1);
  }
  std::vector<double> from_first_half(boost::num_vertices(graph_), 0);
  std::vector<double> to_second_half(boost::num_vertices(graph_), 0);
  for (const auto& e : boost::make_iterator_range(boost::edges(graph_))) {
    if (graph_[e].cls != LinkClass::kUplink) continue;
    const VertexId from = boost::source(e, graph_);
    const VertexId to = boost::target(e, graph_);
    if (graph_[to].kind == VertexKind::kL2Chip && graph_[from].node < nodes / 2) {
      from_first_half[to] += graph_[e].bandwidth;
    }
    if (graph_[from].kind == VertexKind::kL2Chip && graph_[to].node >= nodes / 2) {
      to_second_half[from] += graph_[e].bandwidth;
    }
  }
  BytesPerSecond sum = 0;
  for (std::size_t v = 0; v < from_first_half.size(); ++v) {
    sum += std::min(from_first_half[v], to_second_half[v]);
  }
  return sum;
}

SwitchPlan plan_switches(const Platform& platform) {
  const int ports = kChipsPerLogicalSwitch * platform.ub.l2_chip_ports;
  const int uplinks = platform.nodes * platform.ub.l2_chips_per_plane;
  SwitchPlan plan;
  plan.per_plane = (uplinks + ports - 1) / ports;
  plan.total = plan.per_plane * platform.ub.sub_planes;
  plan.port_utilisation = static_cast<double>(uplinks) / (plan.per_plane * ports);
  return plan;
}

}  // namespace cmsim::hw
