#include "cmsim/engine/runtime.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <exception>
#include <limits>
#include <simgrid/kernel/Timer.hpp>
#include <stdexcept>
#include <utility>

#include "cmsim/base/error.hpp"
#include "event_queue.hpp"
#include "flow_pool.hpp"
#include "pair_exchange.hpp"
#include "port_ledger.hpp"
#include "simgrid_engine.hpp"
#include "simgrid_zone.hpp"

namespace cmsim::engine {

using simgrid::kernel::timer::Timer;

class SimGridRuntime::Impl {
 public:
  Impl(const coll::Fabric& fabric, const RuntimeOptions& options)
      : fabric_(fabric),
        engine_(options),
        zone_(new SimGridZone(fabric_, options.planes)),
        ledger_(fabric_),
        flows_(*zone_, ledger_, [this](Callback done) { finish(std::move(done)); }) {}

  Seconds now() const { return now_; }

  void schedule_at(Seconds when, coll::Priority priority, Callback callback) {
    if (!(when >= now_)) {
      throw std::logic_error(fmt::format("an event at {} s was scheduled at {} s", when, now_));
    }
    if (stopped_) return;
    queue_.push(when, priority, std::move(callback));
    if (!pumping_) set_alarm();
  }

  void transfer(const coll::Transfer& t, Callback done) {
    if (t.bytes < 0) throw std::invalid_argument("a transfer of negative size");
    const hw::Endpoint from = coll::source_of(t);
    const hw::Endpoint to = coll::destination_of(t);
    coll::Path path = fabric_.path(from, to, t.plane, t.op);
    if (stopped_) return;
    if (path.ports.empty()) {
      finish_after(static_cast<double>(t.bytes) / local_bandwidth(from), std::move(done));
    } else if (t.bytes == 0) {
      finish_after(path.latency, std::move(done));
    } else {
      flows_.start({.ports = std::move(path.ports),
                    .stripes = static_cast<int>(path.stripes),
                    .bytes = t.bytes,
                    .wire_bytes = static_cast<double>(t.bytes) / path.efficiency,
                    .latency = path.latency,
                    .weight = 1,
                    .may_leave_node =
                        t.plane == coll::Plane::kUb && fabric_.node_of(from) != fabric_.node_of(to),
                    .done = std::move(done)});
    }
  }

  void exchange(const coll::PortLoads& loads, Callback done) {
    if (stopped_) return;
    const auto left = std::make_shared<int>(0);
    const auto all_done = std::make_shared<Callback>(std::move(done));
    for (std::size_t i = 0; i < loads.wire_bytes.size(); ++i) {
      if (loads.wire_bytes[i] <= 0) continue;
      ++*left;
      flows_.start({.ports = {static_cast<coll::PortId>(i)},
                    .stripes = 1,
                    .bytes = std::llround(loads.bytes[i]),
                    .wire_bytes = loads.wire_bytes[i],
                    .latency = loads.latency,
                    .weight = loads.flows[i],
                    .may_leave_node = true,
                    .done = [left, all_done] {
                      if (--*left == 0) (*all_done)();
                    }});
    }
    if (*left == 0) finish_after(loads.latency, std::move(*all_done));
  }

  void exchange(const coll::PairTraffic& traffic, Seconds latency, Callback done) {
    if (stopped_) return;
    if (pair_exchange_open_) throw std::logic_error("one pair exchange at a time");
    pair_exchange_open_ = true;
    start_pair_exchange(*zone_, traffic, latency, [this, done = std::move(done)]() mutable {
      pair_exchange_open_ = false;
      if (!stopped_) finish(std::move(done));
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
    if (flows_.failed() > 0) {
      throw SimulationError(fmt::format("{} transfers failed in SimGrid", flows_.failed()));
    }
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
  const std::atomic<bool>* interrupt_ = nullptr;
  bool interrupted_ = false;
  Seconds horizon_ = std::numeric_limits<double>::infinity();
  bool horizon_reached_ = false;
  std::int64_t events_run_ = 0;

 private:
  Seconds clock() const { return simgrid::s4u::Engine::get_clock() - engine_.epoch(); }

  BytesPerSecond local_bandwidth(hw::Endpoint endpoint) const {
    const hw::Platform& p = fabric_.platform();
    return endpoint.kind == hw::EndpointKind::kDie ? p.die.hbm_bandwidth : p.ub.cpu_bandwidth;
  }

  void finish_after(Seconds delay, Callback done) {
    schedule_at(now_ + delay, coll::Priority::kTransferDone, std::move(done));
  }

  /// Called by SimGrid while it reports ends: only queues, so nothing can throw through it.
  void finish(Callback done) {
    queue_.push(std::max(now_, clock()), coll::Priority::kTransferDone, std::move(done));
    set_alarm();
  }

  /// Makes the alarm ring at the head of the queue.
  void set_alarm() {
    if (queue_.empty()) return;
    const Seconds when = queue_.next_time();
    if (alarm_ != nullptr) {
      if (alarm_time_ <= when) return;
      alarm_->remove();
    }
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
  std::exception_ptr failure_;
};

SimGridRuntime::SimGridRuntime(const coll::Fabric& fabric, RuntimeOptions options)
    : impl_(std::make_unique<Impl>(fabric, options)) {}
SimGridRuntime::SimGridRuntime(const hw::Platform& platform, RuntimeOptions options)
    : SimGridRuntime(coll::Fabric(platform), std::move(options)) {}
SimGridRuntime::~SimGridRuntime() = default;

Seconds SimGridRuntime::now() const { return impl_->now(); }
void SimGridRuntime::schedule_at(Seconds when, coll::Priority priority, Callback callback) {
  impl_->schedule_at(when, priority, std::move(callback));
}
void SimGridRuntime::transfer(const coll::Transfer& transfer, Callback done) {
  impl_->transfer(transfer, std::move(done));
}
void SimGridRuntime::exchange(const coll::PortLoads& loads, Callback done) {
  impl_->exchange(loads, std::move(done));
}
void SimGridRuntime::exchange(const coll::PairTraffic& traffic, Seconds latency, Callback done) {
  impl_->exchange(traffic, latency, std::move(done));
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
