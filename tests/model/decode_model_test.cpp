#include "cmsim/model/decode_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "cmsim/base/error.hpp"
#include "tests/model/places.hpp"
#include "tests/model/published.hpp"

namespace cmsim::model {
namespace {

constexpr int kMostSequences = 64;

/// Two streams share HBM by which operators happen to meet: a faster one may come to meet one that
/// streams, and what it gains on one stream is lost on the other. Up to this much of the step.
double anomaly(int microbatches) { return microbatches == 1 ? 1 : 1.025; }

/// The batch of every rank.
struct Batch {
  std::vector<std::int32_t> sequences;
  std::vector<std::int64_t> kv_tokens;
  operator DecodeBatch() const { return {sequences, kv_tokens}; }  // NOLINT
};

Batch even(int ranks, int sequences, std::int64_t context = 4096) {
  const auto n = static_cast<std::size_t>(ranks);
  return {std::vector<std::int32_t>(n, sequences),
          std::vector<std::int64_t>(n, sequences * context)};
}

ModelOptions with_microbatches(int microbatches) {
  ModelOptions options;
  options.decode.microbatches = microbatches;
  return options;
}

DecodePipeline pipeline(const ModelOptions& options = {}, int ranks = 320,
                        const hw::Platform& platform = cloudmatrix()) {
  return make_decode(platform, deepseek_r1(), options, ranks, kMostSequences);
}

Seconds time_of(const ModelOptions& options, const Batch& batch) {
  return pipeline(options, static_cast<int>(batch.sequences.size())).iteration(batch).duration;
}

// What is remembered from other batches (and dropped after 4,096 of them) is no part of the answer.
TEST(DecodeModel, ABatchTakesAsLongAfterOthersAsAlone) {
  ModelOptions options;
  const DecodePipeline used = pipeline(options);
  const auto uneven = [](std::int32_t extra) {
    Batch batch = even(320, 8);
    for (std::int32_t r = 0; r < extra; ++r) ++batch.sequences[static_cast<std::size_t>(r % 320)];
    return batch;
  };
  // Same tokens, other plan or largest rank; then every key anew, and the first ones again.
  const std::vector<Batch> batches{even(320, 8), uneven(1), uneven(320), uneven(17)};
  for (int round = 0; round < 2; ++round) {
    for (const Batch& batch : batches) {
      EXPECT_EQ(used.iteration(batch).duration, time_of(options, batch));
      EXPECT_EQ(used.iteration(batch).duration, used.iteration(batch).duration);
      EXPECT_EQ(used.breakdown(batch).losses.imbalance,
                pipeline(options).breakdown(batch).losses.imbalance);
    }
    if (round == 0) {
      for (std::int32_t extra = 0; extra < 5000; ++extra) used.iteration(uneven(extra));
    }
  }
}

// Every split that is tried leaves either stream a core of either kind; a die that cannot be
// divided runs one stream.
TEST(DecodeModel, DiesOfAnyNumberOfCoresHaveAPlan) {
  for (const int aic : {1, 2, 3, 4, 5, 6, 7, 24, 96, 4096}) {
    for (const int aiv : {1, 2, 3, 7, 8, 48, 4096}) {
      hw::Platform platform = cloudmatrix();
      platform.die.aic_cores = aic;
      platform.die.aiv_cores = aiv;
      ModelOptions options;
      options.decode.auto_split = true;
      options.experts.placement = Placement::kBalanced;
      const DecodePipeline model = pipeline(options, 32, platform);
      const Batch batch = even(32, 8);
      const DecodePlan plan = model.plan(batch);
      SCOPED_TRACE(testing::Message() << aic << " AIC, " << aiv << " AIV: " << plan.microbatches);
      const Seconds time = model.duration(batch, plan);
      EXPECT_TRUE(std::isfinite(time) && time > 0) << time;
      if (!can_run_two_streams(platform.die)) {
        EXPECT_EQ(plan.microbatches, 1);
      }
      if (plan.microbatches == 1) continue;
      EXPECT_TRUE(plan.attention_aic >= 1 && plan.attention_aic < aic) << plan.attention_aic;
      EXPECT_TRUE(plan.attention_aiv >= 1 && plan.attention_aiv < aiv) << plan.attention_aiv;
    }
  }
}

TEST(DecodeModel, RefusesAPlanThatLeavesAStreamWithoutCores) {
  const DecodePipeline model = pipeline();
  const Batch batch = even(320, 8);
  for (const DecodePlan& plan :
       {DecodePlan{2, 0, 24}, DecodePlan{2, 24, 24}, DecodePlan{2, 12, 0}, DecodePlan{2, 12, 48},
        DecodePlan{0, 12, 24}, DecodePlan{5, 12, 24}}) {
    EXPECT_THROW(model.duration(batch, plan), std::invalid_argument);
  }
}

TEST(DecodeModel, OfDenseLayersAloneHasATime) {
  Architecture dense = deepseek_r1();
  dense.dense_layers = dense.layers;
  dense.mtp_layers = 0;
  ModelOptions options;
  options.decode.draft_tokens = 0;
  const DecodePipeline model = make_decode(cloudmatrix(), dense, options, 32, kMostSequences);
  const Seconds time = model.iteration(even(32, 8)).duration;
  EXPECT_TRUE(std::isfinite(time) && time > 0) << time;
}

// One stream, no drafts, balanced experts, 320 ranks x 48 sequences of 4,096 tokens: the operators
// one after the other, 3 dense layers and 58 with experts. The fullest rank is one of the 32 that
// share the shared expert: 48 x 320 / 32 = 480 rows, more than the 48 x 320 x 8 / 288 = 426.7 of a
// routed one.
TEST(DecodeModel, OneStreamIsTheSumOfItsOperators) {
  ModelOptions options = with_microbatches(1);
  options.decode.draft_tokens = 0;
  options.experts.placement = Placement::kBalanced;
  const hw::Platform platform = cloudmatrix();
  const OperatorList list(deepseek_r1(), {});
  const Device device(platform);
  const auto alone = [&](const OperatorWork& work) {
    return device.cost(work, 1).alone(device.hbm_bandwidth());
  };
  const auto exchange = make_exchange(ExchangeKind::kFused, platform, list, 320);
  const ExchangeLoad load{48, 9, 480, 48};
  const Seconds attention = alone(list.attention_prolog(48)) +
                            alone(list.attention(48, 48 * 4096, 1)) + alone(list.o_proj(48));
  const Seconds experts = alone(list.gate(48)) + exchange->dispatch(load).total() +
                          alone(list.expert_ffn(480, 1)) + exchange->combine(load).total();
  const Seconds expected =
      61 * attention + 3 * alone(list.dense_ffn(48)) + 58 * experts + alone(list.lm_head(48));
  EXPECT_NEAR(time_of(options, even(320, 48)) / expected, 1, 1e-9);
}

// 48 sequences in two microbatches: neither stream can do its part of all layers faster than
// alone, and both together are no slower than one after the other.
TEST(DecodeModel, TwoStreamsAreBoundedByEachAndByTheirSum) {
  const DecodePipeline model = pipeline(with_microbatches(2));
  const StepBreakdown step = model.breakdown(even(320, 48));
  ASSERT_EQ(step.microbatches, 2);
  Seconds alone[2] = {0, 0};
  for (const OperatorTime& op : step.operators) alone[op.track == "stream 1"] += op.alone;
  // Per MoE layer, two microbatches; layers differ by their stragglers, the typical one is between.
  EXPECT_GE(step.layer, 2 * alone[0] * 0.999);
  EXPECT_GE(step.layer, 2 * alone[1] * 0.95);
  EXPECT_LE(step.layer, 2 * (alone[0] + alone[1]) * 1.05);
}

TEST(DecodeModel, TheRankWithTheLongestContextPaces) {
  const DecodePipeline model = pipeline(with_microbatches(1));
  Batch one_long = even(320, 16);
  one_long.kv_tokens[7] *= 4;
  // Same tokens, and every other rank waits: as slow as if all had the long context.
  EXPECT_DOUBLE_EQ(model.iteration(one_long).duration,
                   model.iteration(even(320, 16, 4 * 4096)).duration);
  EXPECT_GT(model.iteration(one_long).duration, model.iteration(even(320, 16)).duration);
}

TEST(DecodeModel, UnevenBatchesCostBetweenTheirSmallestAndLargestRank) {
  for (const int microbatches : {1, 2}) {
    const DecodePipeline model = pipeline(with_microbatches(microbatches));
    Batch uneven = even(320, 16);
    for (std::size_t r = 0; r < 320; ++r) {
      uneven.sequences[r] = 8 + static_cast<int>(r % 9);
      uneven.kv_tokens[r] = uneven.sequences[r] * 4096;
    }
    EXPECT_GT(model.iteration(uneven).duration, model.iteration(even(320, 8)).duration);
    EXPECT_LE(model.iteration(uneven).duration,
              model.iteration(even(320, 16)).duration * anomaly(microbatches));
  }
}

TEST(DecodeModel, DraftsCostAPassAndMoreTokens) {
  Seconds before = 0;
  for (const int drafts : {0, 1, 2, 4}) {
    ModelOptions options = with_microbatches(2);
    options.decode.draft_tokens = drafts;
    const DecodePipeline model = pipeline(options);
    const StepBreakdown step = model.breakdown(even(320, 16));
    EXPECT_GT(step.duration, before);
    before = step.duration;
    EXPECT_EQ(step.mtp > 0, drafts > 0);
    EXPECT_NEAR(step.dense_layers + step.moe_layers + step.mtp + step.head + step.host,
                step.duration, 1e-12);
  }
}

TEST(DecodeModel, ADraftNeedsAnMtpLayer) {
  Architecture plain = deepseek_r1();
  plain.mtp_layers = 0;
  ModelOptions options;
  EXPECT_THROW(make_decode(cloudmatrix(), plain, options, 320, 8), ConfigError);
  options.decode.draft_tokens = 0;
  const DecodePipeline model = make_decode(cloudmatrix(), plain, options, 320, 8);
  EXPECT_GT(model.iteration(even(320, 8)).duration, 0);
}

TEST(DecodeModel, CpuLaunchAddsAGraphForEachPass) {
  for (const int drafts : {0, 1, 3}) {
    for (const int microbatches : {1, 2}) {
      ModelOptions in_npu = with_microbatches(microbatches);
      in_npu.decode.draft_tokens = drafts;
      ModelOptions cpu = in_npu;
      cpu.decode.launch = Launch::kCpu;
      EXPECT_NEAR(time_of(cpu, even(320, 8)) - time_of(in_npu, even(320, 8)), (1 + drafts) * 0.7e-3,
                  1e-12);
    }
  }
}

TEST(DecodeModel, BetterPlacementIsNeverSlower) {
  for (const int ranks : {32, 144, 320}) {
    for (const int microbatches : {1, 2}) {
      Seconds before = 0;
      for (const Placement placement :
           {Placement::kBalanced, Placement::kEplb, Placement::kContiguous}) {
        ModelOptions options = with_microbatches(microbatches);
        options.experts.placement = placement;
        const Seconds now = time_of(options, even(ranks, 16));
        EXPECT_GE(now * anomaly(microbatches), before) << "EP" << ranks;
        before = now;
      }
    }
  }
}

TEST(DecodeModel, EveryMechanismHelps) {
  const Seconds published = time_of(with_microbatches(2), even(320, 48));
  const auto slower = [&](auto change) {
    ModelOptions options = with_microbatches(2);
    change(options);
    return time_of(options, even(320, 48)) > published;
  };
  EXPECT_TRUE(slower([](ModelOptions& o) { o.decode.exchange = ExchangeKind::kBasic; }));
  EXPECT_TRUE(slower([](ModelOptions& o) { o.decode.exchange = ExchangeKind::kTwoLevel; }));
  EXPECT_TRUE(slower([](ModelOptions& o) { o.decode.launch = Launch::kCpu; }));
  EXPECT_TRUE(slower([](ModelOptions& o) { o.decode.staleness = 1; }));
  EXPECT_TRUE(slower([](ModelOptions& o) { o.experts.skew = 1.5; }));
  EXPECT_TRUE(slower([](ModelOptions& o) { o.precision.experts = Precision::kBf16; }));
  EXPECT_TRUE(
      slower([](ModelOptions& o) { o.precision.attention_projections = Precision::kBf16; }));
  EXPECT_TRUE(slower([](ModelOptions& o) { o.precision.dispatch = Precision::kBf16; }));
}

TEST(DecodeModel, TakingACostAwayNeverSlows) {
  for (const int microbatches : {1, 2}) {
    const DecodePipeline model = pipeline(with_microbatches(microbatches));
    for (const int sequences : {2, 48}) {
      const StepBreakdown step = model.breakdown(even(320, sequences));
      const Seconds slack = (anomaly(microbatches) - 1) * step.duration;
      EXPECT_GT(step.losses.imbalance, -slack);
      EXPECT_GT(step.losses.communication, -slack);
      EXPECT_GT(step.losses.launch, -slack);
    }
  }
}

// P: 16 of 24 cube cores and 32 of 48 vector cores at 4,096 tokens; by its results fewer for less.
TEST(DecodePlan, DividesADieByTheContextOfTheDeployment) {
  const auto planned = [](double sequences, double context) {
    ModelOptions options;
    options.decode.planned_sequences = sequences;
    options.decode.planned_context = context;
    return pipeline(options).plan(even(320, 48));
  };
  EXPECT_EQ(planned(48, 4224).attention_aic, 16);
  EXPECT_EQ(planned(48, 4224).attention_aiv, 32);
  EXPECT_EQ(planned(64, 4224).attention_aic, 16);
  EXPECT_EQ(planned(56, 2176).attention_aic, 14);
  EXPECT_EQ(planned(64, 1536).attention_aic, 12);
  EXPECT_EQ(planned(4, 4224).microbatches, 1);
  EXPECT_EQ(planned(7.5, 4224).microbatches, 1);
  EXPECT_EQ(planned(8, 4224).microbatches, 2);
}

// A deployment of one sequence more is divided alike: its full batch takes little longer, and never
// less.
TEST(DecodePlan, DoesNotJumpWithTheBatchOfTheDeployment) {
  const auto full = [](int sequences) {
    ModelOptions options;
    options.decode.planned_sequences = sequences;
    options.decode.planned_context = 4224;
    const DecodePipeline model = pipeline(options);
    const Batch batch = even(320, sequences);
    return model.duration(batch, model.plan(batch));
  };
  Seconds before = full(8);
  for (int sequences = 10; sequences <= 80; sequences += 2) {
    const Seconds now = full(sequences);
    EXPECT_GT(now, before) << sequences;
    EXPECT_LT(now, 1.05 * before) << sequences;
    before = now;
  }
}

// Tuned on balanced experts: no division in pairs is faster then, and skewed experts get a pair
// more.
TEST(DecodePlan, IsTunedOnBalancedExperts) {
  ModelOptions options;
  options.experts.placement = Placement::kBalanced;
  const DecodePipeline balanced = pipeline(options), skewed = pipeline();
  const Batch full = even(320, static_cast<int>(kTunedSequences));
  const DecodePlan plan = balanced.plan(full);
  for (int aic = 2; aic < 24; aic += 2) {
    EXPECT_LE(balanced.duration(full, plan), balanced.duration(full, {2, aic, 2 * aic})) << aic;
  }
  EXPECT_EQ(skewed.plan(full).attention_aic, plan.attention_aic - 2);
  EXPECT_EQ(skewed.plan(full).attention_aiv, plan.attention_aiv - 4);
}

TEST(DecodePlan, TakesTheCoresItIsGiven) {
  ModelOptions options;
  options.decode.attention_aic = 9;
  EXPECT_EQ(pipeline(options).plan(even(320, 48)).attention_aiv, 18);
  options.decode.attention_aiv = 30;
  EXPECT_EQ(pipeline(options).plan(even(320, 48)).attention_aic, 9);
  EXPECT_EQ(pipeline(options).plan(even(320, 48)).attention_aiv, 30);
}

TEST(DecodePlan, StaysWhateverBatchComes) {
  const DecodePipeline model = pipeline();
  const DecodePlan full = model.plan(even(320, kMostSequences));
  for (const int sequences : {2, 9, 33}) {
    for (const std::int64_t context : {100, 4000, 60'000}) {
      const DecodePlan plan = model.plan(even(320, sequences, context));
      EXPECT_EQ(plan.microbatches, full.microbatches);
      EXPECT_EQ(plan.attention_aic, full.attention_aic);
    }
  }
}

// No cliffs: along the context and the batch a point lies within 1 % of the line through its
// neighbours; a little more where two microbatches get halves of an odd number of sequences.
TEST(DecodeModel, IsSmoothAlongContextAndBatch) {
  for (const int microbatches : {1, 2}) {
    const DecodePipeline model = pipeline(with_microbatches(microbatches));
    const auto check = [&](auto time, double low, double high, double step) {
      for (double at = low + step; at + step <= high; at += step) {
        const Seconds line = (time(at - step) + time(at + step)) / 2;
        EXPECT_NEAR(time(at) / line, 1, microbatches == 1 ? 0.01 : 0.011)
            << microbatches << " microbatches at " << at;
      }
    };
    check(
        [&](double octave) {
          return model.iteration(even(320, 16, std::llround(std::exp2(octave)))).duration;
        },
        9, 17, 0.0625);
    check([&](double n) { return model.iteration(even(320, static_cast<int>(n))).duration; }, 2, 64,
          1);
  }
}

// Exchanges that hold no cores: two microbatches take turns on all cores, and while one computes
// the other's rows are under way. A layer then takes as long as the operators of both, or as long
// as their exchanges, whichever is longer; in one microbatch it is the sum of all.
TEST(DecodeModel, ExchangesThatHoldNoCoresRunBesideTheOperators) {
  hw::Platform platform = cloudmatrix();
  platform.token_exchange.holds_cores = false;
  platform.token_exchange.saturating_aiv_cores = 1;
  const auto layer_of = [&](int microbatches, Seconds startup) {
    platform.token_exchange.startup = startup;
    ModelOptions options = with_microbatches(microbatches);
    options.experts.placement = Placement::kBalanced;
    const StepBreakdown step = pipeline(options, 320, platform).breakdown(even(320, 32));
    EXPECT_EQ(step.attention_aic, 24);
    Seconds compute = 0, exchange = 0;
    for (const OperatorTime& op : step.operators) {
      const bool sends = op.name == "Dispatch" || op.name == "Combine";
      EXPECT_EQ(op.track, sends && microbatches > 1 ? "stream 1" : "stream 0") << op.name;
      (sends ? exchange : compute) += op.duration;
    }
    return std::array{step.layer, compute, exchange};
  };
  const auto [whole, compute, exchange] = layer_of(1, 20e-6);
  EXPECT_NEAR(whole, compute + exchange, 1e-9);
  const auto [hidden, of_half, short_exchange] = layer_of(2, 20e-6);
  EXPECT_LT(short_exchange, of_half);
  EXPECT_NEAR(hidden / (2 * of_half), 1, 0.01);  // the first and last layer are not hidden
  const auto [bound, same, long_exchange] = layer_of(2, 2e-3);
  EXPECT_EQ(same, of_half);
  EXPECT_GT(bound, 2 * long_exchange);
  EXPECT_LT(bound, 2 * long_exchange + same);
}

TEST(DecodeModel, HostAndJitterTakeTheirTime) {
  ModelOptions options = with_microbatches(1);
  const Batch batch = even(320, 8);
  const StepBreakdown before = pipeline(options).breakdown(batch);
  EXPECT_EQ(before.losses.jitter, 0);
  hw::Platform platform = cloudmatrix();
  platform.host.step_gap = 2e-3;
  platform.token_exchange.jitter = 98e-6;
  const StepBreakdown now = pipeline(options, 320, platform).breakdown(batch);
  // 58 MoE layers and one of a draft, two barriers each.
  EXPECT_NEAR(now.duration - before.duration, 2e-3 + 59 * 2 * 98e-6, 1e-12);
  EXPECT_NEAR(now.host, 2e-3, 1e-15);
  EXPECT_NEAR(now.losses.jitter, 59 * 2 * 98e-6, 1e-12);
  EXPECT_NEAR(now.losses.launch - before.losses.launch, 2e-3, 1e-12);
}

TEST(DecodeModel, ABatchTooSmallToSplitRunsWhole) {
  const DecodePipeline one = pipeline(with_microbatches(1)), two = pipeline(with_microbatches(2));
  EXPECT_EQ(two.iteration(even(320, 1)).duration, one.iteration(even(320, 1)).duration);
  EXPECT_EQ(two.plan(even(320, 1)).microbatches, 1);
  EXPECT_EQ(two.plan(even(320, 2)).microbatches, 2);
}

// The plans met before must not matter: two models see the same batches in opposite order.
TEST(DecodeModel, IsAPureFunctionOfTheBatch) {
  std::vector<Batch> batches;
  for (const int sequences : {1, 3, 8, 17, 48}) {
    for (const std::int64_t context : {100, 1000, 3333, 50'000}) {
      batches.push_back(even(64, sequences, context));
      batches.back().sequences[5] += 2;
      batches.back().kv_tokens[9] += 12'345;
    }
  }
  const DecodePipeline forwards = pipeline({}, 64), backwards = pipeline({}, 64);
  std::vector<Seconds> first, second;
  for (auto it = batches.begin(); it != batches.end(); ++it) {
    first.push_back(forwards.iteration(*it).duration);
  }
  for (auto it = batches.rbegin(); it != batches.rend(); ++it) {
    second.insert(second.begin(), backwards.iteration(*it).duration);
  }
  EXPECT_EQ(first, second);
}

TEST(DecodeModel, MoreTokensOrContextAreNeverFaster) {
  for (const int microbatches : {1, 2, 3}) {
    const DecodePipeline model = pipeline(with_microbatches(microbatches));
    Seconds before = 0;
    for (int sequences = 1; sequences <= kMostSequences; ++sequences) {
      const Seconds now = model.iteration(even(320, sequences)).duration;
      EXPECT_GE(now, before) << microbatches << " microbatches, " << sequences << " sequences";
      before = now;
    }
    before = 0;
    for (std::int64_t context = 64; context < 100'000; context += context / 4) {
      const Seconds now = model.iteration(even(320, 32, context)).duration;
      EXPECT_GE(now, before) << microbatches << " microbatches, context " << context;
      before = now;
    }
  }
}

TEST(DecodeModel, MoreOfTheMachineIsNeverSlower) {
  const auto faster_or_same = [](auto change) {
    hw::Platform better = cloudmatrix();
    change(better);
    for (const int microbatches : {1, 2}) {
      const ModelOptions options = with_microbatches(microbatches);
      const DecodePipeline before = pipeline(options), after = pipeline(options, 320, better);
      for (const int sequences : {2, 16, 48}) {
        EXPECT_LE(after.iteration(even(320, sequences)).duration,
                  before.iteration(even(320, sequences)).duration * anomaly(microbatches));
      }
    }
  };
  faster_or_same([](hw::Platform& p) { p.die.hbm_bandwidth *= 1.5; });
  faster_or_same([](hw::Platform& p) { p.die.int8_peak *= 1.5; });
  faster_or_same([](hw::Platform& p) { p.die.bf16_peak *= 1.5; });
  faster_or_same([](hw::Platform& p) { p.ub.fabric.link_bandwidth *= 1.5; });
  faster_or_same([](hw::Platform& p) { p.ub.fabric.sub_planes += 2; });
  faster_or_same([](hw::Platform& p) { p.operators.operator_overhead /= 2; });
  faster_or_same([](hw::Platform& p) { p.token_exchange.message_interval /= 2; });
}

// One sequence of 64 tokens a die: weights stream and nothing else matters. Without launches and
// exchange half of the bandwidth takes twice the time.
TEST(DecodeModel, SmallBatchesStreamWeights) {
  hw::Platform half = cloudmatrix();
  half.die.hbm_bandwidth /= 2;
  const ModelOptions options = with_microbatches(1);
  const DecodePipeline full = pipeline(options), slow = pipeline(options, 320, half);
  const DecodePlan whole{1, 24, 48};
  const StepVariant streaming{.free_exchange = true, .free_launch = true};
  const Seconds time = full.duration(even(320, 1, 64), whole, streaming);
  EXPECT_NEAR(slow.duration(even(320, 1, 64), whole, streaming) / time, 2, 0.01);
  // 62 x 203.9 MB of attention, 0.1 GB of MTP projection, 3 x 396.4 MB, 59 x (3.7 + 44.0 MB) and
  // twice the head of 1,853 MB: 20.45 GB at 1.6 TB/s x 0.841 = 15.2 ms; rows and KV add little
  EXPECT_NEAR(time, 20.454e9 / (1.6e12 * 0.841), 0.03 * time);
}

// With all else free of it, a slower wire adds what it carries: with one microbatch, and wires so
// slow that they bind, so many times more time as the exchanges of 58 layers are on the wire.
TEST(DecodeModel, ASlowerWireAddsItsTime) {
  ModelOptions options = with_microbatches(1);
  options.decode.draft_tokens = 0;
  const DecodePipeline model = pipeline(options, 64);
  const DecodePlan whole{1, 24, 48};
  const auto batch = even(64, 8);
  const auto time = [&](double stretch) {
    return model.duration(batch, whole, {.balanced = true, .wire_stretch = stretch});
  };
  const coll::AnalyticNetwork network(cloudmatrix());
  const coll::ExchangeCost cost = coll::even_cost(network, {first_dies(64)});
  // The busiest port is a rank's own: 8 tokens, 9 copies with the shared expert's, 7,680 B there
  // and 14,336 B back.
  const double rows = std::max(8 * model.experts().copies(), model.experts().mean_rows(8 * 64));
  const Seconds wire = 58 * rows * (7680 + 14336) * cost.per_rank;
  EXPECT_NEAR((time(3000) - time(1000)) / (2000 * wire), 1, 0.15);
  EXPECT_EQ(model.stretched(batch, 1), model.iteration(batch).duration);
  EXPECT_GT(model.stretched(batch, 2), model.stretched(batch, 1.5));
}

// Four nodes of 16 ranks whose uplinks are a sixteenth as wide: a token goes once to each of the
// nodes that it needs, through the uplinks, and is forwarded inside.
TEST(DecodeModel, TwoLevelIsChargedForTheWayBetweenNodes) {
  hw::Platform thin = cloudmatrix();
  thin.ub.fabric.l2_chips_per_plane = 1;
  ModelOptions options = with_microbatches(1);
  options.decode.draft_tokens = 0;
  options.decode.exchange = ExchangeKind::kTwoLevel;
  const DecodePipeline model = pipeline(options, 64, thin);
  const auto time = [&](double stretch) {
    return model.duration(even(64, 8), {1, 24, 48}, {.balanced = true, .wire_stretch = stretch});
  };
  coll::ExchangeNetwork::Subgroups nodes(4), places(16);
  for (const std::int32_t die : first_dies(64)) {
    nodes[static_cast<std::size_t>(die / 16)].push_back(die);
    places[static_cast<std::size_t>(die % 16)].push_back(die);
  }
  const coll::AnalyticNetwork network(thin);
  const coll::ExchangeCost between = coll::even_cost(network, places);
  const coll::ExchangeCost inside = coll::even_cost(network, nodes);
  EXPECT_GT(between.per_mean, 10 * between.per_rank);
  // Of 4 drawn groups, 3 (1 - (3/4)^4) = 2.05 other nodes a token; 4/3 as many with its own.
  const double remote = 8 * 4 * (1 - std::pow(0.75, 4));
  const double rows = 8 * model.experts().copies();
  const Seconds wire = 58 * (7680 + 14336) *
                       (between.wire(remote, remote) +
                        inside.wire(rows, std::max(rows, model.experts().mean_rows(8 * 64))));
  EXPECT_NEAR((time(3000) - time(1000)) / (2000 * wire), 1, 0.1);
}

TEST(DecodeModel, RunsAnyGroup) {
  for (const int ranks : {1, 2, 8, 24, 48, 100, 144, 288, 320, 768}) {
    ModelOptions options;
    options.experts.placement = ranks == 144 ? Placement::kEplb : Placement::kBalanced;
    const DecodePipeline model = pipeline(options, ranks);
    for (const int sequences : {1, 2, 32}) {
      const DecodeIteration step = model.iteration(even(ranks, sequences));
      EXPECT_TRUE(std::isfinite(step.duration)) << "EP" << ranks;
      EXPECT_GT(step.duration, 1e-3) << "EP" << ranks;
      EXPECT_LT(step.duration, 2) << "EP" << ranks;
      EXPECT_EQ(step.bytes_per_die.ub > 0, ranks > 2) << "EP" << ranks;
    }
  }
}

TEST(DecodeModel, AnEmptyBatchTakesNoTimeAndIdleRanksNone) {
  const DecodePipeline model = pipeline();
  const DecodeIteration none = model.iteration(even(320, 0));
  EXPECT_EQ(none.duration, 0);
  EXPECT_EQ(none.bytes_per_die.hbm, 0);
  EXPECT_EQ(none.bytes_per_die.ub, 0);
  Batch one = even(320, 0);
  one.sequences[3] = 1;
  one.kv_tokens[3] = 4096;
  EXPECT_GT(model.iteration(one).duration, 0);
  EXPECT_LE(model.iteration(one).duration, model.iteration(even(320, 1)).duration);
}

// 10 sequences x 2 tokens x 9 rows x 318/320 off the package x 22,016 B, in 58 + 1 layers.
TEST(DecodeModel, CountsTheBytesOfTheExchange) {
  const DecodeIteration step = pipeline(with_microbatches(1)).iteration(even(320, 10));
  EXPECT_NEAR(static_cast<double>(step.bytes_per_die.ub), 59 * 180 * 318.0 / 320 * 22'016, 2);
}

}  // namespace
}  // namespace cmsim::model
