#include "cmsim/hw/analysis.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "cmsim/hw/cuts.hpp"
#include "cmsim/hw/nonminimal.hpp"
#include "cmsim/hw/platform_files.hpp"
#include "tests/hw/small_machines.hpp"

namespace cmsim::hw {
namespace {

Platform platform_with(const std::vector<std::string>& sets) {
  ConfigDocument document = open_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  for (const std::string& set : sets) document.apply_set(set);
  return read_platform(ConfigNode(document));
}

Platform supernode(int nodes) { return platform_with({"/nodes=" + std::to_string(nodes)}); }

Platform full_mesh_4x4() {
  return of_small_nodes(4, R"({"builder": "full_mesh", "dimensions": [
      {"size": 4, "bandwidth": "50GB/s"}, {"size": 4, "bandwidth": "20GB/s"}]})");
}

Platform torus_8x2() {
  return of_small_nodes(4, R"({"builder": "torus", "dimensions": [
      {"size": 8, "bandwidth": "50GB/s"}, {"size": 2, "bandwidth": "20GB/s"}]})");
}

/// Four groups of four routers of two dies; router r of a group has the global link to the
/// (r + 1)th group after its own.
Platform dragonfly() {
  return of_small_nodes(8, R"({"builder": "dragonfly", "link_bandwidth": "50GB/s",
      "dies_per_router": 2, "routers_per_group": 4, "global_links_per_router": 1,
      "local_bandwidth": "50GB/s", "global_bandwidth": "100GB/s"})");
}

/// Four leaves of eight dies, two spines.
Platform fat_tree() {
  return of_small_nodes(8, R"({"builder": "fat_tree", "link_bandwidth": "50GB/s", "leaf_ports": 8,
      "spines": 2, "uplink_bandwidth": "100GB/s"})");
}

PlaneShape shape(const Platform& platform, Plane plane = Plane::kUb) {
  return shape_of(platform, Topology(platform), plane);
}

double cut(const Platform& platform, Plane plane = Plane::kUb) {
  return bisection(platform, Topology(platform), plane).value().bandwidth;
}

TierSummary tier(const Platform& platform, Plane plane, int number) {
  for (const TierSummary& one : summarise_tiers(Topology(platform))) {
    if (one.plane == plane && one.tier == number) return one;
  }
  return {};
}

TEST(SwitchPlan, IsPublishedTable11) {
  // Nodes, logical switches (two chips of 48 ports), port utilisation in per cent.
  struct Row {
    int nodes, switches, utilisation;
  };
  for (const Row row :
       {Row{48, 56, 100}, Row{44, 56, 92}, Row{36, 42, 100}, Row{32, 42, 89}, Row{24, 28, 100}}) {
    // E.g. 32 nodes: 32 * 16 = 512 ports a sub-plane, 6 switches of 96 = 576 ports: 512 / 576.
    const SwitchPlan plan = plan_switches(supernode(row.nodes)).value();
    EXPECT_EQ(plan.total, row.switches) << row.nodes << " nodes";
    EXPECT_NEAR(plan.port_utilisation * 100, row.utilisation, 0.5) << row.nodes << " nodes";
  }
  EXPECT_EQ(plan_switches(platform_with({"/nodes=24", "/supernodes=3"})).value().total, 3 * 28);
  EXPECT_FALSE(plan_switches(torus_8x2()).has_value());
}

TEST(Bisection, IsHalfTheUplinksOfTheSupernode) {
  EXPECT_DOUBLE_EQ(cut(supernode(48)), 24 * 3136e9);
  // Three nodes: a node and a half, of 16 dies of 196 GB/s, on either side.
  EXPECT_DOUBLE_EQ(cut(supernode(3)), 24 * 196e9);
  // With half the L2 chips, half of that.
  EXPECT_DOUBLE_EQ(cut(platform_with({"/ub/l2_chips_per_plane=8"})), 24 * 3136e9 / 2);
  // Of one of two supernodes; the scale-out plane joins all: 48 nodes of 16 dies of 25 GB/s.
  const Platform two = platform_with({"/supernodes=2"});
  EXPECT_DOUBLE_EQ(cut(two), 24 * 3136e9);
  EXPECT_DOUBLE_EQ(cut(two, Plane::kRdma), 48 * 16 * 25e9);
}

TEST(Bisection, OfANodeAloneIsBetweenTheHalvesOfItsDies) {
  // Eight dies of 196 GB/s, and the package on both sides of the cut is none.
  const auto found = bisection(supernode(1), Topology(supernode(1)), Plane::kUb);
  EXPECT_EQ(found.value().dies_in_first_half, 8);
  EXPECT_DOUBLE_EQ(found.value().bandwidth, 8 * 196e9);
}

