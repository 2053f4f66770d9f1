// The analytic rung of the fidelity ladder: an exchange takes as long as its busiest port.
//
// Exact against max-min fair sharing when the exchange is alone on its ports; it knows no
// background traffic (engine/exchange.hpp does). Every rung charges the largest path latency of the
// pairs once, to all of them. The time of the cores that issue the messages is not in here.
#pragma once

#include <string>
#include <vector>

#include "cmsim/coll/fabric.hpp"
#include "cmsim/coll/group_routes.hpp"
#include "cmsim/coll/traffic.hpp"

namespace cmsim::coll {

enum class Network : std::uint8_t { kAnalytic, kHose, kFlow };
const char* to_string(Network network);

/// The busiest port of a class and direction.
struct BusyLink {
  PortId port = 0;
  std::string cls;  // "die_ub"
  std::string name;
  double bytes = 0;
  double wire_bytes = 0;
  Seconds busy = 0;        // wire_bytes / capacity
  double utilisation = 0;  // busy / duration of the exchange
};

struct ExchangeResult {
  Seconds duration = 0;  // latency included
  Seconds latency = 0;   // the largest path latency of all pairs
  std::vector<BusyLink>
      busiest;  // one per class and direction that carries anything, busiest first
};

/// Throws std::invalid_argument where there is no way between two of them.
PortLoads port_loads(const Fabric& fabric, const PairTraffic& traffic);
PortLoads port_loads(const Fabric& fabric, const EndpointTraffic& traffic);
/// The same in O(dies + ports), except under Spread::kHash, where each pair has a path of its own.
PortLoads port_loads(const Fabric& fabric, const ProductTraffic& traffic);

/// Duration = latency + max over ports of wire bytes / capacity.
ExchangeResult analytic_exchange(const Fabric& fabric, const PortLoads& loads);

/// Fills in the busiest ports of an exchange that took `duration`.
std::vector<BusyLink> busiest_links(const Fabric& fabric, const PortLoads& loads, Seconds duration);

}  // namespace cmsim::coll
