#include "link_meter.hpp"

#include <algorithm>
#include <map>
#include <utility>

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
    metrics::LinkResult link{
        .name = use.cls,
        .direction = coll::to_string(use.direction),
        .ports = use.ports,
        .transfer_bytes = last.bytes[cls] - first.bytes[cls],
        .utilisation = to > from ? (last.busy[cls] - first.busy[cls]) / (to - from) : 0};
    if (use.busy > 0) {
      link.busiest_utilisation = link.utilisation * use.busiest / use.busy;
    }
    links.push_back(std::move(link));
    ++cls;
  }
  return links;
}

void add_exchanges(std::vector<metrics::LinkResult>& links, const coll::Fabric& fabric,
                   const coll::PortLoads& exchanges, Seconds length) {
  if (length <= 0) return;
  std::map<std::pair<coll::LinkClass, coll::Direction>, Seconds> busiest;
  for (std::size_t i = 0; i < exchanges.bytes.size(); ++i) {
    if (exchanges.bytes[i] <= 0) continue;
    const coll::Port& port = fabric.ports()[i];
    const auto link = std::ranges::find_if(links, [&](const metrics::LinkResult& of) {
      return of.name == fabric.classes()[port.cls].name &&
             of.direction == coll::to_string(port.direction);
    });
    if (link == links.end()) continue;
    const Seconds busy = exchanges.wire_bytes[i] / port.capacity;
    Seconds& most = busiest[{port.cls, port.direction}];
    link->exchange_bytes += exchanges.bytes[i];
    link->utilisation += busy / (link->ports * length);
    link->busiest_utilisation += std::max(0.0, busy - most) / length;
    most = std::max(most, busy);
  }
}

}  // namespace cmsim::run
