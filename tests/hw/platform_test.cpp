#include "cmsim/hw/platform.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/base/error.hpp"
#include "cmsim/hw/platform_files.hpp"

namespace cmsim::hw {
namespace {

constexpr const char* kFile = CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json";

Platform with(const std::vector<std::string>& assignments) {
  ConfigDocument document = open_platform(kFile);
  for (const std::string& assignment : assignments) document.apply_set(assignment);
  return read_platform(ConfigNode(document));
}

TEST(Platform, PublishedSizes) {
  const Platform p = load_platform(kFile);
  EXPECT_EQ(p.dies(), 768);          // 48 nodes * 8 NPUs * 2 dies
  EXPECT_EQ(p.npus(), 384);          // 48 * 8
  EXPECT_EQ(p.cpus(), 192);          // 48 * 4
  EXPECT_EQ(p.dies_per_node(), 16);  // 8 * 2
  EXPECT_EQ(p.node_of_die(767), 47);
  EXPECT_EQ(p.node_of_cpu(4), 1);
}

TEST(Platform, PublishedRates) {
  const Platform p = load_platform(kFile);
  EXPECT_DOUBLE_EQ(bandwidth_per_die(p.ub.fabric), 196e9);  // 7 * 224 Gbps / 8
  EXPECT_DOUBLE_EQ(p.rdma.fabric.link_bandwidth, 25e9);     // 200 Gbps / 8
  EXPECT_DOUBLE_EQ(p.vpc.bandwidth_per_node, 50e9);         // 400 Gbps / 8
  EXPECT_DOUBLE_EQ(p.die.bf16_peak * 768, 288.768e15);      // 289 PFLOPS in all
  EXPECT_DOUBLE_EQ(p.die.int8_peak, 2 * p.die.bf16_peak);
  EXPECT_EQ(p.die.hbm_capacity, 64'000'000'000);
}

TEST(Platform, EfficienciesGiveBackTable1) {
  const Platform p = load_platform(kFile);
  // P Table 1 in GB/s: efficiency times the rate of the slower port, 196 or 160.
  EXPECT_NEAR(p.ub.npu_npu_read.inter_node_efficiency * 196, 164, 1e-9);
  EXPECT_NEAR(p.ub.npu_npu_write.intra_node_efficiency * 196, 137, 1e-9);
  EXPECT_NEAR(p.ub.npu_cpu_read.inter_node_efficiency * 160, 147, 1e-9);
  EXPECT_NEAR(p.ub.npu_cpu_write.intra_node_efficiency * 160, 110, 1e-9);
}

/// Every leaf of the file has a source, but for names of it, of its device and of builders.
void expect_sources(const nlohmann::json& value, const std::string& pointer) {
  if (value.is_object() && value.contains("value")) {
    EXPECT_TRUE(value.contains("source") && !value["source"].get<std::string>().empty()) << pointer;
    return;
  }
  if (value.is_object()) {
    for (const auto& [key, child] : value.items()) expect_sources(child, pointer + "/" + key);
    return;
  }
  if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      expect_sources(value[i], pointer + "/" + std::to_string(i));
    }
    return;
  }
  const std::string key = pointer.substr(pointer.rfind('/') + 1);
  if (pointer.starts_with("/die/units/")) return;  // names
  EXPECT_THAT(key, testing::AnyOf("name", "device", "builder", "scope"))
      << pointer << " is a parameter without a source";
}

TEST(Platform, EveryParameterHasItsSource) {
  int seen = 0;
  for (const char* place : {"/platforms", "/platforms/devices"}) {
    for (const auto& entry :
         std::filesystem::directory_iterator(CMSIM_SOURCE_DIR + std::string(place))) {
      if (entry.path().extension() != ".json") continue;
      SCOPED_TRACE(entry.path());
      expect_sources(ConfigDocument::from_file(entry.path()).value(), "");
      ++seen;
    }
  }
  EXPECT_GE(seen, 2);
}

struct Nonsense {
  const char* assignment;
  const char* pointer;
};
void PrintTo(const Nonsense& nonsense, std::ostream* out) { *out << nonsense.assignment; }
class NonsensePlatform : public testing::TestWithParam<Nonsense> {};

TEST_P(NonsensePlatform, IsRefusedWithItsPointer) {
  try {
    with({GetParam().assignment});
    FAIL() << "accepted " << GetParam().assignment;
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.where().pointer, GetParam().pointer) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Values, NonsensePlatform,
    testing::Values(Nonsense{"/nodes=0", "/nodes"}, Nonsense{"/nodes=-48", "/nodes"},
                    Nonsense{"/nodes=1.5", "/nodes"}, Nonsense{"/nodes=49", "/nodes"},
                    Nonsense{"/nodes=768", "/nodes"},
                    Nonsense{"/npus_per_node=0", "/npus_per_node"},
                    Nonsense{"/dies_per_npu=100", "/dies_per_npu"},
                    Nonsense{"/ub/sub_planes=0", "/ub/sub_planes"},
                    Nonsense{"/ub/link_bandwidth=28", "/ub/link_bandwidth"},
                    Nonsense{"/ub/link_bandwidth=28us", "/ub/link_bandwidth"},
                    Nonsense{"/ub/link_bandwidth=-1GB/s", "/ub/link_bandwidth"},
                    Nonsense{"/ub/link_bandwidth=0GB/s", "/ub/link_bandwidth"},
                    Nonsense{"/ub/l2_chips_per_plane=0", "/ub/l2_chips_per_plane"},
                    Nonsense{"/ub/spread=random", "/ub/spread"},
                    Nonsense{"/ub/paths/npu_npu_read/inter_node_efficiency=1.2",
                             "/ub/paths/npu_npu_read/inter_node_efficiency"},
                    Nonsense{"/ub/paths/npu_npu_read/inter_node_latency=-1us",
                             "/ub/paths/npu_npu_read/inter_node_latency"},
                    Nonsense{"/rdma/efficiency=0", "/rdma/efficiency"},
                    Nonsense{"/die/hbm_bandwidth=1e30TB/s", "/die/hbm_bandwidth"},
                    Nonsense{"/die/bf16_peak=1e7POPS", "/die/bf16_peak"},
                    Nonsense{"/die/hbm_capacity=101TB", "/die/hbm_capacity"},
                    Nonsense{"/dram_per_node=1e19B", "/dram_per_node"},
                    Nonsense{"/ub/sub_planes=65", "/ub/sub_planes"},
                    Nonsense{"/die/hbm_bandwith=1TB/s", "/die/hbm_bandwith"},
                    Nonsense{"/operators/hbm_efficiency=84", "/operators/hbm_efficiency"}));

class NonsenseRoutes : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(NonsenseRoutes, AreRefusedWithTheirPointer) {
  try {
    with({GetParam().begin(), GetParam().end() - 1});
    FAIL() << "accepted " << GetParam().front();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.where().pointer, GetParam().back()) << error.what();
  }
}

