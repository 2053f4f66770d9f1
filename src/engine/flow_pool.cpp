#include "flow_pool.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cmsim::engine {

namespace sg = simgrid::s4u;
using End = coll::Outcome::End;

FlowPool::FlowPool(SimGridZone& zone, PortLedger& ledger, std::function<void(Place)> ended)
    : zone_(zone), ledger_(ledger), ended_(std::move(ended)) {
  listen();
}

FlowPool::~FlowPool() = default;

void FlowPool::listen() {
  static const bool listening = [] {
    // One signal for all activities of the process. Communications of actors carry no data.
    sg::Activity::on_completion_cb([](const sg::Activity& activity) {
      const auto* comm = dynamic_cast<const sg::Comm*>(&activity);
      if (comm == nullptr) return;
      if (auto* slot = comm->get_data<Slot>()) {
        const bool finished = comm->get_state() == sg::Activity::State::FINISHED;
        slot->pool->end(*slot, finished ? End::kDone : End::kFailed);
      }
    });
    return true;
  }();
  static_cast<void>(listening);
}

FlowRecord FlowPool::record_of(const Flow& flow) const {
  return {flow.ports, flow.later_ways, flow.bytes, flow.wire_bytes, flow.may_leave_node};
}

FlowPool::Slot& FlowPool::free_slot() {
  if (free_.empty()) {
    Slot& slot = slots_.emplace_back();
    slot.pool = this;
    slot.place = static_cast<Place>(slots_.size() - 1);
    return slot;
  }
  Slot& slot = slots_[free_.back()];
  free_.pop_back();
  return slot;
}

coll::TransferId FlowPool::start(Flow flow) {
  Slot& slot = free_slot();
  slot.flow = std::move(flow);
  slot.open = true;
  slot.number = static_cast<std::uint64_t>(++started_);
  slot.outcome = {};
  ++open_;
  if (slot.flow.is_transfer) ledger_.begin(record_of(slot.flow));
  if (zone_.carries(slot.flow.ports)) {
    start_comm(slot);
  } else {
    end(slot, End::kFailed);
  }
  return {slot.place, slot.number};
}

void FlowPool::start_comm(Slot& slot) {
  const Flow& f = slot.flow;
  // SimGrid takes whole bytes. Count in wire bytes, and let the factor make up for the rounding.
  const double wire = f.wire_bytes_of_way();
  const auto size = static_cast<std::uint64_t>(std::max(1.0, std::ceil(wire)));
  const FlowRoute route{f.ports, f.latency, static_cast<double>(size) / wire, f.weight};
  zone_.set_route(&route);
  slot.comm = sg::Comm::sendto_init(f.ends.from, f.ends.to);
  slot.comm->set_data(&slot);
  slot.comm->set_payload_size(size)->start();
  zone_.set_route(nullptr);
}

void FlowPool::cancel(coll::TransferId id) {
  if (id.place >= slots_.size()) return;
  Slot& slot = slots_[id.place];
  if (!slot.open || slot.number != id.number) return;
  slot.outcome.delivered = delivered(slot);
  slot.comm->set_data(nullptr);  // what SimGrid says of it is no news any more
  slot.comm->cancel();
  end(slot, End::kCancelled);
}

void FlowPool::set_capacities(std::span<const BytesPerSecond> capacities) {
  const auto is_lost = [&](coll::PortId port) {
    return capacities[static_cast<std::size_t>(port)] <= 0;
  };
  for (Slot& slot : slots_) {
    if (!slot.open || std::ranges::none_of(slot.flow.ports, is_lost)) continue;
    slot.outcome.delivered = delivered(slot);  // SimGrid forgets it when it fails the flow
  }
  zone_.set_capacities(capacities);
}

Bytes FlowPool::delivered(const Slot& slot) const {
  const Flow& f = slot.flow;
  const double size = std::max(1.0, std::ceil(f.wire_bytes_of_way()));
  const double share = 1 - slot.comm->get_remaining() / size;
  return std::clamp<Bytes>(std::llround(share * static_cast<double>(f.bytes)), 0, f.bytes);
}

void FlowPool::end(Slot& slot, End how) {
  slot.open = false;
  --open_;
  if (abandoned_) {
    if (slot.flow.is_transfer) ledger_.cut(record_of(slot.flow), 0);
    return;
  }
  slot.outcome.end = how;
  if (how == End::kDone) slot.outcome.delivered = slot.flow.bytes;
  if (slot.flow.is_transfer) {
    if (how == End::kDone) {
      ledger_.end(record_of(slot.flow));
    } else {
      ledger_.cut(record_of(slot.flow), slot.outcome.delivered);
    }
  }
  ended_(slot.place);
}

void FlowPool::tell(Place place, Seconds now) {
  Slot& slot = slots_[place];
  told_.push_back(std::move(slot.comm));
  const coll::Runtime::Ended ended = std::exchange(slot.flow.ended, nullptr);
  coll::Outcome outcome = slot.outcome;
  outcome.at = now;
  free_.push_back(place);
  ended(outcome);
}

void FlowPool::sweep() {
  if (!zone_.has_unreported_failures()) told_.clear();
}

}  // namespace cmsim::engine
