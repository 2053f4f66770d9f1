// What `cmsim topology` says of a platform: collected from its graph and routes, as text and JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cmsim/coll/bottleneck.hpp"
#include "cmsim/hw/analysis.hpp"
#include "cmsim/hw/cuts.hpp"
#include "cmsim/hw/drawing.hpp"
#include "cmsim/run/traffic_pattern.hpp"

namespace cmsim::cli {

struct LinkReport {
  hw::ClassSummary summary;
  int ports = 0;
};

struct PlaneReport {
  hw::Plane plane = hw::Plane::kUb;
  hw::PlaneShape shape;
  std::optional<hw::Bisection> bisection;
};

/// Pairs of one distance from the first die that the faults leave.
struct DistanceReport {
  std::string name;  // "die-die, same node"
  hw::Plane plane = hw::Plane::kUb;
  coll::Path read, write;
  int least_hops = 0, most_hops = 0;
};

struct TrafficReport {
  std::string description;
  Seconds duration = 0, latency = 0;
  std::vector<coll::ClassLoad> classes;
  std::vector<std::string> busiest;  // names of their ports
  std::optional<coll::Relief> relief;
  coll::PortLoads loads;
};

struct TopologyReport {
  int racks = 0;
  int cards = 0;
  std::vector<LinkReport> links;
  std::vector<hw::TierSummary> tiers;
  std::optional<hw::SwitchPlan> plan;
  std::vector<PlaneReport> planes;
  std::vector<DistanceReport> distances;
  std::optional<TrafficReport> traffic;
};

TopologyReport report_topology(const coll::Fabric& fabric);
/// Throws std::invalid_argument where there is no way for some of it.
TrafficReport report_traffic(const coll::Fabric& fabric, const run::TrafficPattern& pattern);

/// What the drawing shows of it.
hw::DrawingLoads drawing_loads(const coll::Fabric& fabric, const TrafficReport& traffic);

inline double giga(double value) { return value / 1e9; }
inline double micro(Seconds seconds) { return seconds * 1e6; }

nlohmann::ordered_json to_json(const hw::Platform& platform, const TopologyReport& report);
/// At most 80 columns wide.
std::string to_text(const hw::Platform& platform, const TopologyReport& report);

}  // namespace cmsim::cli
