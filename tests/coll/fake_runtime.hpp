// A Runtime for tests: a priority queue for a clock, and wires that never contend.
//
// A transfer takes latency + bytes / bandwidth of its plane, whatever else is under way. Every
// transfer started is kept in `transfers` for inspection, and every fault applied in `faults`.
// There are no links, so of faults only those that take a die or a CPU away do anything: transfers
// with that end fail. Events of one date run by (priority, sequence).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "cmsim/coll/runtime.hpp"
#include "cmsim/hw/fault.hpp"

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

  EventId schedule_at(Seconds when, Priority priority, Callback callback) override {
    if (when < now_) throw std::logic_error("scheduled in the past");
    queue_.emplace(Key{when, priority, ++sequence_}, std::move(callback));
    return {0, sequence_};
  }

  void cancel(EventId event) override {
    std::erase_if(queue_, [&](const auto& one) { return one.first.sequence == event.number; });
  }

  TransferId transfer(const Transfer& transfer, Ended ended) override {
    if (transfer.bytes < 0) throw std::logic_error("negative transfer");
    if (keep_transfers) transfers.push_back({now_, transfer});
    const TransferId id{0, ++started_};
    const Wire& w = wire(transfer.plane);
    const Seconds start = now_ + w.latency;
    const Seconds end = start + static_cast<double>(transfer.bytes) / w.bandwidth;
    const EventId event = schedule_at(end, Priority::kTransferDone,
                                      [this, id] { this->end(id.number, Outcome::End::kDone); });
    open_.emplace(id.number, Open{transfer, start, end, event, std::move(ended)});
    if (is_lost(transfer)) cut(id.number, Outcome::End::kFailed);
    return id;
  }

  void cancel(TransferId transfer) override { cut(transfer.number, Outcome::End::kCancelled); }

  void apply(const hw::Fault& fault) override {
    std::erase_if(faults, [&](const hw::Fault& other) { return same_part(fault, other); });
    faults.push_back(fault);
    for (auto& [number, open] : open_) {
      if (is_lost(open.transfer)) cut(number, Outcome::End::kFailed);
    }
  }

  void stop() override { stopped_ = true; }

  /// Until nothing is left, stop() is called, or the next event is later than `until`.
  void run(Seconds until = 1e300) {
    stopped_ = false;
    while (!stopped_ && !queue_.empty() && queue_.begin()->first.when <= until) {
      now_ = queue_.begin()->first.when;
      const Callback callback = std::move(queue_.extract(queue_.begin()).mapped());
      callback();
    }
  }

  bool keep_transfers = true;
  std::vector<Started> transfers;
  std::vector<hw::Fault> faults;  // of one part the last

 private:
  struct Key {
    Seconds when;
    Priority priority;
    std::uint64_t sequence;
    bool operator<(const Key& other) const {
      return std::tie(when, priority, sequence) <
             std::tie(other.when, other.priority, other.sequence);
    }
  };
  struct Open {
    Transfer transfer;
    Seconds start, end;  // of the bytes
    EventId event;       // of its end
    Ended ended;
    Seconds cut_at = -1;
  };

  bool is_lost(const Transfer& transfer) const {
    const auto is_end = [&](hw::Fault::Kind kind, int index) {
      const auto kind_of = [](hw::Endpoint end) {
        return end.kind == hw::EndpointKind::kDie ? hw::Fault::Kind::kDie : hw::Fault::Kind::kCpu;
      };
      return (kind_of(transfer.initiator) == kind && transfer.initiator.index == index) ||
             (kind_of(transfer.target) == kind && transfer.target.index == index);
    };
    return std::any_of(faults.begin(), faults.end(), [&](const hw::Fault& fault) {
      return fault.left == 0 && is_end(fault.kind, fault.at);
    });
  }

  /// Ends it at this date, after the callback that runs.
  void cut(std::uint64_t number, Outcome::End how) {
    const auto found = open_.find(number);
    if (found == open_.end() || found->second.cut_at >= 0) return;
    cancel(found->second.event);
    found->second.cut_at = now_;
    schedule_at(now_, Priority::kTransferDone, [this, number, how] { end(number, how); });
  }

  void end(std::uint64_t number, Outcome::End how) {
    const Open open = std::move(open_.extract(number).mapped());
    Outcome outcome{how, open.transfer.bytes, now_};
    if (how != Outcome::End::kDone) {
      const double share =
          open.end > open.start ? (now_ - open.start) / (open.end - open.start) : 0;
      outcome.delivered =
          std::llround(std::max(0.0, share) * static_cast<double>(open.transfer.bytes));
    }
    open.ended(outcome);
  }

  Seconds now_ = 0;
  std::uint64_t sequence_ = 0, started_ = 0;
  bool stopped_ = false;
  std::array<Wire, 3> wires_;
  std::map<Key, Callback> queue_;
  std::map<std::uint64_t, Open> open_;
};

}  // namespace cmsim::coll