std::string halves(const Platform& platform, Plane plane = Plane::kUb) {
  return bisection(platform, Topology(platform), plane).value().halves;
}

std::string of_4_by_6(const std::string& builder, const char* first, const char* second) {
  return fmt::format(R"({{"builder": "{}", "dimensions": [{{"size": 4, "bandwidth": "{}"}},
      {{"size": 6, "bandwidth": "{}"}}]}})",
                     builder, first, second);
}

TEST(Bisection, OfAMeshIsThatOfItsNarrowestDimension) {
  // Two columns against two: in each of six rows 2 * 2 links. Three rows against three: 4 * 3 * 3.
  const Platform mesh = of_small_nodes(6, of_4_by_6("full_mesh", "10GB/s", "10GB/s"));
  EXPECT_DOUBLE_EQ(cut(mesh), 6 * 2 * 2 * 10e9);
  EXPECT_EQ(halves(mesh), "dimension 1");
  const Platform other = of_small_nodes(6, of_4_by_6("full_mesh", "10GB/s", "5GB/s"));
  EXPECT_DOUBLE_EQ(cut(other), 4 * 3 * 3 * 5e9);
  EXPECT_EQ(halves(other), "dimension 2");
  // A ring is cut at two links: six rows, or four columns.
  const Platform torus = of_small_nodes(6, of_4_by_6("torus", "10GB/s", "10GB/s"));
  EXPECT_DOUBLE_EQ(cut(torus), 4 * 2 * 10e9);
  EXPECT_DOUBLE_EQ(cut(of_small_nodes(6, of_4_by_6("torus", "10GB/s", "20GB/s"))), 6 * 2 * 10e9);
}

TEST(Bisection, OfARailTreeIsBetweenItsRailsOrItsPods) {
  // 32 dies on four rails: a leaf has eight dies of 50 GB/s and two uplinks of 100 GB/s, half of
  // that. Two leaves against two, whichever: 2 * 2 * 100 GB/s.
  const std::string tree = R"("builder": "fat_tree", "link_bandwidth": "50GB/s", "leaf_ports": 8,
      "rails": 4, "spines": 2, "uplink_bandwidth": "100GB/s")";
  EXPECT_DOUBLE_EQ(cut(of_small_nodes(8, "{" + tree + "}")), 2 * 2 * 100e9);
  // In pods of two leaves, of which each spine has two links of 20 GB/s to cores: 2 * 2 * 20.
  const Platform pods = of_small_nodes(8, "{" + tree + R"(, "leaves_per_pod": 2, "cores": 2,
      "core_bandwidth": "20GB/s"})");
  EXPECT_DOUBLE_EQ(cut(pods), 2 * 2 * 20e9);
  EXPECT_EQ(halves(pods), "pods");
}

TEST(Bisection, OfADragonflyIsBetweenItsGroupsOrWithinThem) {
  const auto groups_of_four_routers = [](int groups) {
    return of_small_nodes(2 * groups, R"({"builder": "dragonfly", "link_bandwidth": "50GB/s",
        "dies_per_router": 2, "routers_per_group": 4, "global_links_per_router": 1,
        "local_bandwidth": "5GB/s", "global_bandwidth": "100GB/s"})");
  };
  // Two groups against two, at four links of 100 GB/s, whose routers have dies for as much.
  EXPECT_DOUBLE_EQ(cut(groups_of_four_routers(4)), 4 * 100e9);
  EXPECT_EQ(halves(groups_of_four_routers(4)), "groups");
  // Two groups are joined by one link, and each is cut at 2 * 2 local ones.
  EXPECT_DOUBLE_EQ(cut(groups_of_four_routers(2)), 2 * 2 * 2 * 5e9);
  EXPECT_EQ(halves(groups_of_four_routers(2)), "routers of a group");
}

TEST(Bisection, IsTheLeastOfAllUnits) {
  const auto nodes = [](const std::string& set) {
    ConfigDocument document = open_platform(CMSIM_SOURCE_DIR "/platforms/h800.json");
    if (!set.empty()) document.apply_set(set);
    return read_platform(ConfigNode(document));
  };
  // Four GPUs of 200 GB/s against four.
  EXPECT_DOUBLE_EQ(cut(nodes("")), 4 * 200e9);
  // A node without a switch has no GPU in use.
  EXPECT_DOUBLE_EQ(cut(nodes("/faults/fail=l1:0/0")), 4 * 200e9);
  // One that is slow is the narrowest.
  const Platform slow = nodes("/faults/degrade=l1:5/0=25%");
  EXPECT_DOUBLE_EQ(cut(slow), 4 * 50e9);
  EXPECT_EQ(bisection(slow, Topology(slow), Plane::kUb).value().first_node, 5);
}

