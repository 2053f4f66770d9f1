#include "cmsim/coll/fabric.hpp"

#include <fmt/format.h>

#include <numeric>
#include <stdexcept>

#include "cmsim/hw/capacities.hpp"

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

/// Adds up each run of `run` neighbouring capacities: pooled ports.
std::vector<BytesPerSecond> pooled(const std::vector<BytesPerSecond>& capacity, int run) {
  std::vector<BytesPerSecond> sums(capacity.size() / static_cast<std::size_t>(run), 0);
  for (std::size_t i = 0; i < capacity.size(); ++i) {
    sums[i / static_cast<std::size_t>(run)] += capacity[i];
  }
  return sums;
}

}  // namespace

const char* to_string(PortClass cls) {
  switch (cls) {
    case PortClass::kDieUb:
      return "die_ub";
    case PortClass::kCpuUb:
      return "cpu_ub";
    case PortClass::kUplink:
      return "uplink";
    case PortClass::kDieToDie:
      return "die_to_die";
    case PortClass::kRdma:
      return "rdma";
    case PortClass::kVpc:
      return "vpc";
  }
  return "";
}

const char* to_string(Direction direction) { return direction == Direction::kOut ? "out" : "in"; }

std::string name_of(const Port& port) {
  const char* owner = "die";
  if (port.cls == PortClass::kCpuUb) owner = "cpu";
  if (port.cls == PortClass::kUplink || port.cls == PortClass::kVpc) owner = "node";
  std::string name =
      fmt::format("{}:{} {} {}", owner, port.owner, to_string(port.cls), to_string(port.direction));
  if (port.plane >= 0) name += fmt::format(" plane {}", port.plane);
  if (port.chip >= 0) name += fmt::format(" chip {}", port.chip);
  return name;
}

Fabric::Fabric(const hw::Platform& platform, Uplinks uplinks) : platform_(platform) {
  const hw::PortCapacities c = hw::read_capacities(platform);
  const int planes = platform.ub.sub_planes;
  const int chips = platform.ub.l2_chips_per_plane;
  const hw::Spread spread = platform.ub.spread;
  const auto of_planes = [&](const std::vector<BytesPerSecond>& capacity) {
    return spread == hw::Spread::kAdaptive ? pooled(capacity, planes) : capacity;
  };
  const int ways = spread == hw::Spread::kAdaptive ? 1 : planes;
  add_group(PortClass::kDieUb, platform.dies(), ways, 1, of_planes(c.die_ub));
  add_group(PortClass::kCpuUb, platform.cpus(), ways, 1, of_planes(c.cpu_ub));
  if (spread == hw::Spread::kHash) {
    add_group(PortClass::kUplink, platform.nodes, planes, chips, c.uplink);
  } else {
    add_group(PortClass::kUplink, platform.nodes, ways, 1, of_planes(pooled(c.uplink, chips)));
  }
  const int dies_with_siblings = platform.dies_per_npu > 1 ? platform.dies() : 0;
  add_group(PortClass::kDieToDie, dies_with_siblings, 1, 1, c.die_to_die);
  add_group(PortClass::kRdma, platform.dies(), 1, 1, c.rdma);
  add_group(PortClass::kVpc, platform.nodes, 1, 1, c.vpc);

  const double uplinks_of_all = std::accumulate(c.uplink.begin(), c.uplink.end(), 0.0);
  const double dies_of_all = std::accumulate(c.die_ub.begin(), c.die_ub.end(), 0.0);
  node_uplink_capacity_ = uplinks_of_all / platform.nodes;
  constexpr double kRounding = 1 + 1e-9;
  uplinks_in_paths_ = spread == hw::Spread::kHash || uplinks == Uplinks::kAlways ||
                      dies_of_all > uplinks_of_all * kRounding;
}

void Fabric::add_group(PortClass cls, int owners, int planes, int chips,
                       const std::vector<BytesPerSecond>& capacity) {
  groups_[static_cast<std::size_t>(cls)] = {static_cast<PortId>(ports_.size()), planes, chips};
  std::size_t next = 0;
  for (int owner = 0; owner < owners; ++owner) {
    for (int plane = 0; plane < planes; ++plane) {
      for (int chip = 0; chip < chips; ++chip, ++next) {
        for (const Direction direction : {Direction::kOut, Direction::kIn}) {
          ports_.push_back({cls, direction, owner,
                            static_cast<std::int16_t>(planes > 1 ? plane : -1),
                            static_cast<std::int16_t>(chips > 1 ? chip : -1), capacity[next]});
        }
      }
    }
  }
}

PortId Fabric::port(PortClass cls, int owner, int plane, int chip, Direction direction) const {
  const Group& g = groups_[static_cast<std::size_t>(cls)];
  return g.base + ((owner * g.planes + plane) * g.chips + chip) * 2 +
         (direction == Direction::kOut ? 0 : 1);
}

