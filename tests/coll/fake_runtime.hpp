// A Runtime for tests: a priority queue for a clock, and wires that never contend.
//
// A transfer takes latency + bytes / bandwidth of its plane, whatever else is under way. Every
// transfer started is kept in `transfers` for inspection. Events of one date run by (priority,
// sequence).
#pragma once

#include <array>
#include <queue>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "cmsim/coll/runtime.hpp"

namespace cmsim::coll {

class FakeRuntime : public Runtime {
 public:
  struct Wire {
    BytesPerSecond bandwidth = 1e9;
    Seconds latency = 0;
  };
  struct Started {
    Seconds at;
    Transfer transfer;
  };

  Wire& wire(Plane plane) { return wires_[static_cast<std::size_t>(plane)]; }

  Seconds now() const override { return now_; }

  void schedule_at(Seconds when, Priority priority, Callback callback) override {
    if (when < now_) throw std::logic_error("scheduled in the past");
    queue_.push({when, priority, sequence_++, std::move(callback)});
  }

  void transfer(const Transfer& transfer, Callback done) override {
    if (transfer.bytes < 0) throw std::logic_error("negative transfer");
    if (keep_transfers) transfers.push_back({now_, transfer});
    const Wire& w = wire(transfer.plane);
    schedule_at(now_ + w.latency + static_cast<double>(transfer.bytes) / w.bandwidth,
                Priority::kTransferDone, std::move(done));
  }

  void stop() override { stopped_ = true; }

  /// Until nothing is left, stop() is called, or the next event is later than `until`.
  void run(Seconds until = 1e300) {
    stopped_ = false;
    while (!stopped_ && !queue_.empty() && queue_.top().when <= until) {
      Event event = std::move(const_cast<Event&>(queue_.top()));
      queue_.pop();
      now_ = event.when;
      event.callback();
    }
  }

  bool keep_transfers = true;
  std::vector<Started> transfers;

 private:
  struct Event {
    Seconds when;
    Priority priority;
    std::int64_t sequence;
    Callback callback;
    bool operator<(const Event& other) const {  // top of the queue = earliest
      return std::tie(other.when, other.priority, other.sequence) <
             std::tie(when, priority, sequence);
    }
  };

  Seconds now_ = 0;
  std::int64_t sequence_ = 0;
  bool stopped_ = false;
  std::array<Wire, 3> wires_;
  std::priority_queue<Event> queue_;
};

}  // namespace cmsim::coll
