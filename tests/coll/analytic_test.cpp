#include "cmsim/coll/analytic.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "tests/coll/ranks.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::coll {
namespace {

using hw::cloudmatrix;

void expect_same(const PortLoads& fast, const PortLoads& slow) {
  EXPECT_DOUBLE_EQ(fast.latency, slow.latency);
  for (std::size_t i = 0; i < slow.wire_bytes.size(); ++i) {
    EXPECT_NEAR(fast.wire_bytes[i], slow.wire_bytes[i], 1e-9 * slow.wire_bytes[i] + 1e-6) << i;
    EXPECT_NEAR(fast.bytes[i], slow.bytes[i], 1e-9 * slow.bytes[i] + 1e-6) << i;
    EXPECT_DOUBLE_EQ(fast.flows[i], slow.flows[i]) << i;
  }
}

TEST(PortLoads, OfAProductAreThoseOfItsPairs) {
  std::vector<double> share{0.3, 0, 0.1, 0.05, 0.2, 0.05, 0.3};
  for (const hw::Spread spread : {hw::Spread::kAdaptive, hw::Spread::kStripe, hw::Spread::kHash}) {
    for (const int l2_chips : {16, 4}) {
      hw::Platform p = cloudmatrix();
      p.ub.spread = spread;
      p.ub.fabric.l2_chips_per_plane = l2_chips;
      const Fabric fabric(p);
      // Siblings (0, 1), same node (0, 1, 5), other nodes (16, 17, 40, 700).
      const std::vector<std::int32_t> dies{0, 1, 5, 16, 17, 40, 700};
      const auto one_way = dispatch(dies, 96, 8, 7680, share);
      expect_same(port_loads(fabric, one_way), port_loads(fabric, expand(one_way)));
      const auto way_back = combine(dies, 96, 8, 14336, share);
      expect_same(port_loads(fabric, way_back), port_loads(fabric, expand(way_back)));
    }
  }
}

TEST(PortLoads, OfAProductAreThoseOfItsPairsOnTheRdmaPlane) {
  const Fabric fabric(cloudmatrix());
  ProductTraffic traffic = all_to_all({0, 1, 5, 16}, 1000);
  traffic.plane = Plane::kRdma;
  expect_same(port_loads(fabric, traffic), port_loads(fabric, expand(traffic)));
}

TEST(Analytic, UniformAllToAllInsideTheNode) {
  // 8 dies, one in each package of node 0: 7 peers * 1 MB * 196/137 of wire at 196 GB/s.
  const Fabric fabric(cloudmatrix());
  const auto traffic = all_to_all({0, 2, 4, 6, 8, 10, 12, 14}, 1e6);
  const auto result = analytic_exchange(fabric, port_loads(fabric, traffic));
  EXPECT_NEAR(result.duration, 1.3e-6 + 7 * 1e6 / 137e9, 1e-12);
  EXPECT_DOUBLE_EQ(result.latency, 1.3e-6);
}

TEST(Analytic, UniformDispatchOverTheSupernode) {
  // EP320, 96 tokens, top 8, 7,680 B: 18,432 B a pair. A die has 1 sibling, 14 peers in its node
  // (137 GB/s) and 304 elsewhere (135 GB/s): 14 * 18432 / 137e9 + 304 * 18432 / 135e9 = 43.39 us.
  const Fabric fabric(cloudmatrix());
  const auto traffic = dispatch(consecutive_dies(0, 320), 96, 8, 7680);
  const auto result = analytic_exchange(fabric, port_loads(fabric, traffic));
  EXPECT_NEAR(result.duration, 2.1e-6 + 14 * 18432 / 137e9 + 304 * 18432 / 135e9, 1e-11);
  EXPECT_EQ(result.busiest.front().cls, "die_ub");
}

TEST(Analytic, TheHottestReceiverBoundsADispatch) {
  // Rank 3 of 8 gets half of all tokens: 7 senders * 0.5 * 100 tokens * 7,680 B into one port.
  const Fabric fabric(cloudmatrix());
  std::vector<double> share(8, 0.5 / 7);
  share[3] = 0.5;
  const auto traffic = dispatch({0, 16, 32, 48, 64, 80, 96, 112}, 100, 1, 7680, share);
  const auto result = analytic_exchange(fabric, port_loads(fabric, traffic));
  EXPECT_NEAR(result.duration, 2.1e-6 + 7 * 0.5 * 100 * 7680 / 135e9, 1e-12);
  EXPECT_EQ(result.busiest.front().name, "die:48 die_ub in");
  // On the way back the same die's other direction is the busiest.
  const auto back = combine({0, 16, 32, 48, 64, 80, 96, 112}, 100, 1, 7680, share);
  EXPECT_EQ(analytic_exchange(fabric, port_loads(fabric, back)).busiest.front().name,
            "die:48 die_ub out");
}

TEST(Analytic, NothingToSendTakesNoTime) {
  const Fabric fabric(cloudmatrix());
  const auto result = analytic_exchange(fabric, port_loads(fabric, all_to_all({5}, 1e6)));
  EXPECT_EQ(result.duration, 0);
  EXPECT_TRUE(result.busiest.empty());
}

TEST(Traffic, DispatchSendsEveryMessageOnce) {
  // What leaves and what stays is all of it: 4 ranks * 10 tokens * 8 * 100 B.
  const auto traffic = dispatch({0, 1, 2, 3}, 10, 8, 100, {0.1, 0.2, 0.3, 0.4});
  double away = 0;
  for (const auto& pair : expand(traffic).pairs) away += pair.bytes;
  double stays = 0;
  for (std::size_t i = 0; i < 4; ++i) stays += traffic.send[i] * traffic.receive[i];
  EXPECT_NEAR(away + stays, 4 * 10 * 8 * 100, 1e-9);
}

}  // namespace
}  // namespace cmsim::coll
