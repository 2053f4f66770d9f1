// Attention and experts on dies of their own (attention-FFN disaggregation).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "cmsim/base/error.hpp"
#include "cmsim/model/decode_model.hpp"
#include "tests/model/places.hpp"
#include "tests/model/published.hpp"

namespace cmsim::model {
namespace {

ModelOptions apart(int attention_dies, int microbatches) {
  ModelOptions options;
  options.decode.attention_dies = attention_dies;
  options.decode.microbatches = microbatches;
  options.decode.draft_tokens = 0;
  options.experts.placement = Placement::kBalanced;
  return options;
}

hw::Platform without_jitter() {
  hw::Platform platform = cloudmatrix();
  platform.token_exchange.jitter = 0;
  return platform;
}

StepBreakdown step_of(const ModelOptions& options, int expert_dies, int sequences) {
  const DecodePipeline model =
      make_decode(without_jitter(), deepseek_r1(), options, expert_dies, 96);
  const auto ranks = static_cast<std::size_t>(model.ranks());
  const std::vector<std::int32_t> counts(ranks, sequences);
  const std::vector<std::int64_t> contexts(ranks, sequences * 4096L);
  return model.breakdown({counts, contexts});
}

std::map<std::string, Seconds> by_track(const StepBreakdown& step) {
  std::map<std::string, Seconds> sums;
  for (const OperatorTime& op : step.operators) sums[op.track] += op.duration;
  return sums;
}

// One microbatch is in one place at a time: the layer is the sum of all. Several of 8 sequences
// each go round, and the side that has the most to do never waits.
TEST(Disaggregation, ALayerIsTheRoundOrTheBusierSide) {
  const StepBreakdown one = step_of(apart(160, 1), 160, 8);
  auto of_one = by_track(one);
  EXPECT_NEAR(one.layer,
              of_one["attention"] + of_one["dispatch"] + of_one["experts"] + of_one["combine"],
              1e-9);
  const StepBreakdown four = step_of(apart(160, 4), 160, 32);
  auto of_four = by_track(four);
  const auto busiest =
      std::ranges::max_element(of_four, {}, [](const auto& of_track) { return of_track.second; });
  EXPECT_EQ(busiest->first, "attention");
  // The way of the last round that nobody covers is spread over 58 layers.
  EXPECT_NEAR(four.layer / (4 * busiest->second), 1, 0.02);
}

// 160 dies with 32 sequences send 5,120 tokens; 160 with experts, of which each has a copy of the
// shared one, compute 9 rows of each: 288 a die. Together 320 dies do it with 16 sequences each.
TEST(Disaggregation, ExpertsGetTheTokensOfAllThatAttend) {
  const Architecture r1 = deepseek_r1();
  const auto made = make_expert_load(r1, apart(160, 1), Phase::kDecode, 160);
  const ExpertLoad& load = *made;
  EXPECT_TRUE(load.layout().computes_only);
  EXPECT_DOUBLE_EQ(load.mean_rows(5120), 288);
  EXPECT_DOUBLE_EQ(load.copies(), 9);  // the shared expert is elsewhere too
  for (const std::vector<double>& shares : load.received_shares()) {
    EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-12);
    EXPECT_EQ(shares.size(), 160u);
  }
  for (const OperatorTime& op : step_of(apart(160, 1), 160, 32).operators) {
    if (op.name != "MLP") continue;
    // Gate, up and down: 3 x 7168 x 2048 weights, 2 operations each.
    EXPECT_DOUBLE_EQ(op.work.int8_ops, 288 * 2 * 3.0 * 7168 * 2048);
  }
}

// The first 32 dies send, the other 32 receive; back it is the other way round.
TEST(Disaggregation, RowsGoFromThoseThatAttendToTheExperts) {
  const coll::AnalyticNetwork network(cloudmatrix());
  const ExchangeRanks ranks{first_dies(64), 32};
  EXPECT_EQ(ranks.sending().size(), 32u);
  EXPECT_EQ(ranks.receiving().front(), 32);
  const ExchangeCosts costs(network, ranks, {});
  const auto bytes = [&](double there, double back, coll::Direction direction, bool attends) {
    const coll::PortLoads loads = costs.loads(network, ranks.dies, there, back);
    double sum = 0;
    for (std::size_t i = 0; i < loads.bytes.size(); ++i) {
      const coll::Port& port = network.fabric().ports()[i];
      const bool is_die = network.fabric().classes()[port.cls].name == "die_ub";
      if (is_die && port.direction == direction && (port.owner < 32) == attends) {
        sum += loads.bytes[i];
      }
    }
    return sum;
  };
  using coll::Direction;
  // No die that attends shares its package with one that has experts: every byte leaves.
  EXPECT_NEAR(bytes(1, 0, Direction::kOut, true), 1, 1e-12);
  EXPECT_NEAR(bytes(1, 0, Direction::kIn, false), 1, 1e-12);
  EXPECT_EQ(bytes(1, 0, Direction::kOut, false), 0);
  EXPECT_EQ(bytes(1, 0, Direction::kIn, true), 0);
  EXPECT_NEAR(bytes(0, 1, Direction::kOut, false), 1, 1e-12);
  EXPECT_NEAR(bytes(0, 1, Direction::kIn, true), 1, 1e-12);
  const PeerShares shares = peer_shares(cloudmatrix(), ranks.sending(), ranks.receiving());
  EXPECT_EQ(shares.package, 0);
  EXPECT_EQ(shares.node, 0);
}

// What a die with attention no longer holds are the experts; what one with experts holds is them.
TEST(Disaggregation, WeightsAreWhereTheyAreUsed) {
  const hw::Platform platform = cloudmatrix();
  const OperatorList list(deepseek_r1(), {});
  const ExpertLayout layout = derive_layout(deepseek_r1(), 160);
  const MemoryPlan together = plan_decode_memory(platform, list, layout, ExchangeKind::kFused, 96);
  const MemoryPlan attention = plan_attention_memory(platform, list, layout, 96);
  const MemoryPlan experts =
      plan_expert_memory(platform, list, layout, ExchangeKind::kFused, 160 * 96);
  EXPECT_NEAR(attention.weights + experts.weights, together.weights, 1);
  // 58 layers and the MTP layer, 2 slots and the shared expert, 3 x 7168 x 2048 B.
  EXPECT_DOUBLE_EQ(experts.weights, 59 * 3 * 3.0 * 7168 * 2048);
  EXPECT_GT(attention.kv_tokens(), together.kv_tokens());
}

TEST(Disaggregation, PlansTheFasterOfOneToThreeMicrobatches) {
  const auto planned = [](int sequences) {
    return step_of(apart(160, 0), 160, sequences).microbatches;
  };
  ModelOptions options = apart(160, 0);
  const DecodePipeline model = make_decode(without_jitter(), deepseek_r1(), options, 160, 96);
  const std::vector<std::int32_t> counts(160, 96);
  const std::vector<std::int64_t> contexts(160, 96 * 4096L);
  const DecodeBatch full{counts, contexts};
  const DecodePlan plan = model.plan(full);
  EXPECT_EQ(planned(96), plan.microbatches);
  for (int others = 1; others <= 3; ++others) {
    EXPECT_LE(model.duration(full, plan),
              model.duration(full, {others, plan.attention_aic, plan.attention_aiv}));
  }
}

TEST(Disaggregation, RefusesWhatItCannotDivide) {
  const auto refused = [](const Architecture& architecture, ExchangeKind exchange) {
    ModelOptions options = apart(160, 1);
    options.decode.exchange = exchange;
    EXPECT_THROW(make_decode(cloudmatrix(), architecture, options, 160, 8), ConfigError);
  };
  refused(deepseek_r1(), ExchangeKind::kTwoLevel);
  Architecture dense = deepseek_r1();
  dense.dense_layers = dense.layers;
  dense.mtp_layers = 0;
  refused(dense, ExchangeKind::kFused);
}

}  // namespace
}  // namespace cmsim::model