TEST(Bisection, CrossesWhatJoinsTheHalves) {
  // Rows 0 and 1 against 2 and 3: in each of four columns 2 * 2 links of 20 GB/s; of the rows 50.
  EXPECT_DOUBLE_EQ(cut(full_mesh_4x4()), 4 * 4 * 20e9);
  // The halves are the two rings: eight links of 20 GB/s between them.
  EXPECT_DOUBLE_EQ(cut(torus_8x2()), 8 * 20e9);
  // Two groups against two: four global links of 100 GB/s, and each reached over its routers.
  EXPECT_DOUBLE_EQ(cut(dragonfly()), 4 * 100e9);
  // Two leaves of 2 * 100 GB/s upwards, with eight dies of 50 GB/s below each.
  EXPECT_DOUBLE_EQ(cut(fat_tree()), 2 * 2 * 100e9);
}

TEST(Tiers, OversubscriptionIsOneForDiesAnd120WithCpus) {
  // A node: 16 dies * 196 = 3,136 GB/s up, and 7 * 16 * 28 = 3,136 GB/s of uplinks; with 4 CPUs of
  // 160 GB/s 3,776 / 3,136.
  const TierSummary l1 = tier(supernode(48), Plane::kUb, 1);
  EXPECT_EQ(l1.switches, 336);
  EXPECT_NEAR(l1.oversubscription().value(), 1.0, 1e-12);
  EXPECT_NEAR(l1.oversubscription_with_cpus().value(), 3776.0 / 3136, 1e-12);
  const TierSummary l2 = tier(supernode(48), Plane::kUb, 2);
  EXPECT_EQ(l2.switches, 112);
  EXPECT_FALSE(l2.oversubscription().has_value());  // nothing above it
  // A leaf: eight dies of 50 GB/s in, two spines of 100 GB/s out.
  EXPECT_DOUBLE_EQ(tier(fat_tree(), Plane::kUb, 1).oversubscription().value(), 2.0);
  // Four groups of 4 * 3 / 2 local links, and 4 * 3 / 2 global ones.
  const TierSummary routers = tier(dragonfly(), Plane::kUb, 1);
  EXPECT_DOUBLE_EQ(routers.across, 4 * 6 * 50e9 + 6 * 100e9);
  EXPECT_FALSE(routers.oversubscription().has_value());
}

TEST(Shape, OfTheSupernode) {
  const PlaneShape found = shape(supernode(48));
  EXPECT_TRUE(found.exact);
  EXPECT_DOUBLE_EQ(found.joined, 1);
  EXPECT_EQ(found.diameter, 4);  // die, L1, L2, L1, die
  EXPECT_EQ(found.diameter_of_switches, 2);
  // Of the 767 others one is in the package (1 hop), 14 in the node (2), 752 beyond (4).
  EXPECT_NEAR(found.mean_hops, (1 + 14 * 2 + 752 * 4) / 767.0, 1e-12);
  EXPECT_EQ(found.least_ways, 1);
  EXPECT_NEAR(found.mean_ways, (1 + 14 * 7 + 752 * 7 * 16) / 767.0, 1e-9);
}

TEST(Shape, OfMeshTorusAndDragonfly) {
  const PlaneShape mesh = shape(full_mesh_4x4());
  EXPECT_EQ(mesh.diameter, 2);
  // Six of 15 differ in one coordinate, nine in both, which two ways join.
  EXPECT_NEAR(mesh.mean_hops, (6 * 1 + 9 * 2) / 15.0, 1e-12);
  EXPECT_NEAR(mesh.mean_ways, (6 * 1 + 9 * 2) / 15.0, 1e-12);
  EXPECT_EQ(shape(torus_8x2()).diameter, 8 / 2 + 2 / 2);
  const PlaneShape routers = shape(dragonfly());
  EXPECT_EQ(routers.diameter_of_switches, 3);  // local, global, local
  EXPECT_EQ(routers.diameter, 3 + 2);          // and a link at each end
}

TEST(Shape, OfADragonflyIsThatOfWaysWithOneGlobalLink) {
  const PlaneShape groups = shape(wide_dragonfly("minimal"));
  EXPECT_EQ(groups.diameter, 5);
  EXPECT_EQ(groups.diameter_of_switches, 3);
  // Of 19 others one is at the same router, two in the group. To another group it is a link at each
  // end, the global one, and at either side a local one half of the time.
  EXPECT_NEAR(groups.mean_hops, (1 * 2 + 2 * 3 + 16 * 4) / 19.0, 1e-12);
  EXPECT_DOUBLE_EQ(groups.mean_ways, 1);
}

