// Flows in the air. A flow is a SimGrid communication started by maestro, with the route that the
// zone is told just before; its end is reported to one listener. The pool keeps every communication
// alive until the next sweep(), because SimGrid still holds it while it reports its end.
#pragma once

#include <deque>
#include <functional>
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

#include "port_ledger.hpp"
#include "simgrid_zone.hpp"

namespace cmsim::engine {

struct Flow {
  std::vector<coll::PortId> ports;
  int stripes = 1;
  Bytes bytes = 0;  // payload
  double wire_bytes = 0;
  double latency = 0;
  double weight = 1;
  bool may_leave_node = false;
  coll::Runtime::Callback done;
};

class FlowPool {
 public:
  /// `ended` gets the callback of each flow that has ended, in SimGrid's order; it must not throw.
  FlowPool(SimGridZone& zone, PortLedger& ledger,
           std::function<void(coll::Runtime::Callback)> ended);
  ~FlowPool();
  FlowPool(const FlowPool&) = delete;
  FlowPool& operator=(const FlowPool&) = delete;

  void start(Flow flow);
  /// Frees what has ended. Not to be called while SimGrid reports an end.
  void sweep();
  /// From now on flows end without a word, and count as never begun.
  void abandon() { abandoned_ = true; }

  int open() const { return open_; }
  std::int64_t started() const { return started_; }
  int failed() const { return failed_; }

 private:
  struct Slot {
    FlowPool* pool = nullptr;
    Flow flow;
    simgrid::s4u::CommPtr comm;
    bool open = false;
  };
  static void listen();
  void on_end(Slot& slot, bool finished);
  FlowRecord record_of(const Flow& flow) const;

  SimGridZone& zone_;
  PortLedger& ledger_;
  std::function<void(coll::Runtime::Callback)> ended_;
  std::deque<Slot> slots_;
  std::vector<Slot*> free_;
  std::vector<Slot*> ended_slots_;
  bool abandoned_ = false;
  int open_ = 0;
  int failed_ = 0;
  std::int64_t started_ = 0;
};

}  // namespace cmsim::engine
