// Placements that grow old: levels, moves and their times by hand, and what a step is then.
#include "cmsim/model/expert_drift.hpp"

#include <gtest/gtest.h>

#include "cmsim/model/drifting_decode.hpp"
#include "cmsim/model/expert_moves.hpp"
#include "places.hpp"
#include "published.hpp"

namespace cmsim::model {
namespace {

// The root of 1 - exp(-age / time) in eighths: 0.3 s of 100 s give 0.44, 0.4 s 0.506, 10 s 2.47, 60
// s 5.37, 1,000 s 8 but for 2e-4.
TEST(Drift, TheLevelIsTheNearestEighthOfTheWayOfScores) {
  const Drift drift(100, 0);
  EXPECT_EQ(drift.level(0), 0);
  EXPECT_EQ(drift.level(0.3), 0);
  EXPECT_EQ(drift.level(0.4), 1);
  EXPECT_EQ(drift.level(10), 2);
  EXPECT_EQ(drift.level(60), 5);
  EXPECT_EQ(drift.level(1000), 8);
  EXPECT_EQ(drift.level(1e9), 8);
}

TEST(Drift, StalenessRisesFromThatOfAPlacementJustMadeToAnotherWorkloads) {
  EXPECT_DOUBLE_EQ(Drift(100, 0).staleness(2), 0.0625);
  EXPECT_DOUBLE_EQ(Drift(100, 0.2).staleness(0), 0.2);
  EXPECT_DOUBLE_EQ(Drift(100, 0.2).staleness(4), 0.2 + 0.8 * 0.25);
  EXPECT_DOUBLE_EQ(Drift(100, 0.2).staleness(8), 1);
  EXPECT_DOUBLE_EQ(Drift(100, 1.5).staleness(8), 1.5);  // staler than another workload's: stays
}

// Ranks of two slots, {0, 1} {2, 3} {0, 4} before, {1, 0} {2, 4} {3, 4} after: the first has its
// two, the second lacks 4, the third 3. The second sends 3 and the third 4, one each.
TEST(ExpertMoves, AreWhatARankLacks) {
  const ExpertMoves moves =
      moves_between({0, 1, 2, 3, 0, 4}, {1, 0, 2, 4, 3, 4}, std::vector{2, 2, 2});
  EXPECT_EQ(moves.experts, 2);
  EXPECT_DOUBLE_EQ(moves.most, 1);
}

// Expert 0 of rank 0 goes to the three others, which all lack it: rank 0 sends three. With a copy
// on rank 1 too, both send one of two.
TEST(ExpertMoves, ComeInEqualPartsFromAllThatHaveThem) {
  EXPECT_DOUBLE_EQ(moves_between({0, 1, 2, 3}, {0, 0, 0, 0}, std::vector{1, 1, 1, 1}).most, 3);
  const ExpertMoves moves = moves_between({0, 0, 1, 2}, {0, 0, 0, 0}, std::vector{1, 1, 1, 1});
  EXPECT_EQ(moves.experts, 2);
  EXPECT_DOUBLE_EQ(moves.most, 1);
}

TEST(ExpertMoves, ARankOfTwoCopiesNeedsOne) {
  EXPECT_EQ(moves_between({0, 1, 1, 0}, {0, 0, 1, 1}, std::vector{2, 2}).experts, 0);
  EXPECT_EQ(moves_between({0, 0, 1, 1}, {1, 1, 0, 0}, std::vector{2, 2}).experts, 2);
}

class DriftingStep : public testing::Test {
 protected:
  static constexpr int kRanks = 32;

  DecodeBatch batch(Seconds age) const { return {sequences_, kv_tokens_, 0, {}, age}; }
  DriftingDecode drifting(int layers_per_step = 1) {
    ModelOptions options = options_;
    options.experts.layers_per_step = layers_per_step;
    return {cloudmatrix(), deepseek_r1(), options, fresh_, places_};
  }
  static ModelOptions drift_of_100_s() {
    ModelOptions options;
    options.experts.drift.time = 100;
    return options;
  }