int Fabric::node_of(hw::Endpoint endpoint) const {
  return is_die(endpoint) ? platform_.node_of_die(endpoint.index)
                          : platform_.node_of_cpu(endpoint.index);
}

void Fabric::check(hw::Endpoint endpoint) const {
  const int count = is_die(endpoint) ? platform_.dies() : platform_.cpus();
  if (endpoint.index < 0 || endpoint.index >= count) {
    throw std::invalid_argument(fmt::format("{} does not exist, {} has {} of them (0 to {})",
                                            hw::to_string(endpoint), platform_.name, count,
                                            count - 1));
  }
}

void Fabric::add_ub_ports(hw::Endpoint from, hw::Endpoint to, bool other_node, Path* path) const {
  const PortClass from_class = is_die(from) ? PortClass::kDieUb : PortClass::kCpuUb;
  const PortClass to_class = is_die(to) ? PortClass::kDieUb : PortClass::kCpuUb;
  const bool with_uplinks = other_node && uplinks_in_paths_;
  const auto add_plane = [&](int plane, int chip) {
    path->ports.push_back(port(from_class, from.index, plane, 0, Direction::kOut));
    if (with_uplinks) {
      path->ports.push_back(port(PortClass::kUplink, node_of(from), plane, chip, Direction::kOut));
      path->ports.push_back(port(PortClass::kUplink, node_of(to), plane, chip, Direction::kIn));
    }
    path->ports.push_back(port(to_class, to.index, plane, 0, Direction::kIn));
  };
  switch (platform_.ub.spread) {
    case hw::Spread::kAdaptive:
      add_plane(0, 0);
      break;
    case hw::Spread::kStripe:
      path->stripes = platform_.ub.sub_planes;
      for (int plane = 0; plane < platform_.ub.sub_planes; ++plane) add_plane(plane, 0);
      break;
    case hw::Spread::kHash: {
      const auto key = [](hw::Endpoint e) {
        return static_cast<std::uint64_t>(e.index) * 2 + (is_die(e) ? 0 : 1);
      };
      const std::uint64_t hash = mix((key(from) << 32) + key(to) + 0x9e3779b97f4a7c15ULL);
      const auto planes = static_cast<std::uint64_t>(platform_.ub.sub_planes);
      const auto chips = static_cast<std::uint64_t>(platform_.ub.l2_chips_per_plane);
      add_plane(static_cast<int>(hash % planes), static_cast<int>(hash / planes % chips));
      break;
    }
  }
}

Path Fabric::path(hw::Endpoint from, hw::Endpoint to, Plane plane, Op op) const {
  check(from);
  check(to);
  Path path;
  if (plane == Plane::kRdma && !(is_die(from) && is_die(to))) {
    throw std::invalid_argument("only dies have a port on the RDMA plane, not " +
                                hw::to_string(is_die(from) ? to : from));
  }
  if (from == to) return path;
  if (plane == Plane::kRdma) {
    path.efficiency = platform_.rdma.efficiency;
    path.latency = platform_.rdma.latency;
    path.ports = {port(PortClass::kRdma, from.index, 0, 0, Direction::kOut),
                  port(PortClass::kRdma, to.index, 0, 0, Direction::kIn)};
    return path;
  }
  const int from_node = node_of(from);
  const int to_node = node_of(to);
  if (plane == Plane::kVpc) {
    path.efficiency = platform_.vpc.efficiency;
    path.latency = platform_.vpc.latency;
    path.ports = {port(PortClass::kVpc, from_node, 0, 0, Direction::kOut),
                  port(PortClass::kVpc, to_node, 0, 0, Direction::kIn)};
    return path;
  }
  const bool between_dies = is_die(from) && is_die(to);
  const hw::UbSpec& ub = platform_.ub;
  const hw::PathSpec& spec = between_dies ? (op == Op::kRead ? ub.npu_npu_read : ub.npu_npu_write)
                                          : (op == Op::kRead ? ub.npu_cpu_read : ub.npu_cpu_write);
  const bool other_node = from_node != to_node;
  path.efficiency = other_node ? spec.inter_node_efficiency : spec.intra_node_efficiency;
  path.latency = other_node ? spec.inter_node_latency : spec.intra_node_latency;
  if (between_dies && from.index / platform_.dies_per_npu == to.index / platform_.dies_per_npu) {
    path.ports = {port(PortClass::kDieToDie, from.index, 0, 0, Direction::kOut),
                  port(PortClass::kDieToDie, to.index, 0, 0, Direction::kIn)};
  } else {
    add_ub_ports(from, to, other_node, &path);
  }
  return path;
}

}  // namespace cmsim::coll
