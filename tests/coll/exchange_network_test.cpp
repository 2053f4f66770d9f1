#include "cmsim/coll/exchange_network.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "cmsim/coll/analytic.hpp"
#include "cmsim/hw/platform_files.hpp"
#include "tests/coll/ranks.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::coll {
namespace {

using Shape = ExchangeGroup::Shape;

/// Rank i of n gets i + 1 parts of what each sends; rank 0 sends as much as all others.
Shape uneven(int ranks) {
  Shape shape;
  for (int i = 0; i < ranks; ++i) {
    shape.send.push_back(i == 0 ? ranks - 1 : 1);
    shape.receive.push_back(i + 1);
  }
  return shape;
}

Shape even(int ranks) {
  const std::vector<double> ones(static_cast<std::size_t>(ranks), 1);
  return {ones, ones};
}

ExchangeCost cost(const ExchangeNetwork& network, const std::vector<std::int32_t>& dies,
                  const Shape& shape) {
  return network.group({dies})->costs({&shape, 1}).front();
}

hw::Platform with(const std::string& set) {
  ConfigDocument document = hw::open_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  document.apply_set(set);
  return hw::read_platform(ConfigNode(document));
}

struct Machine {
  const char* name;
  const char* set;
};

class AnyFabric : public testing::TestWithParam<Machine> {};
INSTANTIATE_TEST_SUITE_P(
    Builders, AnyFabric,
    testing::Values(Machine{"clos", "/ub/spread=adaptive"}, Machine{"stripes", "/ub/spread=stripe"},
                    Machine{"hash", "/ub/spread=hash"}, Machine{"thin", "/ub/l2_chips_per_plane=4"},
                    Machine{"quad", "/dies_per_npu=4"},
                    Machine{"mesh", R"(/ub/fabric={"builder": "full_mesh", "dimensions": [
              {"size": 16, "bandwidth": "9GB/s"}, {"size": 48, "bandwidth": "1.3GB/s"}]})"},
                    Machine{"detours", R"(/ub/fabric={"builder": "full_mesh", "dimensions": [
              {"size": 16, "bandwidth": "9GB/s"}, {"size": 48, "bandwidth": "1.3GB/s"}],
              "routes": "detours", "hop_latency": "150ns"})"},
                    Machine{"valiant",
                            R"(/ub/fabric={"builder": "dragonfly", "link_bandwidth": "50GB/s",
              "dies_per_router": 4, "routers_per_group": 8, "global_links_per_router": 3,
              "local_bandwidth": "50GB/s", "global_bandwidth": "50GB/s", "routes": "valiant",
              "hop_latency": "150ns"})"},
                    Machine{"tree",
                            R"(/ub/fabric={"builder": "fat_tree", "link_bandwidth": "100GB/s",
              "leaf_ports": 32, "spines": 4, "uplink_bandwidth": "200GB/s"})"}),
    [](const auto& one) { return std::string(one.param.name); });

// The cost of a byte is the exchange pair by pair, whatever the shape.
TEST_P(AnyFabric, CostsWhatItsPairsDo) {
  const AnalyticNetwork network(with(GetParam().set));
  const auto dies = consecutive_dies(8, 40);
  Shape back = uneven(40), there = back;
  there.send = back.receive = even(40).send;
  for (const Shape& shape : {even(40), there, back, uneven(40)}) {
    ProductTraffic traffic{.dies = dies, .send = shape.send, .receive = shape.receive};
    const double total = std::reduce(shape.send.begin(), shape.send.end()) *
                         std::reduce(shape.receive.begin(), shape.receive.end());
    const PortLoads loads = port_loads(network.fabric(), expand(traffic));
    const ExchangeResult pairs = analytic_exchange(network.fabric(), loads);
    const ExchangeCost found = cost(network, dies, shape);
    EXPECT_DOUBLE_EQ(found.latency, pairs.latency);
    EXPECT_NEAR(found.per_mean * total / 40 / (pairs.duration - pairs.latency), 1, 1e-9);
    const PortLoads of_byte = network.loads({dies}, shape);
    for (std::size_t port = 0; port < loads.bytes.size(); ++port) {
      EXPECT_NEAR(of_byte.bytes[port] * total, loads.bytes[port], 1e-9 * total);
      EXPECT_NEAR(of_byte.wire_bytes[port] * total, loads.wire_bytes[port], 1e-9 * total);
    }
  }
}

// What a rank's own ports take is no more than the busiest port does when all send alike, and on a
// switch as much.
TEST_P(AnyFabric, ItsRanksAreNotBusierThanItsBusiestPort) {
  const AnalyticNetwork network(with(GetParam().set));
  const ExchangeCost found = cost(network, consecutive_dies(0, 64), even(64));
  EXPECT_GT(found.per_rank, 0);
  EXPECT_LE(found.per_rank, found.per_mean * (1 + 1e-12));
}

