// Ways of unequal length on the rungs.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "cmsim/base/random.hpp"
#include "cmsim/engine/exchange.hpp"
#include "tests/coll/ranks.hpp"
#include "tests/engine/maxmin_oracle.hpp"
#include "tests/hw/small_machines.hpp"

namespace cmsim::engine {
namespace {

hw::Platform mesh_with_detours() { return hw::of_small_nodes(4, hw::full_mesh({4, 4}, "detours")); }
hw::Platform valiant_dragonfly() { return hw::lean_dragonfly(4, "valiant"); }

RuntimeOptions every_flow() { return {.sharing = Sharing::kFull, .simgrid_options = {}}; }

// Three ways of 50 GB/s, and a hop more.
TEST(NonMinimal, ATransferAloneHasAllItsWays) {
  SimGridRuntime runtime(hw::of_small_nodes(1, hw::full_mesh({4}, "detours")));
  const Bytes bytes = 3'000'001;
  coll::Outcome end;
  runtime.transfer({hw::die(0), hw::die(1), bytes, coll::Plane::kUb, coll::Op::kWrite},
                   [&](const coll::Outcome& outcome) { end = outcome; });
  runtime.run();
  const double efficiency =
      runtime.fabric().path(hw::die(0), hw::die(1), coll::Plane::kUb, coll::Op::kWrite).efficiency;
  EXPECT_EQ(end.delivered, bytes);
  EXPECT_NEAR(end.at, 1.3e-6 + 150e-9 + static_cast<double>(bytes) / efficiency / 150e9, 1e-9);
  EXPECT_NO_THROW(runtime.check_bytes_conserved());
}

coll::PairTraffic at_random(int dies, std::uint64_t seed) {
  RandomStream random(seed, "pairs");
  coll::PairTraffic traffic;
  for (int i = 0; i < 60; ++i) {
    const auto from = static_cast<std::int32_t>(random.uniform_int(0, dies - 1));
    const auto to = static_cast<std::int32_t>(random.uniform_int(0, dies - 1));
    if (from / 4 == to / 4) continue;  // latency and efficiency are those between nodes
    traffic.pairs.push_back({from, to, static_cast<double>(random.uniform_int(1, 9'000'000))});
  }
  return traffic;
}

TEST(NonMinimal, TheFlowRungMeetsTheOracle) {
  for (const hw::Platform& platform : {mesh_with_detours(), valiant_dragonfly()}) {
    SimGridRuntime runtime(platform, every_flow());
    const std::string routes = hw::to_string(platform.ub.fabric.routes);
    for (const std::uint64_t seed : {1u, 2u}) {
      const coll::PairTraffic traffic = at_random(platform.dies(), seed);
      const coll::PortLoads loads = coll::port_loads(runtime.fabric(), traffic);
      const auto ends = completion_times(runtime.fabric(), oracle_flows(runtime.fabric(), traffic));
      const double truth = loads.latency + *std::ranges::max_element(ends);
      const auto flow = run_exchange(runtime, traffic, coll::Network::kFlow);
      EXPECT_NEAR(flow.exchange.duration, truth, 1e-5 * truth);
      const double analytic = coll::analytic_exchange(runtime.fabric(), loads).duration;
      EXPECT_LE(analytic, truth * (1 + 1e-9));
      RecordProperty(routes + "_flow_over_analytic_" + std::to_string(seed),
                     std::to_string(truth / analytic));
    }
  }
}

// What the analytic bound is exact for: every port of a class is as busy as the others.
TEST(NonMinimal, AllRungsAgreeOnEvenAndOnAdversarialTraffic) {
  coll::PairTraffic next_group;
  for (int die = 0; die < 20; ++die) next_group.pairs.push_back({die, (die + 4) % 20, 1e6});
  const auto check = [](const hw::Platform& platform, const coll::PairTraffic& traffic) {
    const coll::Fabric fabric(platform);
    const double analytic =
        coll::analytic_exchange(fabric, coll::port_loads(fabric, traffic)).duration;
    for (const coll::Network network : {coll::Network::kHose, coll::Network::kFlow}) {
      SimGridRuntime runtime(fabric, every_flow());
      EXPECT_NEAR(run_exchange(runtime, traffic, network).exchange.duration / analytic, 1, 1e-3)
          << coll::to_string(network);
    }
  };
  check(valiant_dragonfly(), next_group);
  check(mesh_with_detours(), coll::expand(coll::all_to_all(coll::consecutive_dies(0, 16), 1e6)));
  check(mesh_with_detours(), {.pairs = {{0, 7, 5e6}}});
}

TEST(NonMinimal, BytesAreConservedWhenTransfersAreCutOff) {
  for (const hw::Platform& platform : {mesh_with_detours(), valiant_dragonfly()}) {
    SimGridRuntime runtime(platform);
    RandomStream random(7, "churn");
    std::map<int, coll::TransferId> open;
    Bytes delivered = 0;
    for (int i = 0; i < 200; ++i) {
      runtime.schedule_at(1e-5 * i, coll::Priority::kDecision, [&, i] {
        const int from = static_cast<int>(random.uniform_int(0, 7));
        const int to = 8 + static_cast<int>(random.uniform_int(0, 7));
        const Bytes bytes = random.uniform_int(1, 30'000'000);
        open[i] = runtime.transfer(
            {hw::die(from), hw::die(to), bytes, coll::Plane::kUb, coll::Op::kWrite},
            [&, i](const coll::Outcome& outcome) {
              open.erase(i);
              delivered += outcome.delivered;
            });
        if (random.uniform_int(0, 2) == 0 && !open.empty()) runtime.cancel(open.begin()->second);
      });
    }
    runtime.run();
    EXPECT_TRUE(open.empty());
    EXPECT_NO_THROW(runtime.check_bytes_conserved());
    for (const ClassUse& use : runtime.class_use()) {
      if (use.cls == "die_ub") {
        EXPECT_EQ(use.bytes, delivered);
      }
    }
  }
}

}  // namespace
}  // namespace cmsim::engine