const char* const kMesh = R"(/ub/fabric={"builder": "full_mesh", "dimensions": [
    {"size": 16, "bandwidth": "9GB/s"}, {"size": 48, "bandwidth": "1GB/s"}]})";
const char* const kTorus = R"(/ub/fabric={"builder": "torus", "dimensions": [
    {"size": 16, "bandwidth": "9GB/s"}, {"size": 48, "bandwidth": "1GB/s"}]})";
const char* const kHopLatency = "/ub/fabric/hop_latency=150ns";
const char* const kDetours = "/ub/fabric/routes=detours";

INSTANTIATE_TEST_SUITE_P(
    Values, NonsenseRoutes,
    testing::Values(std::vector<std::string>{kMesh, kDetours, "/ub/fabric/hop_latency"},
                    std::vector<std::string>{kMesh, kHopLatency, "/ub/fabric/routes=valiant",
                                             "/ub/fabric/routes"},
                    std::vector<std::string>{kTorus, kDetours, "/ub/fabric/routes"},
                    std::vector<std::string>{kTorus, kHopLatency, "/ub/fabric/hop_latency"},
                    std::vector<std::string>{
                        kMesh, kDetours, kHopLatency,
                        R"(/ub/inside_node={"builder": "switch", "link_bandwidth": "9GB/s"})",
                        "/ub/fabric/routes"}));