  const ModelOptions options_ = drift_of_100_s();
  const coll::AnalyticNetwork network_{cloudmatrix()};
  const InstancePlaces places_{network_, {first_dies(kRanks)}};
  const DecodePipeline fresh_ = make_decode(cloudmatrix(), deepseek_r1(), options_, kRanks, 48);
  const std::vector<std::int32_t> sequences_ = std::vector<std::int32_t>(kRanks, 48);
  const std::vector<std::int64_t> kv_tokens_ = std::vector<std::int64_t>(kRanks, 48 * 4096);
};

TEST_F(DriftingStep, APlacementJustMadeIsThatOfNoDrift) {
  const DriftingDecode model = drifting();
  EXPECT_EQ(model.iteration(batch(0)).duration, fresh_.iteration(batch(0)).duration);
  EXPECT_EQ(model.ageing()->balancedness(0), fresh_.experts().balancedness());
}

TEST_F(DriftingStep, AnOldOneIsAsOfAnotherWorkloadAndSlower) {
  const DriftingDecode model = drifting();
  ModelOptions stale = options_;
  stale.decode.staleness = 1;
  const auto experts = make_expert_load(deepseek_r1(), stale, Phase::kDecode, kRanks);
  EXPECT_EQ(model.ageing()->balancedness(1000), experts->balancedness());
  EXPECT_LT(model.ageing()->balancedness(1000), model.ageing()->balancedness(60));
  EXPECT_LT(model.ageing()->balancedness(60), model.ageing()->balancedness(0));
  EXPECT_GT(model.iteration(batch(1000)).duration, model.iteration(batch(0)).duration);
  // What else hangs on the load of experts is planned once.
  EXPECT_EQ(model.aged(1000).plan(batch(0)).attention_aic, fresh_.plan(batch(0)).attention_aic);
}

// The busiest die of a layer gets or sends `most` experts of 3 * 7,168 * 2,048 B and their scales
// over its UB ports, beside the start of the copies.
TEST_F(DriftingStep, AMoveIsWhatDiesLackLayerByLayerOverUb) {
  const DriftingDecode model = drifting();
  ModelOptions stale = options_;
  stale.decode.staleness = 1;
  const auto before = make_expert_load(deepseek_r1(), stale, Phase::kDecode, kRanks);
  const auto slots = before->layout().slots_by_rank();
  const double bytes = OperatorList(deepseek_r1(), {}).expert_weight_bytes();
  EXPECT_NEAR(bytes, 44e6, 0.5e6);
  const ExpertMove& move = model.ageing()->move(0, 1000);
  const coll::ExchangeCost wires = coll::even_cost(network_, {first_dies(kRanks)});
  std::int64_t experts = 0;
  ASSERT_EQ(move.steps.size(), 59u);  // 58 layers and that of MTP
  for (std::size_t layer = 0; layer < 59; ++layer) {
    const ExpertMoves moves =
        moves_between(before->placements()[layer], fresh_.experts().placements()[layer], slots);
    experts += moves.experts;
    EXPECT_NEAR(move.steps[layer],
                cloudmatrix().token_exchange.sdma_startup + wires.latency +
                    moves.most * bytes * wires.per_rank,
                1e-12);
    // vllm-ascend publishes less than 2 ms a layer; a die of EP32 has 9 experts.
    EXPECT_LT(move.steps[layer], 4e-3);
    EXPECT_GT(move.steps[layer], 1e-3);
  }
  EXPECT_EQ(move.experts, experts);
  EXPECT_NEAR(static_cast<double>(move.bytes), static_cast<double>(experts) * bytes, 1);
  // Ten layers a step: the same time in six steps.
  const DriftingDecode in_tens = drifting(10);
  const ExpertMove& faster = in_tens.ageing()->move(0, 1000);
  EXPECT_EQ(faster.steps.size(), 6u);
  EXPECT_NEAR(faster.duration(), move.duration(), 1e-12);
}

TEST_F(DriftingStep, ALittleChangeIsPackedAnewLikeAnyOther) {
  const DriftingDecode model = drifting();
  EXPECT_GT(model.ageing()->move(0, 0).experts, 0);
  EXPECT_EQ(model.ageing()->move(0, 0).experts, model.ageing()->move(0, 1).experts);
}

}  // namespace
}  // namespace cmsim::model