TEST(Ways, OfValiantPassARouterOnce) {
  const Platform platform = wide_dragonfly("valiant");
  const Topology topology(platform);
  const auto routes = nonminimal_routes(platform, topology, Plane::kUb);
  Ways ways;
  const auto vertices = boost::num_vertices(topology.graph());
  for (VertexId from = 0; from < vertices; ++from) {
    for (VertexId to = 0; to < vertices; ++to) {
      routes->find(from, to, ways);
      for (std::size_t i = 0; i < ways.count(); ++i) {
        const auto way = ways.way(i);
        EXPECT_EQ(std::set<VertexId>(way.begin(), way.end()).size(), way.size()) << from << to;
      }
    }
  }
}

TEST(Shape, OfNonMinimalRoutesIsThatOfTheirWays) {
  const PlaneShape one = shape(of_small_nodes(1, full_mesh({4}, "detours")));
  EXPECT_EQ(one.diameter, 2);
  EXPECT_EQ(one.least_ways, 3);
  EXPECT_NEAR(one.mean_hops, (1 + 2 * 2) / 3.0, 1e-12);
  // Six of 15 differ in one coordinate: a way of a hop, two of two. Nine differ in both: two ways
  // of two hops, four of three.
  const PlaneShape two = shape(of_small_nodes(4, full_mesh({4, 4}, "detours")));
  EXPECT_EQ(two.diameter, 3);
  EXPECT_EQ(two.least_ways, 3);
  EXPECT_NEAR(two.mean_ways, (6 * 3 + 9 * 6) / 15.0, 1e-12);
  EXPECT_NEAR(two.mean_hops, (6 * 5 / 3.0 + 9 * (2 * 2 + 4 * 3) / 6.0) / 15, 1e-12);
  const PlaneShape groups = shape(lean_dragonfly(4, "valiant"));
  EXPECT_EQ(groups.diameter, 7);  // a link at each end, two global ones, three local ones
  EXPECT_EQ(groups.diameter_of_switches, 5);
  // Three of 19 are in the same group, the others are reached by the three other groups.
  EXPECT_NEAR(groups.mean_ways, (3 * 1 + 16 * 3) / 19.0, 1e-12);
}

TEST(Shape, OfSupernodesIsThatOfThePairsInOne) {
  // Three supernodes of one node of 16 dies: 15 of the 47 others are in reach.
  const Platform three = platform_with({"/nodes=1", "/supernodes=3"});
  EXPECT_NEAR(shape(three).joined, 15.0 / 47, 1e-12);
  EXPECT_EQ(shape(three).diameter, 2);
  EXPECT_DOUBLE_EQ(shape(three, Plane::kRdma).joined, 1);
}

TEST(Shape, SaysThatItIsASample) {
  const Platform platform = supernode(48);
  const PlaneShape sampled = shape_of(platform, Topology(platform), Plane::kUb, 100);
  EXPECT_FALSE(sampled.exact);
  EXPECT_EQ(sampled.sources, 100);
  EXPECT_NEAR(sampled.mean_hops, shape(platform).mean_hops, 1e-12);  // every die sees the same
}

TEST(Classes, HaveTheirLinksAndCapacity) {
  for (const ClassSummary& cls : summarise_classes(Topology(supernode(48)))) {
    if (cls.name == "uplink") {
      EXPECT_EQ(cls.links, 48 * 7 * 16 * 2);
      EXPECT_DOUBLE_EQ(cls.capacity, 48 * 7 * 16 * 28e9);  // one way
      EXPECT_DOUBLE_EQ(cls.least, 28e9);
      EXPECT_DOUBLE_EQ(cls.most, 28e9);
    }
    EXPECT_NE(cls.links, 0) << cls.name;
  }
}

TEST(Hops, GoUpToTheLongestWay) {
  const Platform mesh = of_small_nodes(4, full_mesh({4, 4}, "detours"));
  const Topology topology(mesh);
  const std::vector<Hops> hops = hops_from(mesh, topology, Plane::kUb, topology.vertex_of(die(0)));
  EXPECT_EQ(hops[topology.vertex_of(die(5))].least, 2);
  EXPECT_EQ(hops[topology.vertex_of(die(5))].most, 3);
}

TEST(Hops, AreCountedFromOneVertex) {
  const Platform two = supernode(2);
  const Topology topology(two);
  const std::vector<Hops> hops = hops_from(two, topology, Plane::kUb, topology.vertex_of(die(0)));
  const auto least = [&](Endpoint end) { return hops[topology.vertex_of(end)].least; };
  EXPECT_EQ(least(die(0)), 0);
  EXPECT_EQ(least(die(1)), 1);
  EXPECT_EQ(least(cpu(0)), 2);
  EXPECT_EQ(least(cpu(4)), 4);
  EXPECT_EQ(hops[topology.vertex_of(cpu(4))].most, 4);
}

}  // namespace
}  // namespace cmsim::hw
