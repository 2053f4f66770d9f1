#include "cmsim/coll/analytic.hpp"

#include <algorithm>

namespace cmsim::coll {
namespace {

hw::Endpoint end_of(std::int32_t die) { return hw::die(die); }
hw::Endpoint end_of(hw::Endpoint endpoint) { return endpoint; }

template <class Traffic>
PortLoads loads_of_pairs(const Fabric& fabric, const Traffic& traffic) {
  PortLoads loads = no_loads(fabric);
  for (const auto& pair : traffic.pairs) {
    if (pair.bytes <= 0 || pair.from == pair.to) continue;
    add_path(loads, fabric.path(end_of(pair.from), end_of(pair.to), traffic.plane, traffic.op),
             pair.bytes);
  }
  return loads;
}

}  // namespace

const char* to_string(Network network) {
  switch (network) {
    case Network::kAnalytic:
      return "analytic";
    case Network::kHose:
      return "hose";
    case Network::kFlow:
      return "flow";
  }
  return "";
}

PortLoads port_loads(const Fabric& fabric, const PairTraffic& traffic) {
  return loads_of_pairs(fabric, traffic);
}

PortLoads port_loads(const Fabric& fabric, const EndpointTraffic& traffic) {
  return loads_of_pairs(fabric, traffic);
}

PortLoads port_loads(const Fabric& fabric, const ProductTraffic& traffic) {
  if (!fabric.is_uniform(traffic.plane)) return port_loads(fabric, expand(traffic));
  return GroupRoutes(fabric, traffic.dies, traffic.plane, traffic.op)
      .loads(traffic.send, traffic.receive);
}

std::vector<BusyLink> busiest_links(const Fabric& fabric, const PortLoads& loads,
                                    Seconds duration) {
  std::vector<PortId> worst(fabric.classes().size() * 2, -1);
  const auto busy = [&](PortId id) {
    const auto i = static_cast<std::size_t>(id);
    return loads.wire_bytes[i] / fabric.ports()[i].capacity;
  };
  for (PortId id = 0; id < static_cast<PortId>(fabric.ports().size()); ++id) {
    const Port& port = fabric.ports()[static_cast<std::size_t>(id)];
    if (loads.wire_bytes[static_cast<std::size_t>(id)] <= 0) continue;
    PortId& best =
        worst[static_cast<std::size_t>(port.cls) * 2 + static_cast<std::size_t>(port.direction)];
    if (best < 0 || busy(id) > busy(best)) best = id;
  }
  std::vector<BusyLink> links;
  for (const PortId id : worst) {
    if (id < 0) continue;
    const auto i = static_cast<std::size_t>(id);
    const Port& port = fabric.ports()[i];
    links.push_back({id, fabric.classes()[port.cls].name, fabric.name_of(id), loads.bytes[i],
                     loads.wire_bytes[i], busy(id), duration > 0 ? busy(id) / duration : 0});
  }
  std::stable_sort(links.begin(), links.end(),
                   [](const BusyLink& a, const BusyLink& b) { return a.busy > b.busy; });
  return links;
}

ExchangeResult analytic_exchange(const Fabric& fabric, const PortLoads& loads) {
  Seconds busiest = 0;
  for (std::size_t i = 0; i < loads.wire_bytes.size(); ++i) {
    busiest = std::max(busiest, loads.wire_bytes[i] / fabric.ports()[i].capacity);
  }
  const Seconds duration = loads.latency + busiest;
  return {duration, loads.latency, busiest_links(fabric, loads, duration)};
}

}  // namespace cmsim::coll
