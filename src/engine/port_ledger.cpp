#include "port_ledger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "cmsim/base/error.hpp"

namespace cmsim::engine {
namespace {

double ways_of(const FlowRecord& flow) { return static_cast<double>(flow.later_ways.size() + 1); }

/// Calls `use` with every port, way by way, and the bytes of the flow on it; those of all ways add
/// up to all of it.
template <class Use>
void for_each_part(const FlowRecord& flow, const Use& use) {
  const auto ways = static_cast<Bytes>(flow.later_ways.size() + 1);
  const Bytes least = flow.bytes / ways, rest = flow.bytes % ways;
  std::size_t way = 0;
  for (std::size_t i = 0; i < flow.ports.size(); ++i) {
    while (way < flow.later_ways.size() && i >= flow.later_ways[way]) ++way;
    use(static_cast<std::size_t>(flow.ports[i]), least + (static_cast<Bytes>(way) < rest ? 1 : 0));
  }
}

}  // namespace

PortLedger::PortLedger(const coll::Fabric& fabric)
    : fabric_(fabric),
      begun_(fabric.ports().size()),
      ended_(fabric.ports().size()),
      abandoned_(fabric.ports().size()),
      wire_(fabric.ports().size()),
      flows_on_(fabric.ports().size()),
      place_in_use_(fabric.ports().size()),
      open_flows_(fabric.ports().size()),
      node_potential_(static_cast<std::size_t>(fabric.platform().nodes) * 2),
      class_of_(fabric.ports().size()) {
  std::map<std::pair<coll::LinkClass, coll::Direction>, int> ports;
  for (const coll::Port& port : fabric.ports()) ++ports[{port.cls, port.direction}];
  std::map<std::pair<coll::LinkClass, coll::Direction>, std::uint16_t> rows;
  for (const auto& [key, count] : ports) {
    const hw::LinkClassInfo& info = fabric.classes()[key.first];
    if (!info.binds) continue;
    rows[key] = static_cast<std::uint16_t>(classes_.size());
    classes_.push_back({info.name, key.second, count, 0, 0});
  }
  for (std::size_t i = 0; i < class_of_.size(); ++i) {
    const coll::Port& port = fabric.ports()[i];
    if (fabric.classes()[port.cls].binds) class_of_[i] = rows[{port.cls, port.direction}];
  }
}

void PortLedger::use(std::span<const coll::PortId> ports) {
  for (const coll::PortId id : ports) {
    const auto port = static_cast<std::size_t>(id);
    if (flows_on_[port]++ > 0) continue;
    place_in_use_[port] = static_cast<std::uint32_t>(in_use_.size());
    in_use_.push_back(id);
  }
}

void PortLedger::leave(std::span<const coll::PortId> ports) {
  for (const coll::PortId id : ports) {
    const auto port = static_cast<std::size_t>(id);
    if (--flows_on_[port] > 0) continue;
    in_use_[place_in_use_[port]] = in_use_.back();
    place_in_use_[static_cast<std::size_t>(in_use_.back())] = place_in_use_[port];
    in_use_.pop_back();
  }
}

void PortLedger::begin(const FlowRecord& flow) {
  use(flow.ports);
  for_each_part(flow, [&](std::size_t port, Bytes bytes) { begun_[port] += bytes; });
  if (flow.may_leave_node) open(flow, 1);
}

void PortLedger::end(const FlowRecord& flow) {
  leave(flow.ports);
  const double wire = flow.wire_bytes / ways_of(flow);
  for_each_part(flow, [&](std::size_t port, Bytes bytes) {
    ended_[port] += bytes;
    wire_[port] += wire;
    ClassUse& use = classes_[class_of_[port]];
    use.bytes += bytes;
    const BytesPerSecond capacity = fabric_.ports()[port].capacity;
    use.busy += wire / (capacity * use.ports);
    use.busiest = std::max(use.busiest, wire_[port] / capacity);
  });
  if (flow.may_leave_node) open(flow, -1);
}

void PortLedger::cut(const FlowRecord& flow, Bytes delivered) {
  FlowRecord arrived = flow;
  arrived.bytes = delivered;
  arrived.wire_bytes *=
      static_cast<double>(delivered) / static_cast<double>(std::max<Bytes>(flow.bytes, 1));
  for_each_part(flow, [&](std::size_t port, Bytes bytes) { abandoned_[port] += bytes; });
  for_each_part(arrived, [&](std::size_t port, Bytes bytes) { abandoned_[port] -= bytes; });
  end(arrived);
}

void PortLedger::open(const FlowRecord& flow, int step) {
  for (const coll::PortId id : flow.ports) {
    const coll::Port& port = fabric_.ports()[static_cast<std::size_t>(id)];
    const bool of_endpoint =
        port.kind == coll::Port::Owner::kDie || port.kind == coll::Port::Owner::kCpu;
    if (!of_endpoint || !port.to_switch || fabric_.node_uplink_capacity() <= 0) continue;
    int& flows = open_flows_[static_cast<std::size_t>(id)];
    const bool was_idle = flows == 0;
    flows += step;
    const bool is_idle = flows == 0;
    if (was_idle == is_idle) continue;
    double& potential = node_potential_[static_cast<std::size_t>(port.node) * 2 +
                                        static_cast<std::size_t>(port.direction)];
    potential += step * port.capacity;
    uplink_pressure_ = std::max(uplink_pressure_, potential / fabric_.node_uplink_capacity());
  }
}

PortUse PortLedger::use_of(std::size_t i, Seconds elapsed) const {
  const coll::Port& port = fabric_.ports()[i];
  return {.port = static_cast<coll::PortId>(i),
          .name = {},
          .cls = fabric_.classes()[port.cls].name,
          .direction = port.direction,
          .bytes = ended_[i],
          .wire_bytes = wire_[i],
          .utilisation = elapsed > 0 ? wire_[i] / (port.capacity * elapsed) : 0};
}

std::vector<PortUse> PortLedger::busiest_ports(int count, Seconds elapsed) const {
  std::vector<PortUse> uses;
  for (std::size_t i = 0; i < ended_.size(); ++i) {
    if (ended_[i] > 0) uses.push_back(use_of(i, elapsed));
  }
  std::stable_sort(uses.begin(), uses.end(), [](const PortUse& a, const PortUse& b) {
    return a.utilisation > b.utilisation;
  });
  uses.resize(std::min(uses.size(), static_cast<std::size_t>(std::max(count, 0))));
  for (PortUse& use : uses) {
    use.name = fabric_.name_of(use.port);
  }
  return uses;
}

void PortLedger::check_bytes_conserved() const {
  for (std::size_t i = 0; i < begun_.size(); ++i) {
    if (begun_[i] == ended_[i] + abandoned_[i]) continue;
    throw SimulationError(fmt::format(
        "bytes into a link are not bytes out: {} took in {} B, {} B came out, {} B were cut off",
        fabric_.name_of(static_cast<coll::PortId>(i)), begun_[i], ended_[i], abandoned_[i]));
  }
}

}  // namespace cmsim::engine
