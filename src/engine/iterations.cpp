#include "iterations.hpp"

#include <algorithm>
#include <cmath>

#include "cmsim/coll/group_routes.hpp"

namespace cmsim::engine {

using coll::PortId;
using coll::Priority;

namespace {

/// Of a flow of a burst: SimGrid shares by weight among flows that have one.
constexpr Seconds kLatency = 1e-9;

std::size_t place_of(PortId port) { return static_cast<std::size_t>(port); }

}  // namespace

Iterations::Iterations(coll::Runtime& clock, const coll::Fabric& fabric, const SimGridZone& zone,
                       const PortLedger& ledger, FlowPool& flows)
    : clock_(clock), fabric_(fabric), zone_(zone), ledger_(ledger), flows_(flows) {}

Iterations::Number Iterations::free_number() {
  if (free_.empty()) {
    running_.emplace_back();
    return static_cast<Number>(running_.size() - 1);
  }
  const Number number = free_.back();
  free_.pop_back();
  return number;
}

Seconds Iterations::date_of_part(const Running& one) {
  const bool is_end = one.exchange == one.work.exchanges;
  // The duration itself where nothing was met, to the last bit.
  return one.start + (is_end ? one.work.duration : one.exchange * one.part) + one.delay;
}

const Iterations::Wires* Iterations::wires_of(const coll::Iteration& iteration) {
  const coll::PortLoads* const first = iteration.loads[0].per_byte;
  const coll::PortLoads* const second = iteration.loads[1].per_byte;
  if (iteration.exchanges <= 0 || (first == nullptr && second == nullptr)) return nullptr;
  const auto [found, is_new] = wires_.try_emplace({first, second});
  if (is_new) {
    const auto is_loaded = [](const coll::PortLoads* loads, std::size_t port) {
      return loads != nullptr && loads->wire_bytes[port] > 0;
    };
    for (std::size_t port = 0; port < fabric_.ports().size(); ++port) {
      // A port without a link in SimGrid is one that no transfer uses or that cannot bind.
      const PortId id = static_cast<PortId>(port);
      if ((is_loaded(first, port) || is_loaded(second, port)) && zone_.has_links({&id, 1})) {
        found->second.ports.push_back(id);
      }
    }
    find_shared();
  }
  return &found->second;
}

void Iterations::find_shared() {
  std::vector<int> instances(fabric_.ports().size(), 0);
  for (const auto& [key, wires] : wires_) {
    for (const PortId port : wires.ports) ++instances[place_of(port)];
  }
  for (auto& [key, wires] : wires_) {
    wires.shared.clear();
    std::ranges::copy_if(wires.ports, std::back_inserter(wires.shared),
                         [&](PortId port) { return instances[place_of(port)] > 1; });
    if (wires.shared.size() <= kMostShared) continue;
    wires.shared.clear();
    keeps_instances_apart_ = true;
  }
}

double Iterations::wire_bytes(const Running& one, PortId port) const {
  double bytes = 0;
  for (const coll::WireLoad& load : one.work.loads) {
    if (load.per_byte != nullptr) bytes += load.bytes * load.per_byte->wire_bytes[place_of(port)];
  }
  return bytes * one.scale / one.work.exchanges;
}

double Iterations::flows(const Running& one, PortId port) const {
  double flows = 1;
  for (const coll::WireLoad& load : one.work.loads) {
    if (load.per_byte != nullptr && load.bytes > 0) {
      flows = std::max(flows, load.per_byte->flows[place_of(port)]);
    }
  }
  return flows;
}

Seconds Iterations::burst_of(Running& one) const {
  if (one.burst >= 0) return one.burst;
  Seconds longest = 0;
  for (const PortId port : one.wires->ports) {
    longest = std::max(longest, wire_bytes(one, port) / fabric_.ports()[place_of(port)].capacity);
  }
  // The step model may have let more on the wire at once than it carries: alone it is all in time.
  if (longest > one.part) one.scale = one.part / longest;
  return one.burst = std::min(longest, one.part);
}

bool Iterations::loads(const Running& one, PortId port) const {
  return one.is_open && one.wires != nullptr && wire_bytes(one, port) > 0;
}

bool Iterations::is_loaded_by_others(Number number, PortId port) const {
  for (std::size_t other = 0; other < running_.size(); ++other) {
    if (other != number && loads(running_[other], port)) return true;
  }
  return false;
}

bool Iterations::is_alone(Number number) const {
  const Running& one = running_[number];
  const auto is_loaded = [&](PortId port) { return loads(one, port); };
  const auto is_shared = [&](PortId port) { return is_loaded_by_others(number, port); };
  return std::ranges::none_of(ledger_.ports_in_use(), is_loaded) &&
         std::ranges::none_of(one.wires->shared, is_shared);
}

void Iterations::start(coll::Iteration iteration, coll::Runtime::Callback ended) {
  const Wires* const wires = iteration.duration > 0 ? wires_of(iteration) : nullptr;
  if (wires != nullptr) meet(wires->shared);
  const Number number = free_number();
  Running& one = at(number);
  one.work = std::move(iteration);
  one.ended = std::move(ended);
  one.wires = wires;
  one.is_open = true;
  one.exchange = 0;
  one.burst = one.delay_per_late = -1;
  one.scale = 1;
  one.start = clock_.now();
  one.delay = 0;
  one.part = wires == nullptr ? one.work.duration : one.work.duration / one.work.exchanges;
  if (wires == nullptr) {
    one.work.exchanges = 1;
    return coast(number);
  }
  begin_part(number);
}

void Iterations::coast(Number number) {
  Running& one = at(number);
  one.is_coasting = true;
  one.next = clock_.schedule_at(one.start + one.work.duration + one.delay, Priority::kIterationDone,
                                [this, number] { end(number); });
}

/// The part that it is in has begun alone, maybe with its exchange.
void Iterations::stop_coasting(Number number) {
  Running& one = at(number);
  clock_.cancel(one.next);
  one.is_coasting = false;
  const double passed = (clock_.now() - one.start - one.delay) / one.part;
  one.exchange = std::clamp(static_cast<int>(passed), one.exchange, one.work.exchanges - 1);
  if (date_of_part(one) + burst_of(one) > clock_.now()) {
    begin_burst(number);
  } else {
    ++one.exchange;
    schedule_part(number);
  }
}

void Iterations::begin_burst(Number number) {
  Running& one = at(number);
  one.lone_flows_run = true;
  one.met.clear();
  one.next = clock_.schedule_at(date_of_part(one) + burst_of(one), Priority::kTransferDone,
                                [this, number] {
                                  at(number).lone_flows_run = false;
                                  part_of_burst_over(number);
                                });
}

void Iterations::begin_part(Number number) {
  Running& one = at(number);
  if (one.exchange == one.work.exchanges) return end(number);
  if (is_alone(number)) return coast(number);
  begin_burst(number);
  for (const PortId port : ledger_.ports_in_use()) {
    if (loads(one, port)) simulate(number, port);
  }
  for (const PortId port : one.wires->shared) {
    if (is_loaded_by_others(number, port)) simulate(number, port);
  }
}

void Iterations::meet(std::span<const PortId> ports) {
  for (Number number = 0; number < running_.size(); ++number) {
    const auto is_loaded = [&](PortId port) { return loads(at(number), port); };
    if (std::ranges::none_of(ports, is_loaded)) continue;
    if (at(number).is_coasting) stop_coasting(number);
    if (!is_bursting(at(number))) continue;
    for (const PortId port : ports) {
      if (is_loaded(port)) simulate(number, port);
    }
  }
}

void Iterations::simulate(Number number, PortId port) {
  Running& one = at(number);
  if (std::ranges::find(one.met, port) != one.met.end()) return;
  const BytesPerSecond capacity = fabric_.ports()[place_of(port)].capacity;
  const Seconds since = clock_.now() - date_of_part(one);
  const double left = wire_bytes(one, port) - capacity * (since + kLatency);
  if (left < 1) return;
  one.met.push_back(port);
  ++one.open_flows;
  flows_.start({.ends = zone_.ends_of(port),
                .ports = {port},
                .bytes = std::llround(left),
                .wire_bytes = left,
                .latency = kLatency,
                .weight = flows(one, port),
                .may_leave_node = false,
                .is_transfer = false,
                .ended = [this, number](const coll::Outcome&) {
                  --at(number).open_flows;
                  part_of_burst_over(number);
                }});
}

void Iterations::part_of_burst_over(Number number) {
  Running& one = at(number);
  if (is_bursting(one)) return;
  const Seconds late = clock_.now() - (date_of_part(one) + one.burst);
  ++one.exchange;
  if (late > 2 * kLatency) {  // else it is the rounding of flows that met nobody in the end
    one.delay += late * delay_per_late(one);
    one.delay +=
        std::max(0.0, clock_.now() - date_of_part(one));  // no exchange before the last ends
  }
  schedule_part(number);
}

void Iterations::schedule_part(Number number) {
  Running& one = at(number);
  one.next = clock_.schedule_at(std::max(date_of_part(one), clock_.now()), Priority::kIterationDone,
                                [this, number] { begin_part(number); });
}

double Iterations::delay_per_late(Running& one) const {
  if (one.delay_per_late >= 0) return one.delay_per_late;
  const Seconds twice = one.work.stretched ? one.work.stretched(2) : one.work.duration;
  return one.delay_per_late =
             std::max(0.0, twice - one.work.duration) / (one.burst * one.work.exchanges);
}

void Iterations::end(Number number) {
  Running& one = at(number);
  one.is_open = one.is_coasting = false;
  one.work.stretched = nullptr;
  const coll::Runtime::Callback ended = std::exchange(one.ended, nullptr);
  free_.push_back(number);
  ended();
}

}  // namespace cmsim::engine
