#include "port_ledger.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cmsim/base/error.hpp"

namespace cmsim::engine {
namespace {

/// Stripe `k` of `stripes` carries this much of a flow; the parts add up to all of it.
Bytes part_of(const FlowRecord& flow, std::size_t port) {
  const auto stripes = static_cast<std::size_t>(flow.stripes);
  const std::size_t stripe = port / (flow.ports.size() / stripes);
  const Bytes rest = flow.bytes % flow.stripes;
  return flow.bytes / flow.stripes + (static_cast<Bytes>(stripe) < rest ? 1 : 0);
}

std::size_t class_of(const coll::Port& port) {
  return static_cast<std::size_t>(port.cls) * 2 + static_cast<std::size_t>(port.direction);
}

}  // namespace

PortLedger::PortLedger(const coll::Fabric& fabric)
    : fabric_(fabric),
      begun_(fabric.ports().size()),
      ended_(fabric.ports().size()),
      wire_(fabric.ports().size()),
      open_flows_(fabric.ports().size()),
      node_potential_(static_cast<std::size_t>(fabric.platform().nodes) * 2),
      classes_(coll::kPortClasses * 2) {
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    classes_[i].cls = static_cast<coll::PortClass>(i / 2);
    classes_[i].direction = static_cast<coll::Direction>(i % 2);
  }
  for (const coll::Port& port : fabric.ports()) ++classes_[class_of(port)].ports;
}

void PortLedger::add_begun(const FlowRecord& flow, Bytes sign) {
  for (std::size_t i = 0; i < flow.ports.size(); ++i) {
    begun_[static_cast<std::size_t>(flow.ports[i])] += sign * part_of(flow, i);
  }
}

void PortLedger::begin(const FlowRecord& flow) {
  add_begun(flow, 1);
  if (flow.may_leave_node) open(flow, 1);
}

void PortLedger::end(const FlowRecord& flow) {
  for (std::size_t i = 0; i < flow.ports.size(); ++i) {
    const auto port = static_cast<std::size_t>(flow.ports[i]);
    const Bytes bytes = part_of(flow, i);
    const double wire = flow.wire_bytes / flow.stripes;
    ended_[port] += bytes;
    wire_[port] += wire;
    ClassUse& use = classes_[class_of(fabric_.ports()[port])];
    use.bytes += bytes;
    use.busy += wire / (fabric_.ports()[port].capacity * use.ports);
  }
  if (flow.may_leave_node) open(flow, -1);
}

void PortLedger::abandon(const FlowRecord& flow) {
  add_begun(flow, -1);
  if (flow.may_leave_node) open(flow, -1);
}

void PortLedger::open(const FlowRecord& flow, int step) {
  for (const coll::PortId id : flow.ports) {
    const coll::Port& port = fabric_.ports()[static_cast<std::size_t>(id)];
    const bool of_die = port.cls == coll::PortClass::kDieUb;
    if (!of_die && port.cls != coll::PortClass::kCpuUb) continue;
    int& flows = open_flows_[static_cast<std::size_t>(id)];
    const bool was_idle = flows == 0;
    flows += step;
    const bool is_idle = flows == 0;
    if (was_idle == is_idle) continue;
    const int node = fabric_.node_of(of_die ? hw::die(port.owner) : hw::cpu(port.owner));
    double& potential = node_potential_[static_cast<std::size_t>(node) * 2 +
                                        static_cast<std::size_t>(port.direction)];
    potential += step * port.capacity;
    uplink_pressure_ = std::max(uplink_pressure_, potential / fabric_.node_uplink_capacity());
  }
}

PortUse PortLedger::use_of(std::size_t i, Seconds elapsed) const {
  const coll::Port& port = fabric_.ports()[i];
  return {.port = static_cast<coll::PortId>(i),
          .name = {},
          .cls = port.cls,
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
    use.name = coll::name_of(fabric_.ports()[static_cast<std::size_t>(use.port)]);
  }
  return uses;
}

void PortLedger::check_bytes_conserved() const {
  for (std::size_t i = 0; i < begun_.size(); ++i) {
    if (begun_[i] == ended_[i]) continue;
    throw SimulationError(
        fmt::format("bytes into a link are not bytes out: {} took in {} B, {} B came out",
                    coll::name_of(fabric_.ports()[i]), begun_[i], ended_[i]));
  }
}

}  // namespace cmsim::engine
