// Experts that are placed anew: what policies decide on a view, and a cluster whose steps pay for
// the moves, by hand.
#include <gtest/gtest.h>

#include "cmsim/base/error.hpp"
#include "cmsim/model/placement_ageing.hpp"
#include "harness.hpp"

namespace cmsim::serve {
namespace {

using testing::Harness;
using testing::kTiny;

/// Steps of 50 ms with a placement younger than a second, else of 60 ms. A move takes two steps,
/// which wait for 5 and 7 ms.
class AgeingDecode : public testing::ConstantDecode, private model::PlacementAgeing {
 public:
  model::DecodeIteration iteration(const model::DecodeBatch& batch) const override {
    model::DecodeIteration iteration = ConstantDecode::iteration(batch);
    if (batch.placement_age >= 1) iteration.duration += 0.010;
    return iteration;
  }
  const PlacementAgeing* ageing() const override { return this; }

  Seconds age_at_start = 0;
  model::ExpertMove costs{6, 600, {0.005, 0.007}};

 private:
  Seconds initial_age() const override { return age_at_start; }
  double balancedness(Seconds age) const override { return age < 1 ? 0.9 : 0.75; }
  const model::ExpertMove& move(std::int32_t, Seconds) const override { return costs; }
};

class Moves : public Listener {
 public:
  void on_rebalancing(const RebalancingEvent& event) override { events.push_back(event); }
  std::vector<RebalancingEvent> events;
};

/// One request of `tokens` tokens that nothing else meets, a token a step from 2 ms on.
struct OneRequest : Harness {
  explicit OneRequest(const PolicyChoice& choice) {
    policies = testing::policies_with({{"expert_placement", choice}});
    config.role = Role::kDecodeOnly;
  }
  void run(int tokens) {
    trace = testing::make_trace({{0, 1, tokens}});
    std::vector<Policies> of_supernode;
    of_supernode.push_back(std::move(policies));
    Cluster cluster(runtime, platform, config, {&prefill, &ageing}, std::move(of_supernode), trace);
    cluster.add_listener(seen);
    cluster.add_listener(moves);
    cluster.start();
    runtime.run(1e300);
    cluster.finish(RunEnd::kDrained);
  }
  Seconds step(std::size_t number) const {
    return seen.steps[number].end - seen.steps[number].start;
  }
  AgeingDecode ageing;
  Moves moves;
};

TEST(ExpertBalancer, AStaticPlacementGrowsOld) {
  OneRequest run({"static"});
  run.run(40);
  // 20 steps of 50 ms are a second.
  EXPECT_NEAR(run.step(19), 0.050, kTiny);
  EXPECT_NEAR(run.step(21), 0.060, kTiny);
  EXPECT_DOUBLE_EQ(run.seen.steps[10].balancedness, 0.9);
  EXPECT_DOUBLE_EQ(run.seen.steps[30].balancedness, 0.75);
  EXPECT_NEAR(run.seen.steps[10].placement_age, 0.5, kTiny);
  EXPECT_TRUE(run.moves.events.empty());
}

// Placed 2 s before the run. The policy is asked before step 4 (after four of 60 ms); half of the
// layers move in it, the others in step 5.
TEST(ExpertBalancer, StepsWaitForTheLayersThatMove) {
  OneRequest run({"periodic", {{"interval", 4}}});
  run.ageing.age_at_start = 2;
  run.run(9);
  const double expected[] = {0.060, 0.060, 0.060, 0.060, 0.065, 0.067, 0.050, 0.050, 0.055};
  ASSERT_EQ(run.seen.steps.size(), 9u);
  for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(run.step(i), expected[i], kTiny) << i;
  EXPECT_NEAR(run.seen.steps[4].moving, 0.005, kTiny);
  EXPECT_NEAR(run.seen.steps[5].moving, 0.007, kTiny);
  // Decided at 240 ms, with a placement of 2.24 s; after one step of two half of it is gone.
  EXPECT_NEAR(run.seen.steps[4].placement_age, 2.240, kTiny);
  EXPECT_NEAR(run.seen.steps[5].placement_age, 2.240 / 2 + 0.065, kTiny);
  EXPECT_NEAR(run.seen.steps[6].placement_age, 0.065 + 0.067, kTiny);
  EXPECT_EQ(run.seen.steps[5].late, 0);  // it waits for its own experts
  ASSERT_EQ(run.moves.events.size(), 1u);
  const RebalancingEvent& move = run.moves.events[0];
  EXPECT_NEAR(move.end - move.start, 0.065 + 0.067, kTiny);
  EXPECT_NEAR(move.start, run.seen.steps[4].start, kTiny);
  EXPECT_EQ(move.experts, 6);
  EXPECT_EQ(move.bytes, 600);
}

TEST(ExpertBalancer, NothingToMoveIsDoneAtOnce) {
  OneRequest run({"periodic", {{"interval", 4}}});
  run.ageing.age_at_start = 2;
  run.ageing.costs = {};
  run.run(6);
  EXPECT_NEAR(run.step(3), 0.060, kTiny);
  EXPECT_EQ(run.moves.events.size(), 1u);
  EXPECT_NEAR(run.step(5), 0.050, kTiny);
}

TEST(ExpertBalancer, TheOracleIsAlwaysFreshAndPaysNothing) {
  OneRequest run({"oracle"});
  run.ageing.age_at_start = 2;
  run.run(40);
  for (std::size_t i = 0; i < 40; ++i) EXPECT_NEAR(run.step(i), 0.050, kTiny);
  EXPECT_TRUE(run.moves.events.empty());
}

TEST(ExpertBalancer, WherePlacementsDoNotAgeNobodyIsAsked) {
  Harness harness;
  harness.policies =
      testing::policies_with({{"expert_placement", {"periodic", {{"interval", 1}}}}});
  harness.run({{0, 10, 5}});
  for (const DecodeStepEvent& step : harness.seen.steps) {
    EXPECT_NEAR(step.end - step.start, 0.050, kTiny);
    EXPECT_EQ(step.moving, 0);
  }
}

TEST(ExpertBalancer, ADecisionThatIsNoneIsRefused) {
  class Odd : public Policy<ExpertPlacement> {
   public:
    Rebalancing decide(const View&) override { return static_cast<Rebalancing>(7); }
  };
  OneRequest run({"static"});
  run.policies.get<ExpertPlacement>() = {"odd", std::make_unique<Odd>()};
  try {
    run.run(5);
    FAIL() << "accepted";
  } catch (const SimulationError& error) {
    EXPECT_STREQ(
        error.what(),
        "the policy expert_placement \"odd\" decided 7 at 0 s (instance 0, experts placed 0 "
        "s ago)");
  }
}

class ExpertPlacementPolicies : public ::testing::Test, private RebalancingForecast {
 protected:
  Rebalancing decide(const PolicyChoice& choice) {
    const auto policy = builtin_policies().make<ExpertPlacement>(choice);
    ExpertPlacementView asked = view;
    asked.forecast = this;
    return policy->decide(asked);
  }
  static constexpr auto kKeep = Rebalancing::kKeep, kMove = Rebalancing::kMove;
  ExpertPlacementView view{100, 0, 60, 1000, 0.8, 0.9, 1'000'000, 0.1};
  Seconds now = 0.050, after = 0.049;

