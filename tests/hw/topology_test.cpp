#include "cmsim/hw/topology.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cmsim/base/error.hpp"
#include "cmsim/hw/analysis.hpp"
#include "cmsim/hw/platform_files.hpp"

namespace cmsim::hw {
namespace {

Platform cloudmatrix(int nodes = 48) {
  Platform p = load_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  p.nodes = nodes;
  return p;
}

TEST(Topology, CountsOfTheSupernode) {
  const Topology t(cloudmatrix());
  EXPECT_EQ(t.count(VertexKind::kDie), 768);  // 48 * 8 * 2
  EXPECT_EQ(t.count(VertexKind::kCpu), 192);  // 48 * 4
  EXPECT_EQ(t.switches(1), 336 + 2);          // 48 * 7 L1 chips, the RDMA plane and the VPC
  EXPECT_EQ(t.switches(2), 112);              // 7 * 16 L2 chips
  EXPECT_EQ(t.count(VertexKind::kCard), 96);  // in and out of 48 nodes
  EXPECT_EQ(t.count("die_ub"), 10752);        // 768 * 7 both ways
  EXPECT_EQ(t.count("uplink"), 10752);        // 48 * 7 * 16 both ways
  EXPECT_EQ(t.count("cpu_ub"), 2688);         // 192 * 7 both ways
  EXPECT_EQ(t.count("die_to_die"), 768);      // 384 packages both ways
  EXPECT_EQ(t.count("rdma"), 1536);           // 768 both ways
  EXPECT_EQ(t.count("vpc"), 96);              // 48 both ways
}

TEST(Topology, EverySwitchChipHasItsPorts) {
  const Topology t(cloudmatrix());
  const Graph& g = t.graph();
  std::vector<unsigned> entering(boost::num_vertices(g));
  const auto [first_link, last_link] = boost::edges(g);
  for (auto e = first_link; e != last_link; ++e) ++entering[boost::target(*e, g)];
  const auto [begin, end] = boost::vertices(g);
  for (auto v = begin; v != end; ++v) {
    const auto ports = boost::out_degree(*v, g);
    if (g[*v].kind == VertexKind::kCard) continue;
    EXPECT_EQ(ports, entering[*v]);
    if (g[*v].kind == VertexKind::kSwitch && g[*v].tier == 2) {
      EXPECT_EQ(ports, 48u);  // one per node
    } else if (g[*v].kind == VertexKind::kSwitch && g[*v].node >= 0) {
      EXPECT_EQ(ports, 16u + 4 + 16);  // dies, CPUs, uplinks
    } else if (g[*v].kind == VertexKind::kDie) {
      EXPECT_EQ(ports, 7u + 1 + 1 + 1);  // UB, sibling, RDMA, VPC card
    }
  }
}

TEST(Topology, SubPlanesAreIndependent) {
  // No link joins chips of different sub-planes, and L1 uplinks stay in their sub-plane.
  const Topology t(cloudmatrix(4));
  const Graph& g = t.graph();
  const auto [begin, end] = boost::edges(g);
  for (auto e = begin; e != end; ++e) {
    if (t.classes()[g[*e].cls].name != "uplink") continue;
    EXPECT_EQ(g[boost::source(*e, g)].lane, g[boost::target(*e, g)].lane);
    EXPECT_EQ(g[*e].lane, g[boost::source(*e, g)].lane);
  }
}

TEST(Topology, SmallerSupernodesScale) {
  for (const int nodes : {1, 24, 32, 36, 44}) {
    const Topology t(cloudmatrix(nodes));
    EXPECT_EQ(t.count(VertexKind::kDie), nodes * 16);
    EXPECT_EQ(t.switches(2), 112);  // some ports of each stay empty
    EXPECT_EQ(t.count("die_ub") + t.count("uplink"), nodes * (16 * 7 + 7 * 16) * 2);
  }
}

TEST(Topology, LinksAreAsWideAsTheirOwnersSay) {
  const Topology t(cloudmatrix());
  // 768 dies of 7 * 28 GB/s, both ways; 192 CPUs of 160 GB/s; and so on.
  EXPECT_NEAR(t.capacity("die_ub"), 2 * 768 * 196e9, 1);
  EXPECT_NEAR(t.capacity("uplink"), 2 * 48 * 7 * 16 * 28e9, 1);
  EXPECT_NEAR(t.capacity("cpu_ub"), 2 * 192 * 160e9, 10);  // of sevenths
  EXPECT_NEAR(t.capacity("die_to_die"), 768 * 270e9, 1);
  EXPECT_NEAR(t.capacity("rdma"), 2 * 768 * 25e9, 1);
  EXPECT_NEAR(t.capacity("vpc"), 2 * 48 * 50e9, 1);
}

TEST(Topology, ADieAloneInItsPackageHasNoSibling) {
  Platform p = cloudmatrix();
  p.dies_per_npu = 1;
  EXPECT_EQ(Topology(p).count("die_to_die"), 0);
}

TEST(Builders, FullMeshJoinsAllThatDifferInOneCoordinate) {
  // 4 x 4 dies: each has 3 + 3 peers; 16 * 3 links one way in each dimension.
  const Topology t(of_small_nodes(4, R"({"builder": "full_mesh", "dimensions": [
      {"size": 4, "bandwidth": "50GB/s"}, {"size": 4, "bandwidth": "20GB/s"}]})"));
  EXPECT_EQ(t.count("mesh_1"), 48);
  EXPECT_EQ(t.count("mesh_2"), 48);
  EXPECT_NEAR(t.capacity("mesh_2"), 48 * 20e9, 1);
  EXPECT_EQ(t.count("cpu_ub"), 4 * 4 * 2);  // a CPU and the four dies of its node, both ways
  EXPECT_NEAR(t.capacity("cpu_ub"), 4 * 2 * 160e9, 1);
}

TEST(Builders, TorusJoinsNeighboursAndClosesRings) {
  // 8 x 2: rings of eight have 8 links, pairs have one.
  const Topology t(of_small_nodes(4, R"({"builder": "torus", "dimensions": [
      {"size": 8, "bandwidth": "50GB/s"}, {"size": 2, "bandwidth": "20GB/s"}]})"));
  EXPECT_EQ(t.count("torus_1"), 2 * 8 * 2);
  EXPECT_EQ(t.count("torus_2"), 8 * 2);
}

