// A fabric that is written as GraphML and read again has the same ports and ways.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "cmsim/coll/fabric.hpp"
#include "cmsim/hw/graph_files.hpp"
#include "cmsim/hw/platform_files.hpp"

namespace cmsim::coll {
namespace {

namespace fs = std::filesystem;

struct Case {
  const char* name;
  const char* platform;
  const char* plane;  // that is read again
  std::vector<std::string> sets;
};

const Case kCases[] = {
    {"Clos", "cloudmatrix384", "ub", {"/nodes=4"}},
    {"StripedClos", "cloudmatrix384", "ub", {"/nodes=4", "/ub/spread=stripe"}},
    {"HashedClos", "cloudmatrix384", "ub", {"/nodes=4", "/ub/spread=hash"}},
    {"Switches", "gb200-nvl72", "ub", {}},
    {"Rails", "h100", "rdma", {}},
    {"Mesh", "ub-mesh", "ub", {"/nodes=32", R"(/ub/fabric/dimensions=[
        {"size": 8, "bandwidth": "56GB/s"}, {"size": 8, "bandwidth": "56GB/s"},
        {"size": 4, "bandwidth": "28GB/s"}])"}},
    {"Dragonfly", "cloudmatrix384", "ub", {"/nodes=4", R"(/ub/fabric={"builder": "dragonfly",
        "link_bandwidth": "50GB/s", "dies_per_router": 4, "routers_per_group": 4,
        "global_links_per_router": 1, "local_bandwidth": "50GB/s",
        "global_bandwidth": "50GB/s"})"}},
    {"WideDragonfly", "cloudmatrix384", "ub", {"/nodes=4", R"(/ub/fabric={"builder": "dragonfly",
        "link_bandwidth": "50GB/s", "dies_per_router": 4, "routers_per_group": 2,
        "global_links_per_router": 4, "local_bandwidth": "50GB/s",
        "global_bandwidth": "50GB/s"})"}},
    {"Pods", "cloudmatrix384", "ub", {"/nodes=4", R"(/ub/fabric={"builder": "fat_tree",
        "link_bandwidth": "50GB/s", "leaf_ports": 8, "spines": 2, "uplink_bandwidth": "50GB/s",
        "leaves_per_pod": 4, "cores": 4, "core_bandwidth": "25GB/s"})"}}};

std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.name; }

ConfigDocument document_of(const Case& one) {
  ConfigDocument document = hw::open_platform(fs::path(CMSIM_SOURCE_DIR "/platforms") /
                                              (std::string(one.platform) + ".json"));
  for (const std::string& set : one.sets) document.apply_set(set);
  return document;
}

using PortText = std::tuple<std::string, std::string, bool, bool, std::int32_t, BytesPerSecond>;

std::vector<PortText> ports_of(const Fabric& fabric) {
  std::vector<PortText> ports;
  for (std::size_t i = 0; i < fabric.ports().size(); ++i) {
    const Port& port = fabric.ports()[i];
    // Ways out of a switch are called by the vertex; two that are alike otherwise may be swapped.
    ports.emplace_back(port.kind == Port::Owner::kSwitch ? std::string("switch")
                                                         : fabric.name_of(static_cast<PortId>(i)),
                       fabric.classes()[port.cls].name, port.in_paths, port.to_switch, port.node,
                       port.capacity);
  }
  std::sort(ports.begin(), ports.end());
  return ports;
}

/// What a flow asks of its ways: how many ports, their widths, and into how many it is divided.
std::vector<double> way_of(const Fabric& fabric, int to) {
  const Path path = fabric.path(hw::die(0), hw::die(to), Plane::kUb, Op::kWrite);
  std::vector<double> way{path.stripes(), path.efficiency, path.latency};
  for (const PortId port : path.ports) {
    way.push_back(fabric.ports()[static_cast<std::size_t>(port)].capacity);
  }
  std::sort(way.begin() + 3, way.end());
  return way;
}

class GraphmlRoundTrip : public ::testing::TestWithParam<Case> {};

TEST_P(GraphmlRoundTrip, HasTheSamePorts) {
  const Fabric written(hw::read_platform(ConfigNode(document_of(GetParam()))));
  const fs::path file =
      fs::temp_directory_path() / ("round." + std::to_string(getpid()) + ".graphml");
  std::ofstream(file) << hw::to_graphml(written.topology());

  ConfigDocument document = document_of(GetParam());
  document.apply_set("/" + std::string(GetParam().plane) +
                     R"(/fabric={"builder": "edges", "file": ")" + file.string() + "\"}");
  hw::include_files(document, "");
  fs::remove(file);
  const Fabric read(hw::read_platform(ConfigNode(document)));

  const std::vector<PortText> before = ports_of(written), after = ports_of(read);
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(std::get<0>(before[i]), std::get<0>(after[i]));
    EXPECT_EQ(std::get<1>(before[i]), std::get<1>(after[i]));
    EXPECT_EQ(std::get<2>(before[i]), std::get<2>(after[i])) << std::get<0>(after[i]);
    EXPECT_EQ(std::get<3>(before[i]), std::get<3>(after[i]));
    EXPECT_EQ(std::get<4>(before[i]), std::get<4>(after[i]));
    EXPECT_NEAR(std::get<5>(before[i]) / std::get<5>(after[i]), 1, 1e-12);
  }
  for (const int to : {1, 2, 17, 40}) {
    const std::vector<double> way = way_of(written, to), again = way_of(read, to);
    ASSERT_EQ(way.size(), again.size()) << to;
    for (std::size_t i = 0; i < way.size(); ++i) EXPECT_NEAR(way[i], again[i], 1e-9 * way[i]) << to;
  }
}

INSTANTIATE_TEST_SUITE_P(Builders, GraphmlRoundTrip, ::testing::ValuesIn(kCases),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace cmsim::coll