// 16 ranks in each of two nodes, 196 GB/s a die: 14 peers at 137 GB/s, 16 at 135, the sibling over
// the die-to-die link. Out of 32 bytes 14 + 16 are on UB, 16 leave the node, 1 goes to the sibling.
TEST(AnalyticNetwork, TwoNodesByHand) {
  const AnalyticNetwork network(hw::cloudmatrix());
  const ExchangeCost found = cost(network, consecutive_dies(0, 32), even(32));
  EXPECT_NEAR(found.per_mean, (14 / 137e9 + 16 / 135e9) / 32, 1e-18);
  EXPECT_NEAR(found.per_rank, found.per_mean, 1e-22);
  EXPECT_DOUBLE_EQ(found.latency, 2.1e-6);
  // The same at other dies of such a place, on their own ports.
  const Fabric& fabric = network.fabric();
  for (const int first : {0, 96}) {
    const PortLoads loads = network.loads({consecutive_dies(first, 32)}, even(32));
    const auto bytes = [&](const std::string& cls, Direction direction) {
      double sum = 0;
      for (std::size_t i = 0; i < loads.bytes.size(); ++i) {
        const Port& port = fabric.ports()[i];
        if (fabric.classes()[port.cls].name != cls || port.direction != direction) continue;
        const int die = port.owner;
        if (cls == "die_ub" && (die < first || die >= first + 32)) {
          EXPECT_EQ(loads.bytes[i], 0);
        }
        sum += loads.bytes[i];
      }
      return sum;
    };
    EXPECT_NEAR(bytes("die_ub", Direction::kOut), 30.0 / 32, 1e-12);
    EXPECT_NEAR(bytes("die_ub", Direction::kIn), 30.0 / 32, 1e-12);
    EXPECT_NEAR(bytes("uplink", Direction::kOut), 16.0 / 32, 1e-12);
    EXPECT_NEAR(bytes("die_to_die", Direction::kOut), 1.0 / 32, 1e-12);
  }
}

TEST(AnalyticNetwork, LikePlacesAreOneGroup) {
  const AnalyticNetwork network(hw::cloudmatrix());
  const auto first = network.group({consecutive_dies(0, 32)});
  EXPECT_EQ(network.group({consecutive_dies(64, 32)}), first);
  EXPECT_NE(network.group({consecutive_dies(8, 32)}), first);  // three nodes
  EXPECT_NE(network.group({consecutive_dies(0, 16), consecutive_dies(16, 16)}), first);
}

TEST(AnalyticNetwork, AFaultMakesPlacesDiffer) {
  const AnalyticNetwork network(with("/faults/degrade=l1:2/0=50%"));
  const auto at = [&](int die) { return cost(network, consecutive_dies(die, 32), even(32)); };
  EXPECT_DOUBLE_EQ(at(64).per_mean, at(96).per_mean);
  // Node 2 is dies 32 to 47: one of seven links of each die has half its width, 6.5 / 7.
  EXPECT_NEAR(at(32).per_mean / at(64).per_mean, 7 / 6.5, 1e-9);
}

TEST(AnalyticNetwork, SubgroupsShareWhatTheyHaveInCommon) {
  // Two rails of two ranks in two nodes: all bytes but those kept leave a node.
  const AnalyticNetwork network(with("/ub/l2_chips_per_plane=1"));
  const Shape shape = even(4);
  const ExchangeCost rails = network.group({{0, 16}, {2, 18}})->costs({&shape, 1}).front();
  // A rank sends half of its byte to the other node, whose uplink takes two halves at 28 GB/s x 7 x
  // 135/196.
  EXPECT_NEAR(rails.per_mean, 1 / (196e9 * 135 / 196), 1e-16);
}

TEST(AnalyticNetwork, OneRankNeedsNoLinks) {
  const AnalyticNetwork network(hw::cloudmatrix());
  const ExchangeCost found = cost(network, {5}, even(1));
  EXPECT_EQ(found.latency, 0);
  EXPECT_EQ(found.wire(1e9, 1e9), 0);
}

TEST(GroupRoutes, LoadsInTheRoomOfOthersAreTheSame) {
  const hw::Platform platform = hw::cloudmatrix();
  const Fabric fabric(platform);
  const GroupRoutes routes(fabric, consecutive_dies(0, 32), Plane::kUb, Op::kWrite);
  const Shape some = even(32), others = uneven(32);
  PortLoads loads;
  routes.find_loads(others.send, others.receive, loads);
  routes.find_loads(some.send, some.receive, loads);
  const PortLoads fresh = routes.loads(some.send, some.receive);
  EXPECT_EQ(loads.bytes, fresh.bytes);
  EXPECT_EQ(loads.wire_bytes, fresh.wire_bytes);
  EXPECT_EQ(loads.flows, fresh.flows);
  EXPECT_EQ(loads.latency, fresh.latency);
}

TEST(Fabric, OfAnotherPlatformHasItsOwnPorts) {
  const Fabric wide(with("/ub/link_bandwidth=28GB/s"));
  const Fabric thin(with("/ub/link_bandwidth=14GB/s"));
  const Fabric wide_again(with("/ub/link_bandwidth=28GB/s"));
  EXPECT_EQ(wide.ports().front().capacity, 2 * thin.ports().front().capacity);
  EXPECT_EQ(wide_again.ports().data(), wide.ports().data());  // made once
}

}  // namespace
}  // namespace cmsim::coll
