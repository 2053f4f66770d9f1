// Runs in which the popularity of experts drifts.
#include <gtest/gtest.h>

#include "runs.hpp"

namespace cmsim::run {
namespace {

using Sets = std::vector<std::string>;

constexpr const char* kLoop =
    R"({"role": "decode", "requests": 600, "prompt_length": 1000, "output_length": 40,
        "arrivals": {"kind": "closed_loop", "concurrency": 400}})";

/// Decode alone on 16 NPUs, nine experts a die.
Result decode(Sets sets = {}) {
  sets.insert(sets.begin(), {"/deployment/decode/npus_per_instance=16", "/deployment/decode/ep=32",
                             "/deployment/decode/max_num_seqs=25"});
  return run_with(kLoop, sets);
}

const metrics::RoleResult& role(const Result& result) { return *result.whole_run.decode; }

TEST(Drift, OneThatTakesForEverIsNone) {
  const Result none = decode(), slow = decode({"/experts/drift/time=1e9s"});
  EXPECT_FALSE(role(none).rebalancing);
  ASSERT_TRUE(role(slow).rebalancing);
  EXPECT_EQ(none.duration, slow.duration);
  EXPECT_EQ(none.whole_run.tpot_ms.mean, slow.whole_run.tpot_ms.mean);
  ASSERT_EQ(none.steps.size(), slow.steps.size());
  EXPECT_EQ(role(slow).rebalancing->count, 0);
  EXPECT_EQ(role(slow).rebalancing->paid, 0);
}

TEST(Drift, AnOldPlacementIsAsStaleAsAnotherWorkloads) {
  const Result old = decode({"/experts/drift/time=1s", "/experts/drift/age=1h"});
  const Result stale = decode({"/decode/placement_staleness=1"});
  // The exchanges keep the shape of the fresh placement, which binds nothing here.
  EXPECT_NEAR(old.duration / stale.duration, 1, 1e-3);
  EXPECT_GT(role(old).rebalancing->mean_age, 3600);
  EXPECT_LT(role(old).rebalancing->mean_balancedness, 0.9);
  ASSERT_TRUE(old.decode_breakdown);
  EXPECT_NEAR(old.decode_breakdown->duration / stale.decode_breakdown->duration, 1, 1e-3);
}

// Of every step the time that it waits; of every move the bytes of its experts, 44 MB each.
TEST(Drift, MovesAreCountedAndPaid) {
  const Sets drift{"/experts/drift/time=1s", "/experts/drift/age=1h",
                   "/experts/moves/layers_per_step=20"};
  Sets periodic = drift;
  periodic.emplace_back(R"(/policies/expert_placement={"name": "periodic", "interval": 8})");
  const Result moved = decode(periodic), left = decode(drift);
  const metrics::RebalancingResult& r = *role(moved).rebalancing;
  EXPECT_GT(r.count, 2);
  EXPECT_EQ(r.count, static_cast<std::int64_t>(moved.rebalancings.size()));
  EXPECT_DOUBLE_EQ(r.bytes, static_cast<double>(r.experts) * 3 * 7168 * 2048);
  Seconds paid = 0;
  int waiting = 0;
  ASSERT_EQ(moved.step_experts.size(), moved.steps.size());
  auto experts = moved.step_experts.begin();
  for (const metrics::Iteration& step : moved.steps) {
    const Seconds moving = (experts++)->moving;
    paid += moving;
    waiting += moving > 0;
    EXPECT_GE(step.duration(), moving);
  }
  EXPECT_NEAR(r.paid, paid, 1e-9);
  // 59 layers are three steps of 20; the last move may be cut by the end of the run.
  EXPECT_GE(waiting, 3 * r.count);
  EXPECT_LE(waiting, 3 * r.count + 2);
  EXPECT_GT(r.mean_balancedness, role(left).rebalancing->mean_balancedness);
  EXPECT_LT(r.mean_age, role(left).rebalancing->mean_age);
}

TEST(Drift, NobodyDoesBetterThanTheOracle) {
  const Sets drift{"/experts/drift/time=1s", "/experts/drift/age=1h"};
  Sets oracle = drift;
  oracle.emplace_back("/policies/expert_placement=oracle");
  const Result bound = decode(oracle), fresh = decode();
  EXPECT_EQ(bound.duration, fresh.duration);
  EXPECT_EQ(role(bound).rebalancing->count, 0);
  EXPECT_EQ(role(bound).rebalancing->bytes, 0);
}

}  // namespace
}  // namespace cmsim::run
