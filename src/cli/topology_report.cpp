#include "topology_report.hpp"

#include <algorithm>
#include <stdexcept>

namespace cmsim::cli {
namespace {

using hw::Plane;

/// Collects the distances from the first die that the faults leave, one kind of partner at a time.
class Distances {
 public:
  explicit Distances(const coll::Fabric& fabric) : fabric_(fabric), p_(fabric.platform()) {
    const std::vector<std::int32_t> dies = hw::whole_dies(p_);
    if (!dies.empty()) from_ = dies.front();
  }

  std::vector<DistanceReport> collect() {
    const auto of_node = [&](int node, int per_node) { return Range{node * per_node, per_node}; };
    const int node = p_.node_of_die(from_), nodes = p_.nodes_per_supernode();
    const int supernode = node / nodes;
    const Range all{0, p_.dies()}, in_node = of_node(node, p_.dies_per_node());
    const Range in_supernode = of_node(supernode, nodes * p_.dies_per_node());
    const Range package = of_node(from_ / p_.dies_per_npu, p_.dies_per_npu);
    add("die-die, same package", hw::EndpointKind::kDie, package, {from_, 1}, Plane::kUb);
    add("die-die, same node", hw::EndpointKind::kDie, in_node, package, Plane::kUb);
    add("die-die, other node", hw::EndpointKind::kDie, in_supernode, in_node, Plane::kUb);
    add("die-die, other supernode", hw::EndpointKind::kDie, all, in_supernode, Plane::kUb);
    const Range cpus = of_node(node, p_.cpus_per_node);
    const Range all_cpus = of_node(supernode, nodes * p_.cpus_per_node);
    add("die-CPU, same node", hw::EndpointKind::kCpu, cpus, {}, Plane::kUb);
    add("die-CPU, other node", hw::EndpointKind::kCpu, all_cpus, cpus, Plane::kUb);
    add("die-die, RDMA", hw::EndpointKind::kDie, all, {from_, 1}, Plane::kRdma);
    add("die-die, VPC", hw::EndpointKind::kDie, all, {from_, 1}, Plane::kVpc);
    return std::move(found_);
  }

 private:
  struct Range {
    int first = 0, count = 0;
    bool has(int i) const { return i >= first && i < first + count; }
  };

  /// Those of `range` but not of `without` that can be reached, over the scale-out plane where dies
  /// are not joined by the scale-up plane.
  void add(const char* name, hw::EndpointKind kind, Range range, Range without, Plane plane) {
    DistanceReport report;
    report.name = name;
    report.plane = plane;
    int example = take_hops(report, kind, range, without);
    if (example < 0 && plane == Plane::kUb && kind == hw::EndpointKind::kDie) {
      report.plane = Plane::kRdma;
      example = take_hops(report, kind, range, without);
    }
    if (example < 0) return;
    const hw::Endpoint there{kind, example};
    report.read = fabric_.path(there, hw::die(from_), report.plane, coll::Op::kRead);
    report.write = fabric_.path(hw::die(from_), there, report.plane, coll::Op::kWrite);
    found_.push_back(std::move(report));
  }

  /// Returns one that can be reached, or -1.
  int take_hops(DistanceReport& report, hw::EndpointKind kind, Range range, Range without) {
    std::vector<hw::Hops>& hops = hops_[static_cast<std::size_t>(report.plane)];
    if (hops.empty()) {
      hops = hw::hops_from(p_, fabric_.topology(), report.plane,
                           fabric_.topology().vertex_of(hw::die(from_)));
    }
    int example = -1;
    for (int i = range.first; i < range.first + range.count; ++i) {
      if (without.has(i)) continue;
      const hw::Hops there = hops[fabric_.topology().vertex_of({kind, i})];
      if (there.least < 0) continue;
      report.least_hops = example < 0 ? there.least : std::min(report.least_hops, there.least);
      report.most_hops = std::max(report.most_hops, there.most);
      example = i;
    }
    return example;
  }

  const coll::Fabric& fabric_;
  const hw::Platform& p_;
  int from_ = 0;
  std::vector<hw::Hops> hops_[hw::kPlanes];
  std::vector<DistanceReport> found_;
};

}  // namespace

TopologyReport report_topology(const coll::Fabric& fabric) {
  const hw::Platform& platform = fabric.platform();
  const hw::Topology& topology = fabric.topology();
  TopologyReport report;
  report.racks =
      platform.supernodes * ((platform.nodes_per_supernode() - 1) / platform.nodes_per_rack + 1);
  report.cards = topology.count(hw::VertexKind::kCard) / 2;  // the ways out and in
  std::vector<int> ports(fabric.classes().size(), 0);
  for (const coll::Port& port : fabric.ports()) ++ports[port.cls];
  for (const hw::ClassSummary& summary : hw::summarise_classes(topology)) {
    report.links.push_back({summary, ports[summary.cls]});
  }
  report.tiers = hw::summarise_tiers(topology);
  report.plan = hw::plan_switches(platform);
  for (const Plane plane : {Plane::kUb, Plane::kRdma}) {
    report.planes.push_back(
        {plane, hw::shape_of(platform, topology, plane), hw::bisection(platform, topology, plane)});
  }
  report.distances = Distances(fabric).collect();
  return report;
}

TrafficReport report_traffic(const coll::Fabric& fabric, const run::TrafficPattern& pattern) {
  TrafficReport report;
  report.description = pattern.description;
  report.loads = run::port_loads(fabric, pattern);
  report.latency = report.loads.latency;
  report.classes = coll::class_loads(fabric, report.loads);
  report.relief = coll::relief_of(report.classes, report.latency);
  report.duration = coll::analytic_exchange(fabric, report.loads).duration;
  for (const coll::ClassLoad& load : report.classes) {
    report.busiest.push_back(fabric.name_of(load.busiest));
  }
  return report;
}

hw::DrawingLoads drawing_loads(const coll::Fabric& fabric, const TrafficReport& traffic) {
  hw::DrawingLoads drawing;
  drawing.traffic = traffic.description;
  drawing.dies.assign(static_cast<std::size_t>(fabric.platform().dies()), 0);
  const auto keep_most = [](double& most, double share) { most = std::max(most, share); };
  for (std::size_t i = 0; i < fabric.ports().size(); ++i) {
    const coll::Port& port = fabric.ports()[i];
    const double busy = traffic.loads.wire_bytes[i] / port.capacity;
    const double share = traffic.duration > 0 ? busy / traffic.duration : 0;
    keep_most(drawing.classes[port.cls], share);
    switch (port.kind) {
      case coll::Port::Owner::kDie:
        keep_most(drawing.dies[static_cast<std::size_t>(port.owner)], share);
        keep_most(drawing.vertices[{port.cls, static_cast<hw::VertexId>(port.owner)}], share);
        break;
      case coll::Port::Owner::kCpu:
        keep_most(drawing.vertices[{port.cls, fabric.topology().vertex_of(hw::cpu(port.owner))}],
                  share);
        break;
      case coll::Port::Owner::kNode:
        keep_most(drawing.nodes[{port.cls, port.owner}], share);
        break;
      case coll::Port::Owner::kSwitch:
        keep_most(drawing.vertices[{port.cls, static_cast<hw::VertexId>(port.owner)}], share);
        break;
    }
  }
  return drawing;
}

}  // namespace cmsim::cli
