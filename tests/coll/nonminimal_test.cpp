// Routes beyond the shortest ones: what they are, and what they put on the links, by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "cmsim/coll/analytic.hpp"
#include "cmsim/hw/fault.hpp"
#include "cmsim/hw/platform_files.hpp"
#include "tests/coll/ranks.hpp"
#include "tests/hw/small_machines.hpp"

namespace cmsim::coll {
namespace {

constexpr double kHop = 150e-9;

hw::Platform mesh(int nodes, const std::vector<int>& sizes, const std::string& routes) {
  return hw::of_small_nodes(nodes, hw::full_mesh(sizes, routes));
}

Path write_path(const Fabric& fabric, int from, int to) {
  return fabric.path(hw::die(from), hw::die(to), Plane::kUb, Op::kWrite);
}

std::vector<std::vector<PortId>> ways_of(const Path& path) {
  std::vector<std::vector<PortId>> ways;
  std::size_t first = 0;
  const auto close = [&](std::size_t end) {
    ways.emplace_back(path.ports.begin() + static_cast<std::ptrdiff_t>(first),
                      path.ports.begin() + static_cast<std::ptrdiff_t>(end));
    first = end;
  };
  for (const std::uint32_t begin : path.later_ways) close(begin);
  close(path.ports.size());
  return ways;
}

/// The dies that a way over direct links passes, ends included.
std::vector<int> dies_on(const Fabric& fabric, const std::vector<PortId>& way) {
  std::vector<int> dies;
  for (const PortId id : way) {
    const Port& port = fabric.ports()[static_cast<std::size_t>(id)];
    const bool out = port.direction == Direction::kOut;
    if (dies.empty()) dies.push_back(out ? port.owner : port.peer);
    EXPECT_EQ(dies.back(), out ? port.owner : port.peer);
    dies.push_back(out ? port.peer : port.owner);
  }
  return dies;
}

/// Until the busiest port is through, without latency.
Seconds bound(const Fabric& fabric, const PairTraffic& traffic) {
  const ExchangeResult result = analytic_exchange(fabric, port_loads(fabric, traffic));
  return result.duration - result.latency;
}

double most_bytes(const Fabric& fabric, const PairTraffic& traffic, const std::string& cls) {
  const PortLoads loads = port_loads(fabric, traffic);
  double most = 0;
  for (std::size_t i = 0; i < loads.bytes.size(); ++i) {
    if (fabric.classes()[fabric.ports()[i].cls].name == cls) most = std::max(most, loads.bytes[i]);
  }
  return most;
}

TEST(Detours, AreTheLinkAndTheWaysOverEveryOtherDie) {
  const Fabric fabric(mesh(1, {4}, "detours"));
  const Path path = write_path(fabric, 0, 1);
  std::set<std::vector<int>> ways;
  for (const auto& way : ways_of(path)) ways.insert(dies_on(fabric, way));
  EXPECT_EQ(ways, (std::set<std::vector<int>>{{0, 1}, {0, 2, 1}, {0, 3, 1}}));
  EXPECT_DOUBLE_EQ(path.latency, write_path(Fabric(mesh(1, {4}, "minimal")), 0, 1).latency + kHop);
}

TEST(Detours, AFlowAloneIsAsManyTimesFasterAsItHasWays) {
  const PairTraffic one{.pairs = {{0, 1, 12e6}}};
  const Fabric minimal(mesh(1, {4}, "minimal")), detours(mesh(1, {4}, "detours"));
  EXPECT_DOUBLE_EQ(most_bytes(minimal, one, "mesh_1"), 12e6);
  EXPECT_DOUBLE_EQ(most_bytes(detours, one, "mesh_1"), 4e6);
  EXPECT_DOUBLE_EQ(bound(minimal, one) / bound(detours, one), 3);
}

// Of n dies each link is the direct way of one pair and part of a detour of 2 (n - 2) others, a
// share 1 / (n - 1) of each: (2 n - 3) / (n - 1) times the load.
TEST(Detours, CostAnEvenExchangeTheirSecondLinks) {
  for (const int n : {4, 8}) {
    const PairTraffic all = expand(all_to_all(consecutive_dies(0, n), 1e6));
    const Fabric minimal(mesh(n / 4, {n}, "minimal")), detours(mesh(n / 4, {n}, "detours"));
    EXPECT_DOUBLE_EQ(most_bytes(minimal, all, "mesh_1"), 1e6);
    EXPECT_NEAR(most_bytes(detours, all, "mesh_1"), 1e6 * (2 * n - 3) / (n - 1), 1e-6);
  }
}

TEST(Detours, UseEveryLinkIntoTheDimensionsThatDifferAndNoneTwice) {
  const Fabric fabric(mesh(6, {4, 3, 2}, "detours"));
  const int sizes[] = {4, 3, 2}, strides[] = {1, 4, 12};
  for (int from = 0; from < 24; ++from) {
    for (int to = 0; to < 24; ++to) {
      if (from == to) continue;
      std::size_t links = 0, differing = 0;
      for (int d = 0; d < 3; ++d) {
        if (from / strides[d] % sizes[d] == to / strides[d] % sizes[d]) continue;
        links += static_cast<std::size_t>(sizes[d]) - 1;
        ++differing;
      }
      const Path path = write_path(fabric, from, to);
      EXPECT_EQ(path.stripes(), static_cast<double>(links));
      EXPECT_EQ(std::set<PortId>(path.ports.begin(), path.ports.end()).size(), path.ports.size());
      std::size_t shortest = 0;
      for (const auto& way : ways_of(path)) {
        const std::vector<int> dies = dies_on(fabric, way);
        EXPECT_EQ(dies.front(), from);
        EXPECT_EQ(dies.back(), to);
        EXPECT_TRUE(way.size() == differing || way.size() == differing + 1);
        shortest += way.size() == differing ? 1 : 0;
      }
      EXPECT_EQ(shortest, differing);
    }
  }
}

// From die 0 to the eight that differ in all of the first three coordinates.
TEST(Detours, TakeNoDimensionBeforeAnotherMoreOften) {
  const Fabric fabric(mesh(27, {3, 3, 3, 4}, "detours"));
  const auto place_of = [&](const std::vector<PortId>& way, const std::string& cls) {
    return std::ranges::find_if(way, [&](PortId id) {
      return fabric.classes()[fabric.ports()[static_cast<std::size_t>(id)].cls].name == cls;
    });
  };
  const std::string classes[] = {"mesh_1", "mesh_2", "mesh_3"};
  for (int i = 0; i < 3; ++i) {
    int before = 0, after = 0;
    for (int to = 0; to < 27; ++to) {
      if (to % 3 == 0 || to / 3 % 3 == 0 || to / 9 == 0) continue;
      for (const auto& way : ways_of(write_path(fabric, 0, to))) {
        const bool first = place_of(way, classes[i]) < place_of(way, classes[(i + 1) % 3]);
        ++(first ? before : after);
      }
    }
    EXPECT_EQ(before, 8 * 3);
    EXPECT_EQ(after, 8 * 3);
  }
}

TEST(Detours, GoWithoutTheWaysOfLostLinks) {
  hw::Platform platform = mesh(1, {4}, "detours");
  const Fabric whole(platform);
  hw::Fault lost;
  lost.kind = hw::Fault::Kind::kLink;
  lost.from = "die:0";
  lost.to = "die:1";
  hw::add_faults(platform, {lost});
  const Fabric broken(platform);
  const Fabric avoiding = whole.avoiding_lost(whole.capacities_under({&lost, 1}));
  for (const Fabric* fabric : {&broken, &avoiding}) {
    std::set<std::vector<int>> ways;
    for (const auto& way : ways_of(write_path(*fabric, 0, 1))) ways.insert(dies_on(*fabric, way));
    EXPECT_EQ(ways, (std::set<std::vector<int>>{{0, 2, 1}, {0, 3, 1}}));
    EXPECT_EQ(write_path(*fabric, 0, 2).stripes(), 2);  // by itself and over die 3
  }
}

// Three ways: two of 50 GB/s carry more than three do that wait for one of less than 2 / 3 of that.
TEST(Detours, GoWithoutALinkThatIsTooSlow) {
  for (const auto& [left, count] : {std::pair{0.6, 2.0}, {0.7, 3.0}}) {
    hw::Platform platform = mesh(1, {4}, "detours");
    hw::add_faults(
        platform, {{.kind = hw::Fault::Kind::kLink, .from = "die:0", .to = "die:1", .left = left}});
    const Fabric fabric(platform);
    EXPECT_EQ(write_path(fabric, 0, 1).stripes(), count);
    EXPECT_EQ(write_path(fabric, 0, 2).stripes(), count);  // of which one is by die 1
    EXPECT_EQ(write_path(fabric, 2, 3).stripes(), 3);
  }
}

TEST(Detours, OneOfThemIsHashed) {
  hw::Platform platform = mesh(4, {16}, "detours");
  platform.ub.spread = hw::Spread::kHash;
  const Fabric fabric(platform);
  std::set<std::size_t> lengths;
  std::set<int> over;
  for (int to = 1; to < 16; ++to) {
    const Path path = write_path(fabric, 0, to);
    EXPECT_EQ(path.stripes(), 1);
    const std::vector<int> dies = dies_on(fabric, path.ports);
    EXPECT_EQ(dies.back(), to);
    lengths.insert(path.ports.size());
    over.insert(dies[1]);
  }
  EXPECT_TRUE(lengths.contains(2));
  EXPECT_GT(over.size(), 5u);
}

TEST(Detours, ReachCpusByTheShortestWays) {
  const Fabric minimal(mesh(4, {4, 4}, "minimal")), detours(mesh(4, {4, 4}, "detours"));
  for (int die = 0; die < 16; ++die) {
    const auto path = [&](const Fabric& fabric) {
      return fabric.path(hw::cpu(1), hw::die(die), Plane::kUb, Op::kRead).ports;
    };
    EXPECT_EQ(path(minimal), path(detours));
  }
}

bool is_global(const Fabric& fabric, PortId id) {
  return fabric.classes()[fabric.ports()[static_cast<std::size_t>(id)].cls].name ==
         "dragonfly_global";
}

// A global link carries what the four dies of one group send to the four of another. A local link
// carries what its two dies send to the two beside it, to the two groups of four dies that are
// reached from there, and what arrives from two groups for the two dies there.
TEST(Minimal, OfADragonflyIsLocalGlobalLocal) {
  const Fabric fabric(hw::wide_dragonfly("minimal"));
  const PortLoads loads = port_loads(fabric, expand(all_to_all(consecutive_dies(0, 20), 1e6)));
  int local = 0, global = 0;
  for (std::size_t i = 0; i < loads.bytes.size(); ++i) {
    const std::string& cls = fabric.classes()[fabric.ports()[i].cls].name;
    if (cls == "dragonfly_global") {
      EXPECT_DOUBLE_EQ(loads.bytes[i], 4 * 4 * 1e6);
      ++global;
    } else if (cls == "dragonfly_local") {
      EXPECT_DOUBLE_EQ(loads.bytes[i], (2 * 2 + 2 * 2 * 4 + 2 * 4 * 2) * 1e6);
      ++local;
    }
  }
  EXPECT_EQ(local, 5 * 2);
  EXPECT_EQ(global, 5 * 4);
}

TEST(Minimal, OfADragonflyGoesAroundALostGlobalLink) {
  hw::Platform platform = hw::wide_dragonfly("minimal");
  hw::Fault lost;
  lost.kind = hw::Fault::Kind::kLink;
  lost.from = "l1:0";  // from group 0 to group 1, where it ends at the second router
  lost.to = "l1:3";
  hw::add_faults(platform, {lost});
  const Fabric fabric(platform);
  for (int from = 0; from < 4; ++from) {
    for (const auto& way : ways_of(write_path(fabric, from, 4))) {
      EXPECT_EQ(std::ranges::count_if(way, [&](PortId id) { return is_global(fabric, id); }), 2);
    }
  }
}

// Each way is a minimal one to a die of the group in between, and a minimal one from that.
TEST(Valiant, HalvesAreMinimalWays) {
  const Fabric minimal(hw::wide_dragonfly("minimal")), valiant(hw::wide_dragonfly("valiant"));
  const auto is_way_over = [&](const std::vector<PortId>& way, int from, int over, int to) {
    std::vector<PortId> both = write_path(minimal, from, over).ports;
    const std::vector<PortId> second = write_path(minimal, over, to).ports;
    both.pop_back();
    both.insert(both.end(), second.begin() + 1, second.end());
    return both == way;
  };
  for (int to = 4; to < 20; ++to) {
    for (const auto& way : ways_of(write_path(valiant, 0, to))) {
      bool found = false;
      for (int over = 4; over < 20; ++over) {
        if (over / 4 != to / 4) found = found || is_way_over(way, 0, over, to);
      }
      EXPECT_TRUE(found) << to;
    }
  }
}

int dies_of(int routers) { return routers * (routers + 1); }

/// Every die to its like in the next group.
PairTraffic to_the_next_group(int routers) {
  PairTraffic traffic;
  for (int die = 0; die < dies_of(routers); ++die) {
    traffic.pairs.push_back({die, (die + routers) % dies_of(routers), 1e6});
  }
  return traffic;
}

/// Every die to its likes in all groups.
PairTraffic to_all_groups(int routers) {
  PairTraffic traffic;
  for (int from = 0; from < dies_of(routers); ++from) {
    for (int to = from % routers; to < dies_of(routers); to += routers) {
      if (to != from) traffic.pairs.push_back({from, to, 1e6});
    }
  }
  return traffic;
}

// All of a group goes over its one link to the next: `routers` flows. By the other groups, all but
// the two of the ends, a link carries as first and as second of its way the share 1 / (groups - 2)
// of that: (groups - 2) / 2 times less.
TEST(Valiant, SpreadsWhatGoesFromEveryGroupToTheNext) {
  for (const int routers : {4, 8}) {
    const int groups = routers + 1;
    const Fabric minimal(hw::lean_dragonfly(routers, "minimal"));
    const Fabric valiant(hw::lean_dragonfly(routers, "valiant"));
    const PairTraffic traffic = to_the_next_group(routers);
    EXPECT_NEAR(most_bytes(minimal, traffic, "dragonfly_global"), 1e6 * routers, 1e-3);
    EXPECT_NEAR(most_bytes(valiant, traffic, "dragonfly_global"), 1e6 * routers * 2 / (groups - 2),
                1e-3);
    EXPECT_NEAR(bound(minimal, traffic) / bound(valiant, traffic), (groups - 2) / 2.0, 1e-9);
  }
}

TEST(Valiant, CostsEvenTrafficTwiceTheGlobalLinks) {
  for (const int routers : {4, 8}) {
    const Fabric minimal(hw::lean_dragonfly(routers, "minimal"));
    const Fabric valiant(hw::lean_dragonfly(routers, "valiant"));
    const PairTraffic traffic = to_all_groups(routers);
    EXPECT_NEAR(most_bytes(minimal, traffic, "dragonfly_global"), 1e6 * routers, 1e-3);
    EXPECT_NEAR(bound(valiant, traffic) / bound(minimal, traffic), 2, 1e-9);
  }
}

TEST(Valiant, GoesByEveryOtherGroupOnceAndInsideAGroupDirectly) {
  const Fabric minimal(hw::lean_dragonfly(4, "minimal")), valiant(hw::lean_dragonfly(4, "valiant"));
  const Path path = write_path(valiant, 0, 19);
  EXPECT_EQ(path.stripes(), 3);
  std::set<PortId> global;
  for (const auto& way : ways_of(path)) {
    EXPECT_LE(way.size(), 7u);  // the dies' links, two global ones, three local ones
    const auto is_global = [&](PortId id) {
      const Port& port = valiant.ports()[static_cast<std::size_t>(id)];
      return valiant.classes()[port.cls].name == "dragonfly_global";
    };
    EXPECT_EQ(std::ranges::count_if(way, is_global), 2);
    std::ranges::copy_if(way, std::inserter(global, global.end()), is_global);
  }
  EXPECT_EQ(global.size(), 6u);
  EXPECT_EQ(write_path(valiant, 0, 3).ports, write_path(minimal, 0, 3).ports);
  EXPECT_DOUBLE_EQ(write_path(valiant, 0, 3).latency, write_path(minimal, 0, 3).latency);
}

TEST(Valiant, GoesDirectlyWhereThereIsNoThirdGroup) {
  const hw::Platform two = hw::of_small_nodes(2, R"({"builder": "dragonfly",
      "link_bandwidth": "50GB/s", "dies_per_router": 1, "routers_per_group": 4,
      "global_links_per_router": 1, "local_bandwidth": "50GB/s", "global_bandwidth": "50GB/s",
      "routes": "valiant", "hop_latency": "150ns"})");
  EXPECT_EQ(write_path(Fabric(two), 0, 7).stripes(), 1);
}

// The switches of the Clos beside it are pooled, so that places of the graph are no vertices.
TEST(Valiant, IsKnownToTheScaleOutPlaneToo) {
  ConfigDocument document = hw::open_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  document.apply_set(R"(/rdma/fabric={"builder": "dragonfly", "link_bandwidth": "50GB/s",
      "dies_per_router": 16, "routers_per_group": 8, "global_links_per_router": 1,
      "local_bandwidth": "50GB/s", "global_bandwidth": "50GB/s", "routes": "valiant",
      "hop_latency": "150ns"})");
  const hw::Platform platform = hw::read_platform(ConfigNode(document));
  const Fabric fabric(platform);
  const Path path = fabric.path(hw::die(0), hw::die(700), Plane::kRdma, Op::kRead);
  EXPECT_EQ(path.stripes(), 4);  // six groups of 128 dies
  for (const auto& way : ways_of(path)) {
    EXPECT_EQ(fabric.name_of(way.front()), "die:0 rdma out");
    EXPECT_EQ(fabric.name_of(way.back()), "die:700 rdma in");
  }
  // Die 0 is at router 0, die 700 at router 3 of the sixth group: by the third group local, global,
  // local, global and local links, and those of the dies.
  EXPECT_DOUBLE_EQ(path.latency, platform.rdma.latency + 2 * kHop);
}

}  // namespace
}  // namespace cmsim::coll
