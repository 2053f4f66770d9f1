#include "cmsim/coll/fabric.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

#include "cmsim/base/kept.hpp"
#include "cmsim/hw/fault.hpp"
#include "port_graph.hpp"

namespace cmsim::coll {
namespace {

/// A well-mixed hash, the same on every platform (the finaliser of splitmix64).
std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

bool is_die(hw::Endpoint e) { return e.kind == hw::EndpointKind::kDie; }

std::uint64_t hash_of(hw::Endpoint from, hw::Endpoint to) {
  const auto key = [](hw::Endpoint e) {
    return static_cast<std::uint64_t>(e.index) * 2 + (is_die(e) ? 0 : 1);
  };
  return mix((key(from) << 32) + key(to) + 0x9e3779b97f4a7c15ULL);
}

}  // namespace

const char* to_string(Direction direction) { return direction == Direction::kOut ? "out" : "in"; }

class Fabric::Routes {
 public:
  Routes(const hw::Platform& platform, Uplinks uplinks)
      : topology(std::make_shared<hw::Topology>(platform)), graph(platform, *topology, uplinks) {
    double of_nodes = 0;
    for (const Port& port : graph.ports()) {
      const bool between_switches =
          port.kind == Port::Owner::kNode || port.kind == Port::Owner::kSwitch;
      const bool scale_up = topology->classes()[port.cls].plane == Plane::kUb;
      if (!between_switches || !scale_up) continue;
      if (!port.in_paths) uplinks_in_paths = false;
      if (port.kind == Port::Owner::kNode && port.direction == Direction::kOut) {
        of_nodes += port.capacity;
      }
    }
    node_uplink_capacity = of_nodes / platform.nodes;
  }

