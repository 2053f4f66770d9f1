#include "cmsim/engine/runtime.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <exception>
#include <limits>
#include <optional>
#include <simgrid/kernel/Timer.hpp>
#include <stdexcept>
#include <utility>

#include "cmsim/base/error.hpp"
#include "cmsim/hw/fault.hpp"
#include "event_queue.hpp"
#include "flow_pool.hpp"
#include "iterations.hpp"
#include "pair_exchange.hpp"
#include "port_ledger.hpp"
#include "simgrid_engine.hpp"
#include "simgrid_zone.hpp"

namespace cmsim::engine {

using simgrid::kernel::timer::Timer;
using End = coll::Outcome::End;

namespace {

// In the number of a transfer without a flow, which is an event.
constexpr std::uint64_t kTimed = std::uint64_t{1} << 63;

}  // namespace

class SimGridRuntime::Impl {
 public:
  Impl(SimGridRuntime& self, const coll::Fabric& fabric, const RuntimeOptions& options)
      : fabric_(fabric),
        engine_(options),
        zone_(new SimGridZone(fabric_, options.planes)),
        ledger_(fabric_),
        flows_(*zone_, ledger_, [this](FlowPool::Place place) { finish(place); }) {
    if (options.contention) iterations_.emplace(self, fabric_, *zone_, ledger_, flows_);
  }

  Seconds now() const { return now_; }

  coll::EventId schedule_at(Seconds when, coll::Priority priority, Callback callback) {
    if (!(when >= now_)) {
      throw std::logic_error(fmt::format("an event at {} s was scheduled at {} s", when, now_));
    }
    if (stopped_) return {};
    const coll::EventId event = queue_.push(when, priority, std::move(callback));
    if (!pumping_) set_alarm();
    return event;
  }

  void cancel(coll::EventId event) {
    const Callback dropped = queue_.take(event);
    if (dropped && !pumping_) set_alarm();
  }

  coll::TransferId transfer(const coll::Transfer& t, Ended ended) {
    if (t.bytes < 0) throw std::invalid_argument("a transfer of negative size");
    const hw::Endpoint from = coll::source_of(t);
    const hw::Endpoint to = coll::destination_of(t);
    coll::Path path = fabric_.path(from, to, t.plane, t.op);
    if (stopped_) return {};
    if (detour_) {
      try {
        path = detour_->path(from, to, t.plane, t.op);
      } catch (const std::invalid_argument&) {  // no way is left
        return start_failed(std::move(ended));
      }
      if (!zone_->has_links(path.ports)) return start_failed(std::move(ended));
    }
    if (path.ports.empty()) {
      return start_timed(t.bytes, static_cast<double>(t.bytes) / local_bandwidth(from),
                         std::move(ended));
    }
    if (t.bytes == 0) {
      return start_timed(0, path.latency, std::move(ended));
    }
    if (iterations_) iterations_->meet(path.ports);
    return flows_.start({.ends = {zone_->host(from), zone_->host(to)},
                         .ports = std::move(path.ports),
                         .later_ways = std::move(path.later_ways),
                         .bytes = t.bytes,
                         .wire_bytes = static_cast<double>(t.bytes) / path.efficiency,
                         .latency = path.latency,
                         .weight = 1,
                         .may_leave_node = t.plane == coll::Plane::kUb &&
                                           fabric_.node_of(from) != fabric_.node_of(to),
                         .ended = std::move(ended)});
  }

  void cancel(coll::TransferId transfer) {
    if (stopped_) return;
    if ((transfer.number & kTimed) == 0) {
      flows_.cancel(transfer);
    } else if (Callback end = queue_.take({transfer.place, transfer.number & ~kTimed})) {
      schedule_at(now_, coll::Priority::kTransferDone, std::move(end));
    }
  }

  void apply(const hw::Fault& fault) {
    if (!(fault.left >= 0 && fault.left <= 1)) {
      throw std::invalid_argument(fmt::format("a fault that leaves {} of a link", fault.left));
    }
    std::vector<hw::Fault> faults = faults_;
    std::erase_if(faults, [&](const hw::Fault& other) { return same_part(fault, other); });
    if (fault.left < 1) faults.push_back(fault);
    const std::vector<BytesPerSecond> capacities = fabric_.capacities_under(faults);
    faults_ = std::move(faults);
    detour_.reset();
    if (std::ranges::any_of(capacities, [](BytesPerSecond left) { return left <= 0; })) {
      detour_ = std::make_unique<coll::Fabric>(fabric_.avoiding_lost(capacities));
    }
    if (!stopped_) flows_.set_capacities(capacities);
  }

