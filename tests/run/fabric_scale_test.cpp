#include "src/run/fabric_scale.hpp"

#include <gtest/gtest.h>

#include <csignal>

#include "cmsim/base/error.hpp"
#include "runs.hpp"
#include "src/run/in_child.hpp"

namespace cmsim::run {
namespace {

FabricScale scale_of(const Scenario& scenario) {
  return measure_fabric_scale(scenario, make_role_experts(scenario),
                              coll::Fabric(scenario.platform));
}

TEST(InChild, ReturnsTheValueBitForBit) {
  EXPECT_EQ(in_child([] { return 1.0 / 3; }), 1.0 / 3);
}

TEST(InChild, BringsBackWhatWentWrong) {
  try {
    in_child([]() -> double { throw std::runtime_error("the reason"); });
    FAIL();
  } catch (const SimulationError& error) {
    EXPECT_NE(std::string(error.what()).find("the reason"), std::string::npos);
  }
  EXPECT_THROW(in_child([]() -> double {
                 std::raise(SIGTERM);
                 return 0;
               }),
               SimulationError);
}

TEST(FabricScale, IsOneOnTheDefaultMachine) {
  // Non-blocking, whole nodes: the busiest port is the one that the exchanges assume.
  const FabricScale scale = scale_of(scenario_with({}));
  EXPECT_EQ(scale.prefill, 1);
  EXPECT_EQ(scale.decode, 1);
  EXPECT_EQ(scale.note, "");
}

TEST(FabricScale, HoseAgreesAndSaysSo) {
  const FabricScale scale = scale_of(scenario_with({"/network=hose"}));
  EXPECT_NEAR(scale.prefill, 1, 1e-3);
  EXPECT_NEAR(scale.decode, 1, 1e-3);
  EXPECT_EQ(scale.note,
            "prefill: wire time x 1.0000 (hose fabric, 32 ranks); "
            "decode: wire time x 1.0000 (hose fabric, 320 ranks)");
}

TEST(FabricScale, FlowMeasuresTheFirst64RanksOfALargeGroup) {
  const FabricScale scale = scale_of(scenario_with({"/network=flow"}));
  EXPECT_NEAR(scale.decode, 1, 1e-3);
  EXPECT_NE(scale.note.find("flow fabric, first 64 of 320 ranks"), std::string::npos) << scale.note;
}

TEST(FabricScale, CountsThinUplinks) {
  // 4 of 16 L2 chips, experts balanced: per token of a rank, a routed rank gets 8/288 rows, each of
  // the 32 ranks (two nodes) of the shared expert 1/32, which makes them the busiest. A step model
  // assumes 320/32 = 10 rows from uniform peers: 10 * (14/320 / 137 + 304/320 / 135) = 0.073564
  // (ns per message byte and token). The uplinks into such a node carry 304 * 16/32 = 152 rows at
  // 7 * 4 * 28 GB/s * 135/196 = 540 GB/s: 0.28148. Ratio 3.826.
  const FabricScale scale =
      scale_of(scenario_with({"/platform/ub/l2_chips_per_plane=4", "/experts/placement=balanced"}));
  const double uplink = 16.0 * 304 / 32 / (784.0 * 135 / 196);
  const double assumed = 10 * (14.0 / 320 / 137 + 304.0 / 320 / 135);
  EXPECT_NEAR(scale.decode, uplink / assumed, 1e-3);
  EXPECT_GT(scale.prefill, 1.5);
  EXPECT_NE(scale.note.find("analytic fabric"), std::string::npos);
}

TEST(FabricScale, HashedFlowsShowOnlyOnTheFlowRung) {
  const std::string hash = "/platform/ub/spread=hash";
  const FabricScale flow = scale_of(scenario_with({hash, "/network=flow"}));
  EXPECT_GT(flow.prefill, 1.2);
}

}  // namespace
}  // namespace cmsim::run
