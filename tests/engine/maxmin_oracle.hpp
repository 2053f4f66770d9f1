// Ground truth for the network rungs: progressive filling of weighted flows over ports, flow by
// flow, with nothing aggregated and nothing lazy. Shares no code with the rungs but the table of
// ports.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "cmsim/coll/fabric.hpp"
#include "cmsim/coll/traffic.hpp"

namespace cmsim::engine {

struct OracleFlow {
  std::vector<coll::PortId> ports;
  double wire_bytes = 0;
};

/// Max-min fair rates of the flows that are left: raise all rates together; a port that fills up
/// freezes its flows.
inline std::vector<double> fair_rates(const std::vector<double>& capacity,
                                      const std::vector<OracleFlow>& flows) {
  std::vector<double> rate(flows.size(), -1);
  std::vector<double> room = capacity;
  std::vector<int> rising(capacity.size(), 0);
  std::size_t left = 0;
  for (const OracleFlow& flow : flows) {
    if (flow.wire_bytes <= 0) continue;
    ++left;
    for (const auto port : flow.ports) ++rising[static_cast<std::size_t>(port)];
  }
  while (left > 0) {
    double level = std::numeric_limits<double>::infinity();
    for (std::size_t p = 0; p < room.size(); ++p) {
      if (rising[p] > 0) level = std::min(level, room[p] / rising[p]);
    }
    std::vector<bool> full(room.size(), false);
    for (std::size_t p = 0; p < room.size(); ++p) {
      full[p] = rising[p] > 0 && room[p] / rising[p] <= level * (1 + 1e-12);
    }
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (flows[f].wire_bytes <= 0 || rate[f] >= 0) continue;
      const auto is_full = [&](coll::PortId p) { return full[static_cast<std::size_t>(p)]; };
      if (std::none_of(flows[f].ports.begin(), flows[f].ports.end(), is_full)) continue;
      rate[f] = level;
      --left;
      for (const auto p : flows[f].ports) {
        room[static_cast<std::size_t>(p)] -= level;
        --rising[static_cast<std::size_t>(p)];
      }
    }
  }
  return rate;
}

/// When each flow has sent its last byte, all started at 0, latency not counted.
inline std::vector<double> completion_times(const coll::Fabric& fabric,
                                            std::vector<OracleFlow> flows) {
  std::vector<double> capacity;  // of the ports in use, renumbered
  std::vector<coll::PortId> renumbered(fabric.ports().size(), -1);
  for (OracleFlow& flow : flows) {
    for (coll::PortId& port : flow.ports) {
      coll::PortId& number = renumbered[static_cast<std::size_t>(port)];
      if (number < 0) {
        number = static_cast<coll::PortId>(capacity.size());
        capacity.push_back(fabric.ports()[static_cast<std::size_t>(port)].capacity);
      }
      port = number;
    }
  }
  std::vector<double> end(flows.size(), 0);
  double now = 0;
  for (;;) {
    const std::vector<double> rate = fair_rates(capacity, flows);
    double step = std::numeric_limits<double>::infinity();
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (rate[f] > 0) step = std::min(step, flows[f].wire_bytes / rate[f]);
    }
    if (step == std::numeric_limits<double>::infinity()) return end;
    now += step;
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (rate[f] <= 0) continue;
      flows[f].wire_bytes -= rate[f] * step;
      if (flows[f].wire_bytes <= rate[f] * now * 1e-12) {
        flows[f].wire_bytes = 0;
        end[f] = now;
      }
    }
  }
}

inline OracleFlow oracle_flow(const coll::Fabric& fabric, hw::Endpoint from, hw::Endpoint to,
                              double bytes, coll::Plane plane, coll::Op op) {
  const coll::Path path = fabric.path(from, to, plane, op);
  return {path.ports, bytes / (path.efficiency * path.stripes())};
}

inline std::vector<OracleFlow> oracle_flows(const coll::Fabric& fabric,
                                            const coll::PairTraffic& traffic) {
  std::vector<OracleFlow> flows;
  for (const auto& pair : traffic.pairs) {
    flows.push_back(oracle_flow(fabric, hw::die(pair.from), hw::die(pair.to), pair.bytes,
                                traffic.plane, traffic.op));
  }
  return flows;
}

}  // namespace cmsim::engine
