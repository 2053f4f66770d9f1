// The Runtime on SimGrid: its clock, and its max-min fair sharing of the ports of coll::Fabric.
//
// Events live in a queue of our own ordered by (time, priority, sequence) with one SimGrid timer as
// alarm; transfers are SimGrid communications without actors. It knows nothing about serving. Bit-
// identical reruns hold for the first runtime of a process; a later one starts at the clock of the
// earlier (SimGrid's clock is global), so its last bits may differ. One at a time.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cmsim/coll/analytic.hpp"
#include "cmsim/coll/fabric.hpp"
#include "cmsim/coll/runtime.hpp"

namespace cmsim::engine {

/// How SimGrid updates shares. kLazy is faster for sparse transfers and may hand out up to 0.4 %
/// too much under skew; kFull is exact and faster for dense exchanges.
enum class Sharing : std::uint8_t { kLazy, kFull };

struct RuntimeOptions {
  Sharing sharing = Sharing::kLazy;
  /// What transfers and exchanges may use: SimGrid gets no links of other planes, which saves time.
  std::vector<coll::Plane> planes{coll::Plane::kUb, coll::Plane::kRdma, coll::Plane::kVpc};
  /// The exchanges of iterations share the links with transfers, and with those of other instances.
  bool contention = false;
  /// Extra SimGrid options for experts, e.g. "network/optim:Full" (without "--cfg=").
  std::vector<std::string> simgrid_options;
};

/// What a port has carried since the runtime was made.
struct PortUse {
  coll::PortId port = 0;
  std::string name;
  std::string cls;  // "die_ub"
  coll::Direction direction = coll::Direction::kOut;
  Bytes bytes = 0;         // payload delivered, of flows that have ended
  double wire_bytes = 0;   // what they took of the wire: payload / efficiency
  double utilisation = 0;  // wire_bytes / (capacity * elapsed)
};

/// The ports of one class and direction together, since the runtime was made.
struct ClassUse {
  std::string cls;  // "die_ub"
  coll::Direction direction = coll::Direction::kOut;
  int ports = 0;
  Bytes bytes = 0;      // payload delivered, of flows that have ended
  Seconds busy = 0;     // what they took of the wire, wire bytes / capacity, mean over the ports
  Seconds busiest = 0;  // the same of the busiest port
};

/// Whether this process has made a SimGrid engine: the next one goes on at its clock, so its times
/// are rounded differently.
bool engine_was_made();

class SimGridRuntime : public coll::Runtime {
 public:
  explicit SimGridRuntime(const coll::Fabric& fabric, RuntimeOptions options = {});
  explicit SimGridRuntime(const hw::Platform& platform, RuntimeOptions options = {});
  ~SimGridRuntime() override;
  SimGridRuntime(const SimGridRuntime&) = delete;
  SimGridRuntime& operator=(const SimGridRuntime&) = delete;

  Seconds now() const override;
  coll::EventId schedule_at(Seconds when, coll::Priority priority, Callback callback) override;
  void cancel(coll::EventId event) override;
  /// Goes by what faults have left of the fabric when it starts; fails at once where nothing leads.
  coll::TransferId transfer(const coll::Transfer& transfer, Ended ended) override;
  void cancel(coll::TransferId transfer) override;
  /// Exchanges meet what else is on the links where the options say so.
  void iterate(coll::Iteration iteration, Callback ended) override;
  /// Throws std::invalid_argument as coll::Fabric::capacities_under().
  void apply(const hw::Fault& fault) override;
  void stop() override;

  /// An exchange as weighted hose flows (one per loaded port), contending with all other transfers.
  /// It ends with the last of them, failed when one has failed; delivered is over all ports. It
  /// does not go around what is lost.
  void exchange(const coll::PortLoads& loads, Ended ended);
  /// An exchange as one flow per pair, each charged `latency`; exact and slow (some 1,000 pairs).
  /// One at a time, not around what is lost. Its bytes are not counted at the ports; delivered is
  /// over the pairs that went through.
  void exchange(const coll::PairTraffic& traffic, Seconds latency, Ended ended);

  /// With contention: exchanges of instances have not met each other, for they share too many
  /// ports.
  bool keeps_instances_apart() const;

  /// Runs until nothing is left to do, or stop(). May be called again. What a callback throws comes
  /// out of here. Throws SimulationError when a transfer has never ended.
  void run();

  /// run() ends as by stop() soon after the flag is set; the flag must outlive the runtime.
  void set_interrupt_flag(const std::atomic<bool>* flag);
  bool interrupted() const;

  /// run() ends as by stop() at this date, when anything is left to do after it.
  void set_horizon(Seconds horizon);
  bool horizon_reached() const;

  const coll::Fabric& fabric() const;
  /// The SimGrid version and every option given to it, for provenance.
  std::vector<std::string> settings() const;

  int open_flows() const;
  std::int64_t flows_started() const;
  std::int64_t events_run() const;

  /// The worst ratio, over time and nodes, of what the open flows could send off a node at most to
  /// what its uplinks carry. Where the paths leave uplinks out, up to 1 proves that this was exact;
  /// beyond it transfers may have been too fast, and the result of a run says so (docs/output.md).
  double uplink_pressure() const;

  /// By class, then direction, of those that have ports and can bind.
  std::span<const ClassUse> class_use() const;
  /// The `count` busiest ports, busiest first. Utilisations are of `elapsed` seconds.
  std::vector<PortUse> busiest_ports(int count, Seconds elapsed) const;
  /// Invariant: on every port, the bytes of flows begun = those delivered + those cut off. Throws
  /// SimulationError naming the port; meant for when no flow is open.
  void check_bytes_conserved() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cmsim::engine