TEST(Builders, FatTreeHangsLeavesOnSpines) {
  // 32 dies on leaves of 8: four leaves, each with a link to each of two spines.
  const Topology t(
      of_small_nodes(8, R"({"builder": "fat_tree", "link_bandwidth": "50GB/s", "leaf_ports": 8,
      "spines": 2, "uplink_bandwidth": "100GB/s"})"));
  EXPECT_EQ(t.count("uplink"), 4 * 2 * 2);
  EXPECT_EQ(t.switches(2), 2);
  // With four rails a leaf has one die of each of eight nodes, so there are four leaves again.
  const Topology rails(of_small_nodes(8, R"({"builder": "fat_tree", "link_bandwidth": "50GB/s",
      "leaf_ports": 8, "rails": 4, "spines": 2, "uplink_bandwidth": "100GB/s"})"));
  EXPECT_EQ(rails.count("uplink"), 4 * 2 * 2);
  // Two pods of two leaves: two spines each, which reach three cores.
  const Topology pods(of_small_nodes(8, R"({"builder": "fat_tree", "link_bandwidth": "50GB/s",
      "leaf_ports": 8, "spines": 2, "uplink_bandwidth": "100GB/s", "leaves_per_pod": 2, "cores": 3,
      "core_bandwidth": "40GB/s"})"));
  EXPECT_EQ(pods.count("uplink"), 4 * 2 * 2);
  EXPECT_EQ(pods.count("core_link"), 2 * 2 * 3 * 2);
  EXPECT_EQ(pods.switches(3), 3);
}

TEST(Builders, FatTreeHasAsManyRailsAsDivideANode) {
  EXPECT_THROW(of_small_nodes(8, R"({"builder": "fat_tree", "link_bandwidth": "50GB/s",
      "leaf_ports": 8, "spines": 4, "uplink_bandwidth": "50GB/s", "rails": 3})"),
               ConfigError);
}

