#include <nlohmann/json.hpp>

#include "topology_report.hpp"

namespace cmsim::cli {
namespace {

nlohmann::ordered_json optional_json(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json tiers_json(const TopologyReport& report) {
  auto json = nlohmann::ordered_json::array();
  for (const hw::TierSummary& tier : report.tiers) {
    json.push_back(
        {{"plane", hw::to_string(tier.plane)},
         {"tier", tier.tier},
         {"switches", tier.switches},
         {"from_dies_gb_per_s", giga(tier.from_dies)},
         {"from_cpus_gb_per_s", giga(tier.from_cpus)},
         {"from_switches_gb_per_s", giga(tier.from_switches)},
         {"up_gb_per_s", giga(tier.up)},
         {"across_gb_per_s", giga(tier.across)},
         {"oversubscription", optional_json(tier.oversubscription())},
         {"oversubscription_with_cpus", optional_json(tier.oversubscription_with_cpus())}});
  }
  return json;
}

nlohmann::ordered_json planes_json(const TopologyReport& report) {
  auto json = nlohmann::ordered_json::array();
  for (const PlaneReport& plane : report.planes) {
    const hw::PlaneShape& shape = plane.shape;
    nlohmann::ordered_json one{{"plane", hw::to_string(plane.plane)},
                               {"joined", shape.joined},
                               {"sources", shape.sources},
                               {"exact", shape.exact},
                               {"diameter", shape.diameter},
                               {"diameter_of_switches", shape.diameter_of_switches},
                               {"mean_hops", shape.mean_hops},
                               {"least_ways", shape.least_ways},
                               {"mean_ways", shape.mean_ways},
                               {"bisection", nullptr}};
    if (plane.bisection) {
      one["bisection"] = {{"gb_per_s", giga(plane.bisection->bandwidth)},
                          {"halves", plane.bisection->halves},
                          {"first_node", plane.bisection->first_node},
                          {"nodes", plane.bisection->nodes},
                          {"dies", plane.bisection->dies},
                          {"dies_in_first_half", plane.bisection->dies_in_first_half}};
    }
    json.push_back(std::move(one));
  }
  return json;
}

nlohmann::ordered_json traffic_json(const TrafficReport& traffic) {
  auto loads = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < traffic.classes.size(); ++i) {
    const coll::ClassLoad& load = traffic.classes[i];
    loads.push_back({{"class", load.cls_name},
                     {"direction", load.name == load.cls_name
                                       ? nlohmann::ordered_json(nullptr)
                                       : nlohmann::ordered_json(coll::to_string(load.direction))},
                     {"ports", load.ports},
                     {"mean_bytes", load.mean_bytes},
                     {"mean_us", micro(load.mean_busy)},
                     {"busiest", traffic.busiest[i]},
                     {"busiest_bytes", load.busiest_bytes},
                     {"busiest_us", micro(load.busiest_busy)},
                     {"share", load.busiest_busy / traffic.duration}});
  }
  nlohmann::ordered_json json{{"description", traffic.description},
                              {"duration_us", micro(traffic.duration)},
                              {"latency_us", micro(traffic.latency)},
                              {"loads", std::move(loads)},
                              {"bound_by", nullptr},
                              {"relief", nullptr}};
  if (!traffic.relief) return json;
  const coll::Relief& relief = *traffic.relief;
  json["bound_by"] = relief.bound_by;
  auto steps = nlohmann::ordered_json::array();
  for (const coll::Relief::Step& step : relief.steps) {
    steps.push_back({{"class", step.cls}, {"speedup", step.speedup}, {"next", step.next}});
  }
  json["relief"] = {{"widening", coll::kWidening},
                    {"steps", std::move(steps)},
                    {"enough", relief.enough > 0 ? nlohmann::ordered_json(relief.enough)
                                                 : nlohmann::ordered_json(nullptr)},
                    {"then_by", relief.then_by}};
  return json;
}

nlohmann::ordered_json costs_json(const hw::Platform& platform) {
  const hw::CostSpec& costs = platform.costs;
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  const auto add = [&](const char* name, const std::optional<double>& an_npu) {
    if (an_npu) json[name] = {{"per_npu", *an_npu}, {"machine", *an_npu * platform.npus()}};
  };
  add("power_w", costs.power_w);
  add("network_power_w", costs.network_power_w);
  add("network_price_usd", costs.network_price_usd);
  add("price_least_usd", costs.price_least_usd);
  add("price_most_usd", costs.price_most_usd);
  add("hour_least_usd", costs.hour_least_usd);
  add("hour_most_usd", costs.hour_most_usd);
  add("optics", costs.optics);
  return json;
}

}  // namespace

nlohmann::ordered_json to_json(const hw::Platform& platform, const TopologyReport& report) {
  auto links = nlohmann::ordered_json::array();
  for (const LinkReport& link : report.links) {
    const hw::ClassSummary& s = link.summary;
    links.push_back({{"class", s.name},
                     {"plane", hw::to_string(s.plane)},
                     {"links", s.links},
                     {"ports", link.ports},
                     {"least_gb_per_s", giga(s.least)},
                     {"most_gb_per_s", giga(s.most)},
                     {"capacity_gb_per_s", giga(s.capacity)}});
  }
  auto distances = nlohmann::ordered_json::array();
  for (const DistanceReport& distance : report.distances) {
    distances.push_back({{"between", distance.name},
                         {"plane", hw::to_string(distance.plane)},
                         {"least_hops", distance.least_hops},
                         {"most_hops", distance.most_hops},
                         {"read_us", micro(distance.read.latency)},
                         {"write_us", micro(distance.write.latency)},
                         {"read_efficiency", distance.read.efficiency},
                         {"write_efficiency", distance.write.efficiency}});
  }
  nlohmann::ordered_json json{{"platform", platform.name},
                              {"counts",
                               {{"npus", platform.npus()},
                                {"dies", platform.dies()},
                                {"cpus", platform.cpus()},
                                {"nodes", platform.nodes},
                                {"racks", report.racks},
                                {"supernodes", platform.supernodes},
                                {"cards", report.cards}}},
                              {"links", std::move(links)},
                              {"switches", tiers_json(report)},
                              {"switch_plan", nullptr},
                              {"costs", costs_json(platform)},
                              {"planes", planes_json(report)},
                              {"distances", std::move(distances)}};
  if (report.plan) {
    json["switch_plan"] = {{"logical_switches", report.plan->total},
                           {"per_sub_plane", report.plan->per_plane},
                           {"port_utilisation", report.plan->port_utilisation}};
  }
  if (report.traffic) json["traffic"] = traffic_json(*report.traffic);
  return json;
}

}  // namespace cmsim::cli