 private:
  Seconds step() const override { return now; }
  Seconds step_after() const override { return after; }
};

TEST_F(ExpertPlacementPolicies, PeriodicCountsSteps) {
  EXPECT_EQ(decide({"periodic"}), kKeep);  // 3,000 unless given
  EXPECT_EQ(decide({"periodic", {{"interval", 1000}}}), kMove);
  EXPECT_EQ(decide({"periodic", {{"interval", 1001}}}), kKeep);
}

// max / mean: 1 / 0.8 = 1.25 now, 1 / 0.9 = 1.111 after, 0.139 less.
TEST_F(ExpertPlacementPolicies, ThresholdWantsImbalanceImprovementAndQuiet) {
  EXPECT_EQ(decide({"threshold"}), kMove);
  EXPECT_EQ(decide({"threshold", {{"imbalance", 1.26}}}), kKeep);
  EXPECT_EQ(decide({"threshold", {{"imbalance", 1.24}}}), kMove);
  EXPECT_EQ(decide({"threshold", {{"improvement", 0.14}}}), kKeep);
  EXPECT_EQ(decide({"threshold", {{"improvement", 0.13}}}), kMove);
  EXPECT_EQ(decide({"threshold", {{"quiet", 61}}}), kKeep);
  view.balancedness_after = 0.8;
  EXPECT_EQ(decide({"threshold"}), kKeep);
}

// A step saves 1 ms: 101 of them pay for 100 ms, 99 do not.
TEST_F(ExpertPlacementPolicies, PaybackWeighsWhatStepsSaveAgainstTheMove) {
  EXPECT_EQ(decide({"payback", {{"within", 101}}}), kMove);
  EXPECT_EQ(decide({"payback", {{"within", 99}}}), kKeep);
  view.steps = 1001;  // looks at every hundredth
  EXPECT_EQ(decide({"payback", {{"within", 101}}}), kKeep);
  EXPECT_EQ(decide({"payback", {{"within", 101}, {"interval", 7}}}), kMove);  // 143 * 7
}

TEST_F(ExpertPlacementPolicies, StaticKeepsAndTheOracleIsFree) {
  EXPECT_EQ(decide({"static"}), kKeep);
  EXPECT_EQ(decide({"oracle"}), Rebalancing::kForFree);
}

}  // namespace
}  // namespace cmsim::serve