TEST(Builders, DragonflyJoinsAnyTwoGroups) {
  // 32 dies: two a router, four routers a group, so four groups with 3 global links of 4 each used.
  const Topology t(of_small_nodes(8, R"({"builder": "dragonfly", "link_bandwidth": "50GB/s",
      "dies_per_router": 2, "routers_per_group": 4, "global_links_per_router": 1,
      "local_bandwidth": "50GB/s", "global_bandwidth": "100GB/s"})"));
  EXPECT_EQ(t.count("dragonfly_local"), 4 * 6 * 2);  // 4 groups of 4 * 3 / 2 links
  EXPECT_EQ(t.count("dragonfly_global"), 6 * 2);     // 4 * 3 / 2 pairs of groups
  EXPECT_EQ(t.count("die_ub"), 32 * 2);
}

/// Four dies of one node: each on a switch, and the two switches joined.
std::string edges(const std::string& last) {
  return R"({"builder": "edges", "edges": [
      {"from": "die:0", "to": "a", "bandwidth": "50GB/s"},
      {"from": "die:1", "to": "a", "bandwidth": "50GB/s"},
      {"from": "die:2", "to": "b", "bandwidth": "50GB/s"},
      {"from": "cpu:0", "to": "b", "bandwidth": "20GB/s"},
      {"from": "a", "to": "b", "bandwidth": "80GB/s", "class": "trunk"},
      )" +
         last + "]}";
}

TEST(Builders, AListIsWhatItSays) {
  const Topology t(
      of_small_nodes(1, edges(R"({"from": "b", "to": "die:3", "bandwidth": "50GB/s"})")));
  EXPECT_EQ(t.count("die_ub"), 4 * 2);
  EXPECT_EQ(t.count("trunk"), 2);
  EXPECT_NEAR(t.capacity("trunk"), 2 * 80e9, 1);
}

TEST(Builders, ACpuOfAScaleOutListIsOnThatPlane) {
  Platform p = of_small_nodes(1, edges(R"({"from": "b", "to": "die:3", "bandwidth": "50GB/s"})"));
  p.rdma.fabric = p.ub.fabric;
  const Topology t(p);
  EXPECT_EQ(t.count("cpu_ub"), 2);
  EXPECT_EQ(t.count("cpu_rdma"), 2);
  EXPECT_EQ(t.count("rdma"), 4 * 2);
  EXPECT_EQ(t.count("trunk"), 2);
  EXPECT_EQ(t.count("rdma_trunk"), 2);
  const Hops hops = hops_from(p, t, Plane::kRdma, t.vertex_of(die(0)))[t.vertex_of(cpu(0))];
  EXPECT_GT(hops.least, 0);
}

TEST(Builders, AListThatIsNoNetworkIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"from": "b", "to": "die:4", "bandwidth": "1GB/s"})",
       "die:4 does not exist, cloudmatrix384 has 4"},
      {R"({"from": "b", "to": "die:x", "bandwidth": "1GB/s"})", "is not an endpoint"},
      {R"({"from": "b", "to": "a", "bandwidth": "1GB/s"})", "between a and b is there already"},
      {R"({"from": "c", "to": "die:3", "bandwidth": "1GB/s"})", "die:3 is not joined to die:0"},
      {R"({"from": "b", "to": "b", "bandwidth": "1GB/s"})", "to itself"},
      {R"({"from": "b", "to": "die:3", "bandwidth": "0GB/s"})", "/bandwidth"}};
  for (const auto& [last, message] : cases) {
    try {
      of_small_nodes(1, edges(last));
      FAIL() << "accepted " << last;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
  }
}

TEST(Builders, ASwitchInEveryNodeIsAPlaneOfItsOwn) {
  const Topology t(
      of_small_nodes(3, R"({"builder": "switch", "scope": "node", "link_bandwidth": "200GB/s",
      "sub_planes": 2})"));
  EXPECT_EQ(t.count("die_ub"), 12 * 2 * 2);
  EXPECT_EQ(t.switches(1), 3 * 2 + 2);  // and the RDMA plane and the VPC
}

TEST(Builders, SupernodesShareTheScaleOutPlane) {
  Platform p = cloudmatrix(6);
  p.supernodes = 3;
  const Topology t(p);
  EXPECT_EQ(t.switches(2), 3 * 112);
  EXPECT_EQ(t.count("rdma"), 6 * 16 * 2);
}

}  // namespace
}  // namespace cmsim::hw