  std::shared_ptr<const hw::Topology> topology;  // shared by fabrics of the same ports
  PortGraph graph;
  bool uplinks_in_paths = true;
  double node_uplink_capacity = 0;
};

std::shared_ptr<Fabric::Routes> Fabric::routes_of(const hw::Platform& platform, Uplinks uplinks) {
  constexpr std::size_t kMost = 4;  // two platforms with each choice of uplinks
  static Kept<std::pair<hw::Platform, Uplinks>, Routes> kept(kMost);
  return kept.get({platform, uplinks}, [&] { return std::make_shared<Routes>(platform, uplinks); });
}

Fabric::Fabric(const hw::Platform& platform, Uplinks uplinks)
    : platform_(platform), routes_(routes_of(platform, uplinks)) {}
Fabric::Fabric(const hw::Platform& platform, std::shared_ptr<Routes> routes)
    : platform_(platform), routes_(std::move(routes)) {}
Fabric::~Fabric() = default;
Fabric::Fabric(const Fabric& other) = default;

const hw::Topology& Fabric::topology() const { return *routes_->topology; }
std::span<const Port> Fabric::ports() const { return routes_->graph.ports(); }
std::span<const hw::LinkClassInfo> Fabric::classes() const { return routes_->topology->classes(); }
bool Fabric::uplinks_in_paths() const { return routes_->uplinks_in_paths; }
BytesPerSecond Fabric::node_uplink_capacity() const { return routes_->node_uplink_capacity; }

std::string Fabric::name_of(PortId id) const {
  const Port& port = ports()[static_cast<std::size_t>(id)];
  std::string name;
  name.reserve(48);
  switch (port.kind) {
    case Port::Owner::kDie:
      name += hw::to_string(hw::die(port.owner));
      break;
    case Port::Owner::kCpu:
      name += hw::to_string(hw::cpu(port.owner));
      break;
    case Port::Owner::kNode:
      name.append("node:").append(std::to_string(port.owner));
      break;
    case Port::Owner::kSwitch:
      name += routes_->topology->name_of(static_cast<hw::VertexId>(port.owner));
      break;
  }
  name.append(" ").append(classes()[port.cls].name);
  if (port.peer < 0) {
    name.append(" ").append(to_string(port.direction));
  } else {
    name.append(" to ").append(routes_->topology->name_of(static_cast<hw::VertexId>(port.peer)));
  }
  if (port.lane >= 0) name.append(" plane ").append(std::to_string(port.lane));
  if (port.chip >= 0) name.append(" chip ").append(std::to_string(port.chip));
  return name;
}

std::vector<BytesPerSecond> Fabric::capacities_under(std::span<const hw::Fault> faults) const {
  const hw::Topology& topology = *routes_->topology;
  const hw::Graph& graph = topology.graph();
  std::vector<BytesPerSecond> capacities(ports().size(), 0);
  auto port = routes_->graph.port_of_link().begin();
  for (const auto& edge : boost::make_iterator_range(boost::edges(graph))) {
    const double left = topology.left_of(faults, edge);
    capacities[static_cast<std::size_t>(*port++)] += left * graph[edge].bandwidth;
  }
  if (const auto left_out = routes_->graph.left_out_but_binding(capacities)) {
    throw std::invalid_argument(fmt::format(
        "the paths leave out {}, which would slow flows down under these faults: the fabric must "
        "be made with all uplinks in its paths",
        name_of(*left_out)));
  }
  return capacities;
}

Fabric Fabric::avoiding_lost(std::span<const BytesPerSecond> capacities) const {
  auto routes = std::make_shared<Routes>(*routes_);
  routes->graph.drop_lost(capacities);
  return {platform_, std::move(routes)};
}

bool Fabric::is_uniform(Plane plane) const {
  const auto uniform = [](hw::Builder builder) {
    return builder == hw::Builder::kClos || builder == hw::Builder::kSwitch;
  };
  const hw::UbSpec& ub = platform_.ub;
  if (plane != Plane::kUb) return uniform(platform_.rdma.fabric.builder);
  const bool beyond = platform_.nodes_in(ub.fabric.scope) < platform_.nodes;
  // Striped, a part that is lost in one node leaves it fewer ways than others have.
  const bool whole = platform_.faults.empty() || ub.spread != hw::Spread::kStripe;
  return whole && ub.spread != hw::Spread::kHash && uniform(ub.fabric.builder) &&
         (!ub.inside_node || uniform(ub.inside_node->builder)) &&
         (!beyond || uniform(platform_.rdma.fabric.builder)) && ub.fabric.scope != hw::Scope::kRack;
}

int Fabric::node_of(hw::Endpoint endpoint) const {
  return is_die(endpoint) ? platform_.node_of_die(endpoint.index)
                          : platform_.node_of_cpu(endpoint.index);
}

Path Fabric::path(hw::Endpoint from, hw::Endpoint to, Plane plane, Op op) const {
  hw::check_endpoint(platform_, from);
  hw::check_endpoint(platform_, to);
  Path path;
  if (from == to) return path;
  const auto a = static_cast<std::int32_t>(routes_->topology->vertex_of(from));
  const auto b = static_cast<std::int32_t>(routes_->topology->vertex_of(to));
  const bool between_dies = is_die(from) && is_die(to);
  std::optional<std::uint64_t> hash;
  if (platform_.ub.spread == hw::Spread::kHash) hash = hash_of(from, to);
  std::optional<int> more_links = routes_->graph.find_ways(plane, a, b, hash, path);
  if (!more_links && plane == Plane::kUb && between_dies) {
    plane = Plane::kRdma;
    more_links = routes_->graph.find_ways(plane, a, b, hash, path);
  }
  if (!more_links) {
    throw std::invalid_argument(fmt::format(
        "no route from {} to {} on the {} plane of {}{}", hw::to_string(from), hw::to_string(to),
        hw::to_string(plane), platform_.name, hw::with_faults(platform_)));
  }
  if (plane == Plane::kRdma) {
    path.efficiency = platform_.rdma.efficiency;
    path.latency = platform_.rdma.latency + *more_links * platform_.rdma.fabric.hop_latency;
  } else if (plane == Plane::kVpc) {
    path.efficiency = platform_.vpc.efficiency;
    path.latency = platform_.vpc.latency;
  } else {
    const hw::UbSpec& ub = platform_.ub;
    const hw::PathSpec& spec = between_dies
                                   ? (op == Op::kRead ? ub.npu_npu_read : ub.npu_npu_write)
                                   : (op == Op::kRead ? ub.npu_cpu_read : ub.npu_cpu_write);
    const bool other_node = node_of(from) != node_of(to);
    path.efficiency = other_node ? spec.inter_node_efficiency : spec.intra_node_efficiency;
    path.latency = other_node ? spec.inter_node_latency : spec.intra_node_latency;
    path.latency += *more_links * ub.fabric.hop_latency;
  }
  return path;
}

}  // namespace cmsim::coll