std::string complaint_of(const std::vector<std::string>& sets) {
  try {
    with(sets);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

TEST(Platform, KeysThatAreRefusedAreNotAmongThoseAllowed) {
  EXPECT_EQ(complaint_of({kTorus, "/ub/fabric/widths=3"}),
            "--set /ub/fabric/widths=3: /ub/fabric/widths: unknown key, allowed are builder, "
            "dimensions, scope");
  EXPECT_EQ(complaint_of({"/wires=3"}).find("extends"), std::string::npos);
}

TEST(Platform, EndsOfUnknownKindAreRefused) {
  const auto between = [](const std::string& end, const std::string& more) {
    return R"(/ub/fabric={"builder": "edges", "edges": [{"from": "die:0", "to": ")" + end +
           R"(", "bandwidth": "9GB/s"}])" + more + "}";
  };
  EXPECT_NE(complaint_of({between("gpu:3", "")}).find("/to: \"gpu:3\" is of no known kind"),
            std::string::npos);
  for (const std::string& end : {between("leaf", ""), between("l1:12/2", ""), between("row: a", ""),
                                 between("leaf:3", R"(, "switches": [{"name": "leaf:3"}])")}) {
    EXPECT_EQ(complaint_of({end}).find("no known kind"), std::string::npos) << end;
  }
}

TEST(Platform, RoutesBelongToTheFabric) {
  const Platform platform = with({kMesh, kDetours, kHopLatency});
  EXPECT_EQ(platform.ub.fabric.routes, Routes::kDetours);
  EXPECT_DOUBLE_EQ(platform.ub.fabric.hop_latency, 150e-9);
  EXPECT_EQ(with({kMesh}).ub.fabric.routes, Routes::kMinimal);
}

TEST(Platform, AMisspeltKeyIsExplained) {
  try {
    with({"/die/hbm_bandwith=1TB/s"});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("hbm_bandwidth"), std::string::npos) << error.what();
  }
}

// Dies: 4096 nodes x 8 x 2 = 65,536 of 400,000 that are allowed. Links, both ways: 65,536 dies have
// 7 x 64 of the scale-up plane, which with 4096 x 64 x 256 uplinks would be over the 40 million.
TEST(Platform, BoundsDiesAndLinks) {
  const std::vector<std::string> large{"/ub/l2_chip_ports=4096", "/nodes=4096"};
  const auto plus = [&](std::vector<std::string> more) {
    more.insert(more.begin(), large.begin(), large.end());
    return more;
  };
  EXPECT_EQ(with(large).dies(), 65'536);
  EXPECT_EQ(with(plus({"/supernodes=5"})).nodes, 20'480);
  for (const auto& more :
       std::vector<std::vector<std::string>>{{"/supernodes=7"},
                                             {"/ub/l2_chips_per_plane=256", "/ub/sub_planes=64"},
                                             {"/supernodes=5", "/ub/l2_chips_per_plane=256"}}) {
    try {
      with(plus(more));
      FAIL() << "accepted " << more.front();
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.where().pointer, "/nodes") << error.what();
    }
  }
  EXPECT_EQ(with({"/dram_per_node=100TB"}).dram_per_node, kMostDram);
  EXPECT_EQ(with({"/die/hbm_capacity=40TB"}).die.hbm_capacity, kMostHbm);
}

TEST(Platform, ParametersCanBeSetWithUnits) {
  EXPECT_DOUBLE_EQ(with({"/ub/link_bandwidth=400Gbps"}).ub.fabric.link_bandwidth, 50e9);
  EXPECT_DOUBLE_EQ(
      with({"/ub/paths/npu_npu_read/inter_node_latency=800ns"}).ub.npu_npu_read.inter_node_latency,
      800e-9);
  EXPECT_EQ(with({"/ub/spread=hash"}).ub.spread, Spread::kHash);
  EXPECT_EQ(with({"/nodes=96", "/ub/l2_chip_ports=96"}).dies(), 1536);
}

}  // namespace
}  // namespace cmsim::hw
