// Iterations whose exchanges meet transfers, and each other, on the links.
//
// The exchanges of an iteration are bursts, one at the start of each of its equal parts. A burst
// puts a hose flow on every port, and its flows share nothing among themselves, so a flow that is
// alone on its port ends at a date that is known: only those that meet others are given to SimGrid.
// A burst ends with its last flow. What it is late by delays the rest of the iteration as much as
// the step model says that slower wires do.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "cmsim/coll/fabric.hpp"
#include "cmsim/coll/runtime.hpp"
#include "flow_pool.hpp"
#include "port_ledger.hpp"
#include "simgrid_zone.hpp"

namespace cmsim::engine {

class Iterations {
 public:
  /// All must outlive it; `clock` is asked for dates and events alone.
  Iterations(coll::Runtime& clock, const coll::Fabric& fabric, const SimGridZone& zone,
             const PortLedger& ledger, FlowPool& flows);

  void start(coll::Iteration iteration, coll::Runtime::Callback ended);
  /// A transfer over these ports is about to begin.
  void meet(std::span<const coll::PortId> ports);

  /// The exchanges of instances that share more ports than these meet transfers alone: a flow on
  /// each of them for every exchange is more than a run can do.
  static constexpr std::size_t kMostShared = 64;
  /// Some have met no other instance for that reason.
  bool keeps_instances_apart() const { return keeps_instances_apart_; }

 private:
  using Number = std::uint32_t;  // of a running iteration
  /// The ports that an instance loads.
  struct Wires {
    std::vector<coll::PortId> ports;
    std::vector<coll::PortId> shared;  // that other instances load too
  };
  struct Running {
    coll::Iteration work;
    coll::Runtime::Callback ended;
    const Wires* wires = nullptr;  // null: it sends nothing
    bool is_open = false;
    bool is_coasting = false;  // alone on its links: nothing is simulated but its end
    int exchange = 0;          // that goes on or comes next
    Seconds part = 0;          // from one exchange to the next
    Seconds start = 0;
    Seconds delay = 0;           // so far, by exchanges that were late
    Seconds burst = -1;          // what an exchange takes alone; -1: not known yet
    double scale = 1;            // of what it puts on the ports, so that a burst fits its part
    double delay_per_late = -1;  // s/s; -1: not known yet
    coll::EventId next;
    bool lone_flows_run = false;  // those of the burst that meet nobody
    int open_flows = 0;
    std::vector<coll::PortId> met;  // ports of this burst's flows in SimGrid
  };

  /// When its next part begins, or this one has begun: with its exchange.
  static Seconds date_of_part(const Running& one);
  static bool is_bursting(const Running& one) { return one.lone_flows_run || one.open_flows > 0; }
  Running& at(Number number) { return running_[number]; }
  Number free_number();
  const Wires* wires_of(const coll::Iteration& iteration);
  void find_shared();
  double wire_bytes(const Running& one, coll::PortId port) const;
  double flows(const Running& one, coll::PortId port) const;
  Seconds burst_of(Running& one) const;
  /// By how much longer an iteration is for each second that its exchanges take longer.
  double delay_per_late(Running& one) const;
  bool loads(const Running& one, coll::PortId port) const;
  bool is_loaded_by_others(Number number, coll::PortId port) const;
  bool is_alone(Number number) const;

  void coast(Number number);
  void stop_coasting(Number number);
  void schedule_part(Number number);
  void begin_part(Number number);
  void begin_burst(Number number);
  /// The flow of the burst on a port, as much of it as is left.
  void simulate(Number number, coll::PortId port);
  void part_of_burst_over(Number number);
  void end(Number number);

  coll::Runtime& clock_;
  const coll::Fabric& fabric_;
  const SimGridZone& zone_;
  const PortLedger& ledger_;
  FlowPool& flows_;
  std::deque<Running> running_;
  std::vector<Number> free_;
  std::map<std::pair<const coll::PortLoads*, const coll::PortLoads*>, Wires> wires_;
  bool keeps_instances_apart_ = false;
};

}  // namespace cmsim::engine
