#include "cmsim/engine/exchange.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "cmsim/base/random.hpp"
#include "tests/coll/ranks.hpp"
#include "tests/engine/maxmin_oracle.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::engine {
namespace {

constexpr double kMessage = 7680;  // bytes of a dispatched token
constexpr int kTopK = 8;
constexpr int kTokens = 96;

using hw::cloudmatrix;

std::vector<double> zipf_shares(int ranks, double exponent) {
  std::vector<double> share;
  for (int i = 0; i < ranks; ++i) share.push_back(std::pow(i * 7 % ranks + 1, -exponent));
  const double sum = std::accumulate(share.begin(), share.end(), 0.0);
  for (double& s : share) s /= sum;
  return share;
}

coll::PairTraffic skewed_dispatch(int ranks, double exponent) {
  return coll::expand(coll::dispatch(coll::consecutive_dies(0, ranks), kTokens, kTopK, kMessage,
                                     zipf_shares(ranks, exponent)));
}

/// One draw of a batch: each token picks its experts at random, so that pairs get whole messages.
coll::PairTraffic drawn_dispatch(int ranks) {
  RandomStream random(11, "draw");
  std::vector<double> bytes(static_cast<std::size_t>(ranks * ranks), 0);
  for (int from = 0; from < ranks; ++from) {
    for (int message = 0; message < kTokens * kTopK; ++message) {
      const auto to = random.uniform_int(0, ranks - 1);
      bytes[static_cast<std::size_t>(from * ranks + to)] += kMessage;
    }
  }
  coll::PairTraffic traffic;
  for (int from = 0; from < ranks; ++from) {
    for (int to = 0; to < ranks; ++to) {
      const double b = bytes[static_cast<std::size_t>(from * ranks + to)];
      if (from != to && b > 0) traffic.pairs.push_back({from, to, b});
    }
  }
  return traffic;
}

double oracle_duration(const coll::Fabric& fabric, const coll::PairTraffic& traffic) {
  const auto ends = completion_times(fabric, oracle_flows(fabric, traffic));
  return coll::port_loads(fabric, traffic).latency + *std::max_element(ends.begin(), ends.end());
}

double analytic_duration(const coll::Fabric& fabric, const coll::PairTraffic& traffic) {
  return coll::analytic_exchange(fabric, coll::port_loads(fabric, traffic)).duration;
}

RuntimeOptions exact() { return {.sharing = Sharing::kFull, .simgrid_options = {}}; }

TEST(AnalyticRung, MeetsTheOracleAt16And64Ranks) {
  const coll::Fabric fabric(cloudmatrix());
  for (const int ranks : {16, 64}) {
    for (const double skew : {0.0, 0.5, 1.0}) {
      const coll::PairTraffic traffic = skewed_dispatch(ranks, skew);
      const double truth = oracle_duration(fabric, traffic);
      EXPECT_NEAR(analytic_duration(fabric, traffic), truth, 1e-3 * truth)
          << ranks << " ranks, skew " << skew;
    }
  }
}

TEST(AnalyticRung, MeetsTheOracleForADrawnBatch) {
  const coll::Fabric fabric(cloudmatrix());
  for (const int ranks : {16, 32}) {  // the oracle takes the fourth power of them
    const coll::PairTraffic traffic = drawn_dispatch(ranks);
    const double truth = oracle_duration(fabric, traffic);
    EXPECT_NEAR(analytic_duration(fabric, traffic), truth, 1e-3 * truth) << ranks << " ranks";
  }
}

TEST(AnalyticRung, MeetsTheOracleWhereUplinksBind) {
  // Four uplinks a sub-plane for 16 dies: 4:1 oversubscribed, the uplinks are the busiest ports.
  hw::Platform platform = cloudmatrix();
  platform.ub.fabric.l2_chips_per_plane = 4;
  const coll::Fabric fabric(platform);
  const coll::PairTraffic traffic = skewed_dispatch(64, 0.0);
  const double truth = oracle_duration(fabric, traffic);
  const auto result = coll::analytic_exchange(fabric, coll::port_loads(fabric, traffic));
  EXPECT_NEAR(result.duration, truth, 1e-3 * truth);
  EXPECT_EQ(result.busiest.front().cls, "uplink");
}

TEST(FlowRung, MeetsTheOracleAt16Ranks) {
  SimGridRuntime runtime(cloudmatrix(), exact());
  for (const auto& traffic :
       {skewed_dispatch(16, 0.0), skewed_dispatch(16, 1.0), drawn_dispatch(16)}) {
    const double truth = oracle_duration(runtime.fabric(), traffic);
    const auto result = run_exchange(runtime, traffic, coll::Network::kFlow);
    EXPECT_NEAR(result.exchange.duration, truth, 1e-6 * truth);
  }
}

TEST(FlowRung, MeetsTheOracleAt64Ranks) {
  SimGridRuntime runtime(cloudmatrix(), exact());
  const coll::PairTraffic traffic = skewed_dispatch(64, 0.5);
  const double truth = oracle_duration(runtime.fabric(), traffic);
  const auto result = run_exchange(runtime, traffic, coll::Network::kFlow);
  EXPECT_NEAR(result.exchange.duration, truth, 1e-5 * truth);
}

TEST(FlowRung, MeetsTheOracleWhenFlowsAreHashed) {
  // Under hashing the busiest-port bound is not met: the flow rung judges, and the oracle agrees.
  hw::Platform platform = cloudmatrix();
  platform.ub.spread = hw::Spread::kHash;
  SimGridRuntime runtime(platform, exact());
  const coll::PairTraffic traffic = skewed_dispatch(32, 0.0);
  const double truth = oracle_duration(runtime.fabric(), traffic);
  const auto result = run_exchange(runtime, traffic, coll::Network::kFlow);
  EXPECT_NEAR(result.exchange.duration, truth, 1e-5 * truth);
  EXPECT_LE(analytic_duration(runtime.fabric(), traffic), truth * (1 + 1e-9));
}

TEST(HoseRung, IsTheAnalyticTimeWhenAlone) {
  SimGridRuntime runtime(cloudmatrix());
  for (const int ranks : {16, 64, 320}) {
    const coll::PairTraffic traffic = skewed_dispatch(ranks, 0.5);
    const double analytic = analytic_duration(runtime.fabric(), traffic);
    const auto result = run_exchange(runtime, traffic, coll::Network::kHose);
    EXPECT_NEAR(result.exchange.duration, analytic, 1e-6 * analytic);
  }
}

/// 16 ranks, one to a node, and a background write into one of them and out of another, from and to
/// dies outside the exchange: the exchange and the background share two ports.
struct Contended {
  coll::PairTraffic traffic;
  std::vector<coll::Transfer> background;
};
Contended contended(double skew) {
  std::vector<std::int32_t> dies;
  for (int node = 0; node < 16; ++node) dies.push_back(node * 16);
  const Bytes bytes = 5'898'240;  // what a rank sends: 96 * 8 * 7680
  return {coll::expand(coll::dispatch(dies, kTokens, kTopK, kMessage, zipf_shares(16, skew))),
          {{hw::die(500), hw::die(32), bytes, coll::Plane::kUb, coll::Op::kWrite},
           {hw::die(64), hw::die(502), bytes, coll::Plane::kUb, coll::Op::kWrite}}};
}

TEST(HoseRung, MeetsTheFlowRungWithBackground) {
  SimGridRuntime runtime(cloudmatrix(), exact());
  const Contended c = contended(0);
  const auto hose = run_exchange(runtime, c.traffic, coll::Network::kHose, c.background);
  const auto flow = run_exchange(runtime, c.traffic, coll::Network::kFlow, c.background);
  EXPECT_NEAR(hose.exchange.duration, flow.exchange.duration, 1e-3 * flow.exchange.duration);
  for (std::size_t i = 0; i < c.background.size(); ++i) {
    EXPECT_NEAR(hose.background[i], flow.background[i], 1e-3 * flow.background[i]);
  }
  // By hand: 15 flows and the background share die 32's port, 1/16 each. The exchange puts
  // 15/16 * 5.898 MB * 196/135 = 8.028 MB of wire there and has 15/16 of 196 GB/s: 43.69 us + 2.1.
  EXPECT_NEAR(flow.exchange.duration, 2.1e-6 + 15.0 / 16 * 5898240 * 196 / 135 / (196e9 * 15 / 16),
              1e-9);
  // Alone it would have the whole port: 40.96 us.
  EXPECT_NEAR(run_exchange(runtime, c.traffic, coll::Network::kFlow).exchange.duration,
              2.1e-6 + 15.0 / 16 * 5898240 * 196 / 135 / 196e9, 1e-9);
}

TEST(FlowRung, MeetsTheOracleWithBackground) {
  SimGridRuntime runtime(cloudmatrix(), exact());
  const Contended c = contended(0.5);
  std::vector<OracleFlow> flows = oracle_flows(runtime.fabric(), c.traffic);
  for (const coll::Transfer& t : c.background) {
    flows.push_back(oracle_flow(runtime.fabric(), coll::source_of(t), coll::destination_of(t),
                                static_cast<double>(t.bytes), t.plane, t.op));
  }
  const auto ends = completion_times(runtime.fabric(), flows);
  const auto result = run_exchange(runtime, c.traffic, coll::Network::kFlow, c.background);
  const double latency = 2.1e-6;  // all pairs and the background are writes between nodes
  const auto pairs = static_cast<std::ptrdiff_t>(c.traffic.pairs.size());
  const double truth = latency + *std::max_element(ends.begin(), ends.begin() + pairs);
  EXPECT_NEAR(result.exchange.duration, truth, 1e-5 * truth);
  EXPECT_NEAR(result.background[0], latency + ends[ends.size() - 2], 1e-5 * truth);
  EXPECT_NEAR(result.background[1], latency + ends[ends.size() - 1], 1e-5 * truth);
}

TEST(Exchange, AllRungsReportTheBusiestLinks) {
  const hw::Platform platform = cloudmatrix();
  const auto traffic =
      coll::dispatch(coll::consecutive_dies(0, 32), kTokens, kTopK, kMessage, zipf_shares(32, 1.0));
  const auto analytic = measure_exchange(coll::Fabric(platform), traffic, coll::Network::kAnalytic);
  const auto flow = measure_exchange(coll::Fabric(platform), traffic, coll::Network::kFlow);
  EXPECT_NEAR(flow.duration, analytic.duration, 1e-3 * analytic.duration);
  ASSERT_FALSE(analytic.busiest.empty());
  ASSERT_EQ(analytic.busiest.size(), flow.busiest.size());
  // The hottest expert is on rank 0; what comes into its die bounds the exchange.
  EXPECT_EQ(analytic.busiest.front().name, "die:0 die_ub in");
  EXPECT_EQ(flow.busiest.front().name, "die:0 die_ub in");
  EXPECT_NEAR(analytic.busiest.front().utilisation,
              (analytic.duration - analytic.latency) / analytic.duration, 1e-12);
}

TEST(Exchange, BytesAreConservedOnTheHoseRung) {
  SimGridRuntime runtime(cloudmatrix());
  run_exchange(runtime, skewed_dispatch(16, 0.5), coll::Network::kHose);
  EXPECT_NO_THROW(runtime.check_bytes_conserved());
}

}  // namespace
}  // namespace cmsim::engine
