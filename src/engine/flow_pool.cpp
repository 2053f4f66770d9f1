#include "flow_pool.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cmsim::engine {

namespace sg = simgrid::s4u;

FlowPool::FlowPool(SimGridZone& zone, PortLedger& ledger,
                   std::function<void(coll::Runtime::Callback)> ended)
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
        slot->pool->on_end(*slot, comm->get_state() == sg::Activity::State::FINISHED);
      }
    });
    return true;
  }();
  static_cast<void>(listening);
}

FlowRecord FlowPool::record_of(const Flow& flow) const {
  return {flow.ports, flow.stripes, flow.bytes, flow.wire_bytes, flow.may_leave_node};
}

void FlowPool::start(Flow flow) {
  Slot* slot;
  if (free_.empty()) {
    slot = &slots_.emplace_back();
    slot->pool = this;
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  slot->flow = std::move(flow);
  slot->open = true;
  const Flow& f = slot->flow;
  ledger_.begin(record_of(f));
  // SimGrid takes whole bytes. Count in wire bytes, and let the factor make up for the rounding.
  const double wire = f.wire_bytes / f.stripes;
  const auto size = static_cast<std::uint64_t>(std::max(1.0, std::ceil(wire)));
  const FlowRoute route{f.ports, f.latency, static_cast<double>(size) / wire, f.weight};
  zone_.set_route(&route);
  slot->comm = sg::Comm::sendto_init(zone_.host(0), zone_.host(1));
  slot->comm->set_data(slot);
  slot->comm->set_payload_size(size)->start();
  zone_.set_route(nullptr);
  ++open_;
  ++started_;
}

void FlowPool::on_end(Slot& slot, bool finished) {
  if (!slot.open) return;  // SimGrid reports a cancelled flow twice
  slot.open = false;
  --open_;
  ended_slots_.push_back(&slot);
  if (!finished) ++failed_;
  if (abandoned_ || !finished) {
    ledger_.abandon(record_of(slot.flow));
    return;
  }
  ledger_.end(record_of(slot.flow));
  ended_(std::move(slot.flow.done));
}

void FlowPool::sweep() {
  for (Slot* slot : ended_slots_) {
    slot->comm = nullptr;
    slot->flow.done = nullptr;
    free_.push_back(slot);
  }
  ended_slots_.clear();
}

}  // namespace cmsim::engine
