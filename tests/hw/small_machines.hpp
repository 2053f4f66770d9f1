// Machines of nodes of four packages of one die and a CPU, whose scale-up plane is asked about.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "cmsim/hw/platform_files.hpp"

namespace cmsim::hw {

inline Platform of_small_nodes(int nodes, const std::string& fabric) {
  ConfigDocument document = open_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  for (const std::string& set :
       {"/nodes=" + std::to_string(nodes), std::string("/npus_per_node=4"),
        std::string("/dies_per_npu=1"), std::string("/cpus_per_node=1"), "/ub/fabric=" + fabric}) {
    document.apply_set(set);
  }
  return read_platform(ConfigNode(document));
}

/// Links of 50 GB/s; a hop more costs 150 ns.
inline std::string full_mesh(const std::vector<int>& sizes, const std::string& routes) {
  std::string dimensions;
  for (const int size : sizes) {
    dimensions += fmt::format(R"({}{{"size": {}, "bandwidth": "50GB/s"}})",
                              dimensions.empty() ? "" : ", ", size);
  }
  return fmt::format(
      R"({{"builder": "full_mesh", "dimensions": [{}], "routes": "{}", "hop_latency": "150ns"}})",
      dimensions, routes);
}

/// Groups of so many routers of a die, one more of them than that; links between groups carry
/// 50 GB/s, all others 20 times that.
inline Platform lean_dragonfly(int routers, const std::string& routes) {
  return of_small_nodes(
      routers * (routers + 1) / 4,
      fmt::format(R"({{"builder": "dragonfly", "link_bandwidth": "1000GB/s", "dies_per_router": 1,
          "routers_per_group": {}, "global_links_per_router": 1, "local_bandwidth": "1000GB/s",
          "global_bandwidth": "50GB/s", "routes": "{}", "hop_latency": "150ns"}})",
                  routers, routes));
}

/// Five groups of two routers of two dies; router 0 of a group has the global links to the first
/// and second group after its own, router 1 those to the third and fourth.
inline Platform wide_dragonfly(const std::string& routes) {
  return of_small_nodes(
      5, fmt::format(R"({{"builder": "dragonfly", "link_bandwidth": "50GB/s", "dies_per_router": 2,
          "routers_per_group": 2, "global_links_per_router": 2, "local_bandwidth": "50GB/s",
          "global_bandwidth": "50GB/s", "routes": "{}", "hop_latency": "150ns"}})",
                     routes));
}

}  // namespace cmsim::hw
