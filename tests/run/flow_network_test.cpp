#include "src/run/flow_network.hpp"

#include <gtest/gtest.h>

#include "runs.hpp"
#include "src/run/step_models.hpp"
#include "tests/coll/ranks.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::run {
namespace {

using coll::consecutive_dies;

coll::ExchangeCost even_cost(const coll::ExchangeNetwork& network, int ranks) {
  const std::vector<double> ones(static_cast<std::size_t>(ranks), 1);
  const coll::ExchangeGroup::Shape shape{ones, ones};
  return network.group({consecutive_dies(0, ranks)})->costs({&shape, 1}).front();
}

TEST(FlowNetwork, IsTheBoundWherePacketsAreSprayed) {
  const FlowNetwork flows(hw::cloudmatrix());
  const coll::AnalyticNetwork bound(hw::cloudmatrix());
  EXPECT_EQ(flows.note(), "");
  EXPECT_NEAR(even_cost(flows, 32).per_mean / even_cost(bound, 32).per_mean, 1, 1e-3);
  EXPECT_EQ(flows.note(),
            "exchanges take up to 1.0000 times their analytic bound on the wire (32 ranks)");
}

TEST(FlowNetwork, MeasuresALargeGroupOnRanksSpreadOverIt) {
  const FlowNetwork flows(hw::cloudmatrix());
  even_cost(flows, 320);
  EXPECT_NE(flows.note().find("(64 of 320 ranks)"), std::string::npos) << flows.note();
}

// Of 160 packages every fifth rank would be alone in its own: 32 packages are measured instead.
TEST(FlowNetwork, MeasuresWholePairsOfManySubgroups) {
  const FlowNetwork flows(hw::cloudmatrix());
  coll::ExchangeNetwork::Subgroups packages;
  for (int die = 0; die < 320; die += 2) packages.push_back(consecutive_dies(die, 2));
  const std::vector<double> ones(320, 1);
  const coll::ExchangeGroup::Shape shape{ones, ones};
  flows.group(packages)->costs({&shape, 1});
  EXPECT_NE(flows.note().find("(64 of 320 ranks)"), std::string::npos) << flows.note();
}

// All send to one rank of 320, which is not among the 64.
TEST(FlowNetwork, SaysWhereNothingIsMeasured) {
  const FlowNetwork flows(hw::cloudmatrix());
  std::vector<double> shares(320, 0);
  shares[0] = 1;
  const coll::ExchangeGroup::Shape shape{std::vector<double>(320, 1), shares};
  flows.group({consecutive_dies(0, 320)})->costs({&shape, 1});
  EXPECT_EQ(flows.note(),
            "exchanges: some of 320 ranks take their analytic bound: those that would be measured "
            "send each other nothing");
}

// Rank 0 of a torus sends to its neighbours alone what all others spread: pairs that end early
// leave their ways idle, which the bound does not see.
TEST(FlowNetwork, UnevenPairsOnFixedWaysTakeLongerThanTheBound) {
  const Scenario scenario =
      scenario_with({R"(/platform/ub/fabric={"builder": "torus", "dimensions": [
           {"size": 16, "bandwidth": "50GB/s"}, {"size": 48, "bandwidth": "50GB/s"}]})"});
  std::vector<double> shares(32, 1);
  shares[3] = 12;
  const coll::ExchangeGroup::Shape shape{std::vector<double>(32, 1), shares};
  const auto cost = [&](const coll::ExchangeNetwork& network) {
    return network.group({consecutive_dies(0, 32)})->costs({&shape, 1}).front().per_mean;
  };
  const double excess =
      cost(FlowNetwork(scenario.platform)) / cost(coll::AnalyticNetwork(scenario.platform));
  RecordProperty("excess", std::to_string(excess));
  EXPECT_GE(excess, 1 - 1e-3);
}

TEST(StepModels, SayWhatTheFlowRungAdds) {
  const auto note = [](const std::string& network) {
    const Scenario scenario = scenario_with({"/network=" + network, "/workload/role=prefill"});
    return make_step_models(scenario, make_role_experts(scenario)).network_note;
  };
  EXPECT_EQ(note("analytic"), "");
  EXPECT_NE(note("flow").find("(32 ranks)"), std::string::npos);
}

// Instances 0 to 5 of prefill are on two nodes each. One of the L1 chips of node 2, in the second
// instance, is slow: its batches alone take longer.
TEST(StepModels, EveryInstanceHasThePlaceThatItHas) {
  const Scenario scenario =
      scenario_with({"/workload/role=prefill", "/platform/faults/degrade=l1:2/0=1%"});
  const StepModels models = make_step_models(scenario, make_role_experts(scenario));
  const std::vector<model::PrefillSequence> prompts(4, {4096, 0});
  const auto duration = [&](std::int32_t instance) {
    return models.prefill->batch({prompts, instance}).duration;
  };
  EXPECT_GT(duration(1), 1.01 * duration(0));
  EXPECT_EQ(duration(2), duration(0));
  EXPECT_EQ(duration(5), duration(0));
}

// 4 of 16 L2 chips: uplinks carry what the ranks of a node send together. Even experts: a rank of
// the two nodes with the shared expert gets 10 rows for each token of a rank, 152 of 320 rows enter
// such a node from others: at 7 x 4 x 28 GB/s x 135/196 3.826 times what its own ports need for
// 10 (14/320 / 137 + 304/320 / 135).
TEST(StepModels, ThinUplinksSlowTheExchange) {
  const auto step = [](const std::vector<std::string>& sets) {
    std::vector<std::string> all{"/workload/role=decode", "/experts/placement=balanced",
                                 "/decode/microbatches=1", "/decode/mtp/draft_tokens=0"};
    all.insert(all.end(), sets.begin(), sets.end());
    const Scenario scenario = scenario_with(all);
    const StepModels models = make_step_models(scenario, make_role_experts(scenario));
    const std::vector<std::int32_t> sequences(320, 48);
    const std::vector<std::int64_t> contexts(320, 48 * 4096);
    return models.decode->breakdown({sequences, contexts});
  };
  const auto dispatch = [](const model::StepBreakdown& breakdown) {
    for (const auto& op : breakdown.operators) {
      if (op.name == "Dispatch") return op.alone;
    }
    return 0.0;
  };
  const double tokens = 48;
  const Seconds own = tokens * 10 * 7680 * (14.0 / 320 / 137e9 + 304.0 / 320 / 135e9);
  const Seconds wire = tokens * 16.0 * 304 / 32 * 7680 / (784e9 * 135 / 196);
  EXPECT_NEAR(wire / own, 3.826, 1e-3);
  EXPECT_NEAR(dispatch(step({"/platform/ub/l2_chips_per_plane=4"})), wire + 23.1e-6, 1e-7);
}

}  // namespace
}  // namespace cmsim::run
