// The one SimGrid zone: links are the ports of coll::Fabric, hosts the dies and CPUs, each under
// its name ("die:17", "cpu:3", "die:17.die_ub.out"), and a route is what the flow being started
// says it is. Every route has the raw latency 1 us / weight, because SimGrid shares bandwidth in
// inverse proportion to it; the true latency and the efficiency of the path come in through its
// factors.
#pragma once

#include <simgrid/kernel/resource/Model.hpp>
#include <simgrid/kernel/routing/NetZoneImpl.hpp>
#include <simgrid/s4u.hpp>
#include <span>
#include <string>
#include <vector>

#include "cmsim/coll/fabric.hpp"

namespace cmsim::engine {

/// How the next flow runs. SimGrid asks for route and factors synchronously when a flow starts.
struct FlowRoute {
  std::span<const coll::PortId> ports;
  double latency = 0;
  double bandwidth_factor = 1;  // simulated bytes per byte on the wire
  double weight = 1;            // flows that this one stands for
};

/// Routes of flows that actors start between dies, looked up by host.
struct PairRoutes {
  coll::Plane plane = coll::Plane::kUb;
  coll::Op op = coll::Op::kWrite;
  double latency = 0;  // of every pair
  double scale = 1;    // simulated size / bytes
};

/// Where a flow begins and ends, for whoever listens to SimGrid: nothing of its cost depends on it.
struct FlowEnds {
  simgrid::s4u::Host* from = nullptr;
  simgrid::s4u::Host* to = nullptr;
};

class SimGridZone : public simgrid::kernel::routing::NetZoneImpl {
 public:
  /// With the links of these planes alone.
  SimGridZone(const coll::Fabric& fabric, std::span<const coll::Plane> planes);

  void set_route(const FlowRoute* route) { route_ = route; }
  void set_pair_routes(const PairRoutes& routes) { pair_routes_ = routes; }
  simgrid::s4u::Host* host(hw::Endpoint endpoint) const;
  /// Of a flow over one port alone: from its owner, or to it. What is no die or CPU is "switches".
  FlowEnds ends_of(coll::PortId port) const;
  /// Flows have ended at the current date, and SimGrid has not yet reported them.
  bool has_unreported_ends() const { return !model_->get_finished_action_set()->empty(); }
  bool has_unreported_failures() const { return !model_->get_failed_action_set()->empty(); }

  /// What each port carries from now on, by PortId; 0 turns its link off and fails its flows.
  void set_capacities(std::span<const BytesPerSecond> capacities);
  bool has_links(std::span<const coll::PortId> ports) const;
  bool carries(std::span<const coll::PortId> ports) const;

 private:
  void get_local_route(const simgrid::kernel::routing::NetPoint* from,
                       const simgrid::kernel::routing::NetPoint* to,
                       simgrid::kernel::routing::Route* route, double* latency) override;
  std::string link_name(coll::PortId port) const;
  void install_factors();
  coll::Path pair_path(int from, int to) const;
  int die_of(const simgrid::s4u::Host* host) const;

  const coll::Fabric& fabric_;
  const FlowRoute* route_ = nullptr;
  PairRoutes pair_routes_;
  simgrid::kernel::resource::Model* model_ = nullptr;
  std::vector<simgrid::s4u::Host*> dies_, cpus_;
  simgrid::s4u::Host* switches_ = nullptr;
  simgrid::s4u::Host* more_switches_ = nullptr;  // SimGrid has no flow from a host to itself
  struct ZoneLink {
    simgrid::s4u::Link* link = nullptr;
    simgrid::kernel::resource::StandardLinkImpl* impl = nullptr;
  };
  std::vector<ZoneLink> links_;             // by PortId; null: none
  std::vector<BytesPerSecond> capacities_;  // by PortId
};

}  // namespace cmsim::engine
