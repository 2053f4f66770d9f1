#include "machine.hpp"

#include <algorithm>

#include "cmsim/hw/drawing.hpp"

namespace cmsim::report {
namespace {

using Json = nlohmann::ordered_json;

double utilisation_of(const Json& window, const char* role) {
  return window.contains(role) && window[role].is_object() ? window[role].value("utilisation", 0.0)
                                                           : 0.0;
}

std::map<std::string, double> load_by_class(const Json& window) {
  std::map<std::string, double> loads;
  for (const Json& link : window.at("links")) {
    double& load = loads[link.at("class").get<std::string>()];
    load = std::max(load, link.at("utilisation").get<double>());
  }
  return loads;
}

}  // namespace

std::string draw(const Machine& machine, const Json& result) {
  const hw::Topology topology(machine.platform);
  const Json& window = result.at("window");
  hw::DrawingLoads loads;
  loads.traffic = "the window of the run";
  loads.scale = "dies: how much of the time their instance runs; lines: mean use of their class";
  loads.dies.assign(static_cast<std::size_t>(machine.platform.dies()), 0);
  const auto fill = [&](const std::vector<std::vector<std::int32_t>>& groups, const char* role) {
    for (const auto& dies : groups) {
      for (const std::int32_t die : dies) {
        loads.dies[static_cast<std::size_t>(die)] = utilisation_of(window, role);
      }
    }
  };
  fill(machine.prefill, "prefill");
  fill(machine.decode, "decode");
  const std::map<std::string, double> by_class = load_by_class(window);
  for (std::size_t i = 0; i < topology.classes().size(); ++i) {
    const auto cls = static_cast<hw::LinkClass>(i);
    const auto found = by_class.find(topology.classes()[i].name);
    if (found == by_class.end()) continue;
    loads.classes[cls] = found->second;
    for (int node = -1; node < machine.platform.nodes; ++node) {  // -1: what belongs to no node
      loads.nodes[{cls, node}] = found->second;
    }
  }
  return hw::draw_svg(machine.platform, topology, &loads);
}

}  // namespace cmsim::report
