// Flows in the air. A flow is a SimGrid communication started by maestro, with the route that the
// zone is told just before. Its end is reported to one listener, which asks for the outcome to be
// told when its turn has come; until then the flow keeps its place. A communication is kept alive
// until a sweep() after that, because SimGrid still holds it while it reports its end, twice when
// it was cancelled.
#pragma once

#include <deque>
#include <functional>
#include <simgrid/s4u.hpp>
#include <span>
#include <vector>

#include "port_ledger.hpp"
#include "simgrid_zone.hpp"

namespace cmsim::engine {

struct Flow {
  FlowEnds ends;
  std::vector<coll::PortId> ports;
  std::vector<std::uint32_t> later_ways = {};  // as in coll::Path
  Bytes bytes = 0;                             // payload
  double wire_bytes = 0;
  double latency = 0;
  double weight = 1;
  bool may_leave_node = false;
  bool is_transfer = true;  // false: the ledger does not count it
  coll::Runtime::Ended ended;

  double wire_bytes_of_way() const {
    return wire_bytes / static_cast<double>(later_ways.size() + 1);
  }
};

class FlowPool {
 public:
  using Place = std::uint32_t;

  /// `ended` gets the place of each flow that has ended, in SimGrid's order; it must not throw.
  FlowPool(SimGridZone& zone, PortLedger& ledger, std::function<void(Place)> ended);
  ~FlowPool();
  FlowPool(const FlowPool&) = delete;
  FlowPool& operator=(const FlowPool&) = delete;

  /// A flow over a port that carries nothing ends at once, failed.
  coll::TransferId start(Flow flow);
  /// Ends an open flow; the name of any other means nothing.
  void cancel(coll::TransferId id);
  /// Sets what each port carries from now on, by PortId. Flows over a port of 0 fail.
  void set_capacities(std::span<const BytesPerSecond> capacities);
  /// Tells the outcome of a flow that has ended, and frees its place.
  void tell(Place place, Seconds now);
  /// Frees what SimGrid holds no more. Not to be called while it reports an end.
  void sweep();
  /// From now on flows end without a word, and count as abandoned from their first byte.
  void abandon() { abandoned_ = true; }

  int open() const { return open_; }
  std::int64_t started() const { return started_; }

 private:
  struct Slot {
    FlowPool* pool = nullptr;
    Place place = 0;
    Flow flow;
    simgrid::s4u::CommPtr comm;
    bool open = false;
    std::uint64_t number = 0;  // of the flow among all that were started
    coll::Outcome outcome;
  };
  static void listen();
  Slot& free_slot();
  void start_comm(Slot& slot);
  void end(Slot& slot, coll::Outcome::End how);
  Bytes delivered(const Slot& slot) const;
  FlowRecord record_of(const Flow& flow) const;

  SimGridZone& zone_;
  PortLedger& ledger_;
  std::function<void(Place)> ended_;
  std::deque<Slot> slots_;
  std::vector<Place> free_;
  std::vector<simgrid::s4u::CommPtr> told_;  // communications of flows that are no more
  bool abandoned_ = false;
  int open_ = 0;
  std::int64_t started_ = 0;
};

}  // namespace cmsim::engine
