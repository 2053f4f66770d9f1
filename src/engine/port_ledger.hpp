// What every port has carried: bytes of flows begun, ended and abandoned, wire bytes, and the
// pressure on uplinks that the paths leave out. Payload is counted in whole bytes, so that
// conservation is exact: when no flow is open, bytes begun = bytes ended + bytes abandoned. Shares
// of the wire are of what ports carry when nothing of them is lost.
#pragma once

#include <span>
#include <vector>

#include "cmsim/coll/fabric.hpp"
#include "cmsim/engine/runtime.hpp"

namespace cmsim::engine {

/// A flow as the ledger sees it; its ways as in coll::Path.
struct FlowRecord {
  std::span<const coll::PortId> ports;
  std::span<const std::uint32_t> later_ways;
  Bytes bytes = 0;
  double wire_bytes = 0;
  bool may_leave_node = false;  // counts for the pressure on uplinks
};

class PortLedger {
 public:
  explicit PortLedger(const coll::Fabric& fabric);

  void begin(const FlowRecord& flow);
  void end(const FlowRecord& flow);
  /// A flow that was cut off: what had been delivered has ended, the rest is abandoned.
  void cut(const FlowRecord& flow, Bytes delivered);

  /// With an open flow, in no order.
  std::span<const coll::PortId> ports_in_use() const { return in_use_; }
  double uplink_pressure() const { return uplink_pressure_; }
  std::span<const ClassUse> class_use() const { return classes_; }
  std::vector<PortUse> busiest_ports(int count, Seconds elapsed) const;
  void check_bytes_conserved() const;

 private:
  void open(const FlowRecord& flow, int step);
  void use(std::span<const coll::PortId> ports);
  void leave(std::span<const coll::PortId> ports);
  PortUse use_of(std::size_t port, Seconds elapsed) const;

  const coll::Fabric& fabric_;
  std::vector<Bytes> begun_;
  std::vector<Bytes> ended_;
  std::vector<Bytes> abandoned_;
  std::vector<double> wire_;
  std::vector<int> flows_on_;         // open ones, by port
  std::vector<coll::PortId> in_use_;  // where that is not 0
  std::vector<std::uint32_t> place_in_use_;
  std::vector<int> open_flows_;         // of those that may leave their node
  std::vector<double> node_potential_;  // [node][direction]: capacity of the ports with such flows
  double uplink_pressure_ = 0;
  std::vector<ClassUse> classes_;        // by class, then direction
  std::vector<std::uint16_t> class_of_;  // by port: its place in classes_
};

}  // namespace cmsim::engine
