#include "link_meter.hpp"

#include <algorithm>

namespace cmsim::run {

LinkMeter::LinkMeter(const engine::SimGridRuntime& runtime) : runtime_(runtime) {}

LinkMeter::Reading LinkMeter::read(Seconds at) const {
  Reading reading{.at = at, .bytes = {}, .busy = {}};
  for (const engine::ClassUse& use : runtime_.class_use()) {
    reading.bytes.push_back(static_cast<double>(use.bytes));
    reading.busy.push_back(use.busy);
  }
  return reading;
}

void LinkMeter::on_queue(const serve::QueueEvent& event) {
  if (!readings_.empty() && event.at < readings_.back().at + spacing_) return;
  readings_.push_back(read(event.at));
  if (readings_.size() < 2048) return;
  for (std::size_t i = 0; i < readings_.size() / 2; ++i) readings_[i] = readings_[2 * i];
  readings_.resize(readings_.size() / 2);
  spacing_ *= 2;
}

LinkMeter::Reading LinkMeter::reading_at(Seconds at, const Reading& present) const {
  const auto after = std::ranges::lower_bound(readings_, at, {}, &Reading::at);
  const Reading& next = after == readings_.end() ? present : *after;
  if (after == readings_.begin() || next.at <= at) return next;
  const Reading& last = *(after - 1);
  const double share = (at - last.at) / (next.at - last.at);
  Reading between = last;
  for (std::size_t cls = 0; cls < between.bytes.size(); ++cls) {
    between.bytes[cls] += share * (next.bytes[cls] - last.bytes[cls]);
    between.busy[cls] += share * (next.busy[cls] - last.busy[cls]);
  }
  return between;
}

std::vector<metrics::LinkResult> LinkMeter::links(Seconds from, Seconds to) const {
  const Reading present = read(runtime_.now());
  const Reading first = reading_at(from, present), last = reading_at(to, present);
  std::vector<metrics::LinkResult> links;
  std::size_t cls = 0;
  for (const engine::ClassUse& use : runtime_.class_use()) {
    links.push_back(
        {.name = use.cls,
         .direction = coll::to_string(use.direction),
         .ports = use.ports,
         .transfer_bytes = last.bytes[cls] - first.bytes[cls],
         .utilisation = to > from ? (last.busy[cls] - first.busy[cls]) / (to - from) : 0});
    ++cls;
  }
  return links;
}

void add_exchanges(std::vector<metrics::LinkResult>& links, const coll::Fabric& fabric,
                   const metrics::RoleResult& role, int ep, Seconds length) {
  if (ep < 2 || length <= 0) return;
  const hw::Platform& platform = fabric.platform();
  // Peers on the other die of a package are not reached over UB; ub_bytes leaves them out.
  const int package = std::min(ep, platform.dies_per_npu);
  const int node = std::min(ep, platform.dies_per_node());
  const double leaving = ep > package ? static_cast<double>(ep - node) / (ep - package) : 0;
  const hw::PathSpec& write = platform.ub.npu_npu_write;
  const double efficiency = node < ep ? write.inter_node_efficiency : write.intra_node_efficiency;
  const auto add = [&](const char* cls, double bytes) {
    for (metrics::LinkResult& link : links) {
      if (link.name != cls) continue;
      double capacity = 0;
      for (const coll::Port& port : fabric.ports()) {
        if (fabric.classes()[port.cls].name == cls &&
            link.direction == coll::to_string(port.direction)) {
          capacity += port.capacity;
        }
      }
      link.exchange_bytes += bytes;
      if (capacity > 0) link.utilisation += bytes / efficiency / (capacity * length);
    }
  };
  add("die_ub", role.ub_bytes);
  add("uplink", role.ub_bytes * leaving);
}

}  // namespace cmsim::run