  void exchange(const coll::PortLoads& loads, Ended ended) {
    if (stopped_) return;
    const auto exchange = std::make_shared<Exchange>();
    exchange->ended = std::move(ended);
    for (std::size_t i = 0; i < loads.wire_bytes.size(); ++i) {
      if (loads.wire_bytes[i] <= 0) continue;
      ++exchange->open;
      const auto port = static_cast<coll::PortId>(i);
      flows_.start({.ends = zone_->ends_of(port),
                    .ports = {port},
                    .bytes = std::llround(loads.bytes[i]),
                    .wire_bytes = loads.wire_bytes[i],
                    .latency = loads.latency,
                    .weight = loads.flows[i],
                    .may_leave_node = true,
                    .ended = [exchange](const coll::Outcome& one) { exchange->add(one); }});
    }
    if (exchange->open == 0) start_timed(0, loads.latency, std::move(exchange->ended));
  }

  void exchange(const coll::PairTraffic& traffic, Seconds latency, Ended ended) {
    if (stopped_) return;
    if (pair_exchange_open_) throw std::logic_error("one pair exchange at a time");
    pair_exchange_open_ = true;
    start_pair_exchange(*zone_, traffic, latency,
                        [this, ended = std::move(ended)](coll::Outcome outcome) {
                          pair_exchange_open_ = false;
                          if (!stopped_) finish(outcome, ended);
                        });
  }

  void stop() {
    stopped_ = true;
    queue_.clear();
    flows_.abandon();
    if (alarm_ != nullptr) std::exchange(alarm_, nullptr)->remove();
  }

  void run() {
    do {
      set_alarm();
      engine_.engine().run();
    } while (!queue_.empty());
    flows_.sweep();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    if (stopped_) return;
    if (flows_.open() > 0 || pair_exchange_open_) {
      throw SimulationError(fmt::format("the simulation stopped at {} s with {} transfers open",
                                        now_, flows_.open()));
    }
  }

  coll::Fabric fabric_;
  SimGridEngine engine_;
  SimGridZone* zone_;  // owned by SimGrid
  PortLedger ledger_;
  FlowPool flows_;
  std::optional<Iterations> iterations_;
  const std::atomic<bool>* interrupt_ = nullptr;
  bool interrupted_ = false;
  Seconds horizon_ = std::numeric_limits<double>::infinity();
  bool horizon_reached_ = false;
  std::int64_t events_run_ = 0;

 private:
  /// The flows of an exchange: it ends with the last of them, failed when one failed.
  struct Exchange {
    void add(const coll::Outcome& one) {
      if (one.end != End::kDone) outcome.end = one.end;
      outcome.delivered += one.delivered;
      outcome.at = one.at;
      if (--open == 0) ended(outcome);
    }
    int open = 0;
    coll::Outcome outcome;
    Ended ended;
  };

  Seconds clock() const { return simgrid::s4u::Engine::get_clock() - engine_.epoch(); }

  BytesPerSecond local_bandwidth(hw::Endpoint endpoint) const {
    const hw::Platform& p = fabric_.platform();
    return endpoint.kind == hw::EndpointKind::kDie ? p.die.hbm_bandwidth : p.ub.cpu_bandwidth;
  }

  /// A transfer that nothing slows down. Before its time it can only end because it is cancelled.
  coll::TransferId start_timed(Bytes bytes, Seconds duration, Ended ended) {
    auto end = [this, bytes, start = now_, duration, ended = std::move(ended)] {
      if (now_ >= start + duration) return ended({End::kDone, bytes, now_});
      const double share = (now_ - start) / duration;
      ended({End::kCancelled, std::llround(share * static_cast<double>(bytes)), now_});
    };
    const coll::EventId event =
        schedule_at(now_ + duration, coll::Priority::kTransferDone, std::move(end));
    return {event.place, event.number | kTimed};
  }

  coll::TransferId start_failed(Ended ended) {
    const coll::EventId event =
        schedule_at(now_, coll::Priority::kTransferDone, [this, ended = std::move(ended)] {
          ended({End::kFailed, 0, now_});
        });
    return {event.place, event.number | kTimed};
  }

  /// Called by SimGrid while it reports ends: only queues, so nothing can throw through it.
  void finish(FlowPool::Place place) {
    queue_.push(std::max(now_, clock()), coll::Priority::kTransferDone,
                [this, place] { flows_.tell(place, now_); });
    if (!pumping_) set_alarm();
  }

  void finish(coll::Outcome outcome, const Ended& ended) {
    outcome.at = std::max(now_, clock());
    queue_.push(outcome.at, coll::Priority::kTransferDone, [outcome, ended] { ended(outcome); });
    set_alarm();
  }

  /// Makes the alarm ring at the head of the queue, and at no other date.
  void set_alarm() {
    const bool is_set = alarm_ != nullptr;
    if (is_set && !queue_.empty() && alarm_time_ == queue_.next_time()) return;
    if (is_set) std::exchange(alarm_, nullptr)->remove();
    if (queue_.empty()) return;
    const Seconds when = queue_.next_time();
    alarm_time_ = when;
    alarm_ = Timer::set(when + engine_.epoch(), [this] { ring(); });
  }

