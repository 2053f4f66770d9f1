// The three rungs on fabrics of every builder, alone on the machine.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "cmsim/engine/exchange.hpp"
#include "cmsim/hw/platform_files.hpp"
#include "tests/coll/ranks.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::engine {
namespace {

struct Case {
  const char* name;
  const char* fabric;  // of 16 nodes of four dies
};

std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.name; }

const Case kCases[] = {
    {"Switch", R"({"builder": "switch", "link_bandwidth": "100GB/s"})"},
    {"FatTree", R"({"builder": "fat_tree", "link_bandwidth": "50GB/s", "leaf_ports": 8, "spines": 4,
        "uplink_bandwidth": "100GB/s"})"},
    {"ThinFatTree", R"({"builder": "fat_tree", "link_bandwidth": "50GB/s", "leaf_ports": 8,
        "spines": 4, "uplink_bandwidth": "25GB/s"})"},
    {"Pods", R"({"builder": "fat_tree", "link_bandwidth": "50GB/s", "leaf_ports": 4, "spines": 2,
        "uplink_bandwidth": "50GB/s", "leaves_per_pod": 4, "cores": 4,
        "core_bandwidth": "25GB/s"})"},
    {"FullMesh", R"({"builder": "full_mesh", "dimensions": [{"size": 64, "bandwidth": "3GB/s"}]})"},
    {"FullMesh2d", R"({"builder": "full_mesh", "dimensions": [{"size": 8, "bandwidth": "14GB/s"},
        {"size": 8, "bandwidth": "14GB/s"}]})"},
    {"Torus", R"({"builder": "torus", "dimensions": [{"size": 8, "bandwidth": "50GB/s"},
        {"size": 8, "bandwidth": "50GB/s"}]})"},
    {"Dragonfly", R"({"builder": "dragonfly", "link_bandwidth": "50GB/s", "dies_per_router": 4,
        "routers_per_group": 4, "global_links_per_router": 1, "local_bandwidth": "50GB/s",
        "global_bandwidth": "50GB/s"})"},
    {"Detours", R"({"builder": "full_mesh", "dimensions": [{"size": 8, "bandwidth": "14GB/s"},
        {"size": 8, "bandwidth": "14GB/s"}], "routes": "detours", "hop_latency": "150ns"})"},
    {"Valiant", R"({"builder": "dragonfly", "link_bandwidth": "50GB/s", "dies_per_router": 4,
        "routers_per_group": 4, "global_links_per_router": 1, "local_bandwidth": "50GB/s",
        "global_bandwidth": "50GB/s", "routes": "valiant", "hop_latency": "150ns"})"}};

hw::Platform machine(const char* fabric) {
  ConfigDocument document = hw::open_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  for (const std::string& set :
       {std::string("/nodes=16"), std::string("/npus_per_node=4"), std::string("/dies_per_npu=1"),
        std::string("/ub/fabric=") + fabric}) {
    document.apply_set(set);
  }
  return hw::read_platform(ConfigNode(document));
}

class EveryFabric : public ::testing::TestWithParam<Case> {};

double ratio_to_analytic(const char* machine_fabric, const coll::ProductTraffic& traffic,
                         coll::Network network) {
  const coll::Fabric fabric(machine(machine_fabric), coll::Uplinks::kAlways);
  const Seconds analytic = measure_exchange(fabric, traffic, coll::Network::kAnalytic).duration;
  return measure_exchange(fabric, traffic, network).duration / analytic;
}

coll::ProductTraffic even(int ranks) {
  return coll::all_to_all(coll::consecutive_dies(0, ranks), 1e6);
}

TEST_P(EveryFabric, HoseIsAnalyticWhenAlone) {
  EXPECT_NEAR(ratio_to_analytic(GetParam().fabric, even(64), coll::Network::kHose), 1, 1e-3);
}

TEST_P(EveryFabric, FlowsKeepTheBusiestPortBusyAt16Ranks) {
  EXPECT_NEAR(ratio_to_analytic(GetParam().fabric, even(16), coll::Network::kFlow), 1, 1e-3);
}

TEST_P(EveryFabric, FlowsKeepTheBusiestPortBusyAt64Ranks) {
  if (std::string(GetParam().name) == "Torus") {
    GTEST_SKIP() << "a torus of 64 has 24 ways for many pairs: 10 s of SimGrid, by hand 1.000000";
  }
  EXPECT_NEAR(ratio_to_analytic(GetParam().fabric, even(64), coll::Network::kFlow), 1, 1e-3);
}

// With one rank twice as hot as the others the flows to it are the last, and what was theirs alone
// bounds them: no rung is ever faster than the busiest port.
TEST_P(EveryFabric, FlowsToAHotRankAreNoFasterThanTheBusiestPort) {
  std::vector<double> share(16, 1.0 / 17);
  share[5] = 2.0 / 17;
  const auto skewed = coll::dispatch(coll::consecutive_dies(0, 16), 1000, 8, 7168, share);
  const double ratio = ratio_to_analytic(GetParam().fabric, skewed, coll::Network::kFlow);
  RecordProperty("flow_over_analytic", std::to_string(ratio));
  EXPECT_GE(ratio, 1 - 1e-3);
  EXPECT_LE(ratio, 1.25);  // 1.11 on a thin fat tree, 1.20 with pods, 1.00 on the others
}

const std::filesystem::path kPlatforms = CMSIM_SOURCE_DIR "/platforms";

/// Every machine that is shipped, as it is.
class EveryPlatform : public ::testing::TestWithParam<std::string> {};

std::vector<std::string> shipped() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kPlatforms)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

double ratio_to_analytic(const std::string& name, int ranks, coll::Network network) {
  const coll::Fabric fabric(hw::load_platform(kPlatforms / (name + ".json")),
                            coll::Uplinks::kAlways);
  const auto traffic = even(ranks);
  const Seconds analytic = measure_exchange(fabric, traffic, coll::Network::kAnalytic).duration;
  return measure_exchange(fabric, traffic, network).duration / analytic;
}

TEST_P(EveryPlatform, HoseIsAnalyticAt16Ranks) {
  EXPECT_NEAR(ratio_to_analytic(GetParam(), 16, coll::Network::kHose), 1, 1e-3);
}

TEST_P(EveryPlatform, HoseIsAnalyticAt64Ranks) {
  EXPECT_NEAR(ratio_to_analytic(GetParam(), 64, coll::Network::kHose), 1, 1e-3);
}

TEST_P(EveryPlatform, FlowsAreAnalyticAt16Ranks) {
  EXPECT_NEAR(ratio_to_analytic(GetParam(), 16, coll::Network::kFlow), 1, 1e-3);
}

TEST_P(EveryPlatform, FlowsAreAnalyticAt64Ranks) {
  EXPECT_NEAR(ratio_to_analytic(GetParam(), 64, coll::Network::kFlow), 1, 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Shipped, EveryPlatform, ::testing::ValuesIn(shipped()),
                         [](const auto& one) {
                           std::string name = one.param;
                           std::erase(name, '-');
                           return name;
                         });

INSTANTIATE_TEST_SUITE_P(Builders, EveryFabric, ::testing::ValuesIn(kCases),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace cmsim::engine