  void ring() {
    alarm_ = nullptr;
    const Seconds date = std::max(alarm_time_, clock());
    // Ends of this very date are not reported yet, but come before other events of the date. The
    // report calls finish(), which sets the alarm anew.
    if (flows_.open() > 0 && !pair_exchange_open_ && zone_->has_unreported_ends()) return;
    flows_.sweep();
    if (interrupt_ != nullptr && interrupt_->load(std::memory_order_relaxed)) {
      interrupted_ = true;
      stop();
      return;
    }
    pumping_ = true;
    try {
      while (!queue_.empty() && queue_.next_time() <= date) {
        assert(queue_.next_time() >= now_ && "the clock never goes back");
        if (queue_.next_time() > horizon_) {
          now_ = horizon_;
          horizon_reached_ = true;
          stop();
          break;
        }
        now_ = queue_.next_time();
        ++events_run_;
        queue_.pop()();
      }
    } catch (...) {
      failure_ = std::current_exception();
      stop();
    }
    pumping_ = false;
    set_alarm();
  }

  EventQueue queue_;
  Seconds now_ = 0;
  Timer* alarm_ = nullptr;
  Seconds alarm_time_ = 0;
  bool pumping_ = false;
  bool stopped_ = false;
  bool pair_exchange_open_ = false;
  std::vector<hw::Fault> faults_;         // that were applied and not taken back
  std::unique_ptr<coll::Fabric> detour_;  // around what they take away; null when that is nothing
  std::exception_ptr failure_;
};

SimGridRuntime::SimGridRuntime(const coll::Fabric& fabric, RuntimeOptions options)
    : impl_(std::make_unique<Impl>(*this, fabric, options)) {}
SimGridRuntime::SimGridRuntime(const hw::Platform& platform, RuntimeOptions options)
    : SimGridRuntime(coll::Fabric(platform), std::move(options)) {}
SimGridRuntime::~SimGridRuntime() = default;

Seconds SimGridRuntime::now() const { return impl_->now(); }
coll::EventId SimGridRuntime::schedule_at(Seconds when, coll::Priority priority,
                                          Callback callback) {
  return impl_->schedule_at(when, priority, std::move(callback));
}
void SimGridRuntime::cancel(coll::EventId event) { impl_->cancel(event); }
coll::TransferId SimGridRuntime::transfer(const coll::Transfer& transfer, Ended ended) {
  return impl_->transfer(transfer, std::move(ended));
}
void SimGridRuntime::cancel(coll::TransferId transfer) { impl_->cancel(transfer); }
void SimGridRuntime::iterate(coll::Iteration iteration, Callback ended) {
  if (impl_->iterations_) {
    impl_->iterations_->start(std::move(iteration), std::move(ended));
  } else {
    Runtime::iterate(std::move(iteration), std::move(ended));
  }
}
bool SimGridRuntime::keeps_instances_apart() const {
  return impl_->iterations_ && impl_->iterations_->keeps_instances_apart();
}
void SimGridRuntime::apply(const hw::Fault& fault) { impl_->apply(fault); }
void SimGridRuntime::exchange(const coll::PortLoads& loads, Ended ended) {
  impl_->exchange(loads, std::move(ended));
}
void SimGridRuntime::exchange(const coll::PairTraffic& traffic, Seconds latency, Ended ended) {
  impl_->exchange(traffic, latency, std::move(ended));
}
void SimGridRuntime::stop() { impl_->stop(); }
void SimGridRuntime::run() { impl_->run(); }
void SimGridRuntime::set_interrupt_flag(const std::atomic<bool>* flag) { impl_->interrupt_ = flag; }
bool SimGridRuntime::interrupted() const { return impl_->interrupted_; }
void SimGridRuntime::set_horizon(Seconds horizon) { impl_->horizon_ = horizon; }
bool SimGridRuntime::horizon_reached() const { return impl_->horizon_reached_; }
const coll::Fabric& SimGridRuntime::fabric() const { return impl_->fabric_; }
std::vector<std::string> SimGridRuntime::settings() const { return impl_->engine_.settings(); }
int SimGridRuntime::open_flows() const { return impl_->flows_.open(); }
std::int64_t SimGridRuntime::flows_started() const { return impl_->flows_.started(); }
std::int64_t SimGridRuntime::events_run() const { return impl_->events_run_; }
double SimGridRuntime::uplink_pressure() const { return impl_->ledger_.uplink_pressure(); }
std::span<const ClassUse> SimGridRuntime::class_use() const { return impl_->ledger_.class_use(); }
std::vector<PortUse> SimGridRuntime::busiest_ports(int count, Seconds elapsed) const {
  return impl_->ledger_.busiest_ports(count, elapsed);
}
void SimGridRuntime::check_bytes_conserved() const { impl_->ledger_.check_bytes_conserved(); }

}  // namespace cmsim::engine
