#include "cmsim/model/prefill_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "cmsim/hw/platform.hpp"
#include "src/model/prefill_step.hpp"
#include "tests/model/places.hpp"
#include "tests/model/published.hpp"

namespace cmsim::model {
namespace {

using Sequences = std::vector<PrefillSequence>;

Sequences prompts(int count, Tokens fresh, Tokens cached = 0) {
  return Sequences(static_cast<std::size_t>(count), {fresh, cached});
}

ModelOptions prefill_in(int microbatches) {
  ModelOptions options;
  options.prefill.microbatches = microbatches;
  return options;
}

PrefillPipeline prefill(const ModelOptions& options = {}, int ranks = 32,
                        const hw::Platform& platform = cloudmatrix()) {
  return make_prefill(platform, deepseek_r1(), options, ranks, 1024);
}

hw::Platform without_host() {
  hw::Platform platform = cloudmatrix();
  platform.host = {};
  return platform;
}

Seconds prefill_time(const ModelOptions& options, const Sequences& batch, int ranks = 32) {
  return prefill(options, ranks).batch({batch}).duration;
}

// What is remembered from other batches (and dropped after 16,384 of them) is no part of the
// answer.
TEST(PrefillModel, ABatchTakesAsLongAfterOthersAsAlone) {
  const PrefillPipeline used = prefill();
  const std::vector<Sequences> batches{prompts(4, 4096), prompts(4, 4096, 512), prompts(8, 2048),
                                       prompts(1, 100)};
  for (int round = 0; round < 2; ++round) {
    for (const Sequences& batch : batches) {
      const PrefillIteration alone = prefill().batch({batch});
      EXPECT_EQ(used.batch({batch}).duration, alone.duration);
      EXPECT_EQ(used.batch({batch}).bytes_per_die.hbm, alone.bytes_per_die.hbm);
      EXPECT_EQ(used.batch({batch}).bytes_per_die.ub, alone.bytes_per_die.ub);
    }
    if (round == 0) {
      for (Tokens tokens = 1; tokens <= 17'000; ++tokens) used.batch({prompts(1, tokens)});
    }
  }
}

const Operator& named(const PrefillStep& step, const std::string& name) {
  return *std::ranges::find_if(step.chain(), [&](const Operator& op) { return op.name == name; });
}

// Four nodes of eight H800, 512 tokens each in two microbatches, balanced experts. Of the 3/4 of
// 2.934 domains that are others a token goes to each once, over a port of 50 GB/s at 95 %; its 8
// rows and its copies of the shared expert's, which stay, go on over NVLink at 153 GB/s to 7 of 8
// ranks.
TEST(PrefillModel, BetweenDomainsATokenGoesOnceAndIsForwarded) {
  const hw::Platform h800 = hw::load_platform(CMSIM_SOURCE_DIR "/platforms/h800.json");
  ModelOptions options = prefill_in(2);
  options.experts.placement = Placement::kBalanced;
  options.prefill.attention_tp = 1;
  const auto wire_of = [&](PrefillExchange exchange, const char* name) {
    options.prefill.exchange = exchange;
    const PrefillPipeline model = prefill(options, 32, h800);
    const PrefillStep step(model, 0, prompt_load(prompts(32, 512)), 2, {});
    return named(step, name).cost.compute;
  };
  const double remote = 0.75 * expected_domains(deepseek_r1(), 8, 4);
  const Seconds between = 256 * remote * 7680 / (0.95 * 50e9), inside = 256 * 7 * 7680 / 153e9;
  EXPECT_GT(between, inside);
  EXPECT_NEAR(wire_of(PrefillExchange::kTwoLevel, "DispatchA2A"), between, 1e-9);
  EXPECT_NEAR(wire_of(PrefillExchange::kAuto, "DispatchA2A"), between, 1e-9);
  EXPECT_NEAR(wire_of(PrefillExchange::kTwoLevel, "CombineA2A"), between * 14336 / 7680, 1e-9);
  EXPECT_NEAR(wire_of(PrefillExchange::kFlat, "DispatchA2A"), 256 * 6 * 7680 / (0.95 * 50e9), 1e-9);
}

// 24 of 132 SMs move rows while two microbatches overlap.
TEST(PrefillModel, CoresThatMoveRowsComputeNothing) {
  const hw::Platform h800 = hw::load_platform(CMSIM_SOURCE_DIR "/platforms/h800.json");
  const auto compute_of = [&](int microbatches) {
    const PrefillPipeline model = prefill({}, 32, h800);
    const PrefillStep step(model, 0, prompt_load(prompts(32, 512 * microbatches)), microbatches,
                           {});
    return named(step, "OProj").cost.compute;
  };
  EXPECT_NEAR(compute_of(2), compute_of(1) * 132 / 108, 1e-12);
}

// One microbatch, no drafts, balanced experts, 32 ranks, four prompts of 4,096 tokens: 512 tokens a
// rank. TP over 32 ranks: 4 heads a rank, all 16,384 tokens. Each rank sends 512 x 8 rows, receives
// as many and computes 512 more for its own copy of the shared expert. Query-key pairs: 4 x 4096 x
// (4096 + 128) / 2, diagonal tiles of 128 being computed whole.
TEST(PrefillModel, OneStreamIsTheSumOfItsOperators) {
  ModelOptions options = prefill_in(1);
  options.decode.draft_tokens = 0;
  options.experts.placement = Placement::kBalanced;
  const hw::Platform platform = without_host();
  const OperatorList list(deepseek_r1(), {});
  const Device device(platform);
  const auto alone = [&](const OperatorWork& work) {
    return device.cost(work, 1).alone(device.hbm_bandwidth());
  };
  // 14 of 32 peers in the node at 137 GB/s, 16 outside at 135 GB/s; 10 us of SDMA and 2.1 of path.
  const auto wire = [&](double bytes) {
    const Seconds on_wire = bytes * (14.0 / 32 / 137e9 + 16.0 / 32 / 135e9);
    return std::max(on_wire, 2 * bytes * 30.0 / 32 / device.hbm_bandwidth()) + 12.1e-6;
  };
  const double all = 16'384, own = 512, rows = 512 * 8;
  const double pairs = 4 * 4096.0 * (4096 + 128) / 2;
  const Seconds attention =
      alone(list.prefill_norm(own)) + alone(list.prefill_down_projection(own)) + wire(all * 4'224) +
      alone(list.prefill_head_projection(all, all, 4)) + alone(list.prefill_rope(all, all, 4)) +
      alone(list.prefill_attention(pairs, all, all, 4)) + wire(all * 4 * 128 * 2) +
      alone(list.prefill_quantise_attention(own, 128)) + alone(list.prefill_o_proj(own, 128));
  const Seconds experts =
      alone(list.prefill_post_norm(own)) + alone(list.dispatch_pack(rows)) + wire(rows * 7'680) +
      alone(list.dispatch_unpack(rows)) + alone(list.expert_up(rows + own, 10)) +
      alone(list.expert_activation(rows + own)) + alone(list.expert_down(rows + own, 10)) +
      alone(list.combine_pack(rows)) + wire(rows * 14'336) + alone(list.combine_reduce(own, rows));
  const Seconds expected =
      61 * attention + 3 * alone(list.dense_ffn(own)) + 58 * experts + alone(list.lm_head(1));
  const PrefillIteration step = prefill(options, 32, platform).batch({prompts(4, 4096)});
  EXPECT_NEAR(step.duration / expected, 1, 1e-9);
  // 61 layers of the two collectives, 58 of the exchange, 30/32 off the package.
  EXPECT_NEAR(static_cast<double>(step.bytes_per_die.ub),
              30.0 / 32 * (61 * all * (4'224 + 4 * 128 * 2) + 58 * rows * 22'016), 2);
}

// The bytes are means over the ranks: hot experts move no more rows, they move them unevenly, and
// cold ones that get none are not read.
TEST(PrefillModel, CountsMeanBytes) {
  ModelOptions balanced = prefill_in(1), hot = balanced;
  balanced.experts.placement = Placement::kBalanced;
  hot.experts.placement = Placement::kContiguous;
  const PrefillIteration even = prefill(balanced).batch({prompts(4, 4096)});
  const PrefillIteration uneven = prefill(hot).batch({prompts(4, 4096)});
  EXPECT_GT(uneven.duration, even.duration);
  EXPECT_EQ(uneven.bytes_per_die.ub, even.bytes_per_die.ub);
  EXPECT_LT(uneven.bytes_per_die.hbm, even.bytes_per_die.hbm);
  EXPECT_GT(uneven.bytes_per_die.hbm, 0.8 * even.bytes_per_die.hbm);
}

TEST(PrefillModel, MicrobatchesOverlapALargeBatch) {
  const Sequences large = prompts(32, 1024);
  const Seconds one = prefill_time(prefill_in(1), large);
  const Seconds two = prefill_time(prefill_in(2), large);
  EXPECT_LT(two, one);
  EXPECT_GT(two, 0.5 * one);  // at best all of one microbatch hides behind the other
}

// A few layers are simulated and their period repeated: as long as all 58 one by one, which is what
// a breakdown places before it fits them to the duration.
TEST(PrefillModel, ExtrapolatesTheLayersItDoesNotSimulate) {
  const hw::Platform platform = cloudmatrix();
  for (const int ranks : {16, 32, 64}) {
    for (const Placement placement : {Placement::kBalanced, Placement::kContiguous}) {
      ModelOptions options = prefill_in(2);
      options.experts.placement = placement;
      const PrefillPipeline model = prefill(options, ranks);
      const PrefillStep step(model, 0, prompt_load(prompts(4, 4096), true), 2, {});
      const Schedule all =
          schedule_chain(step.chain(), 2, 58, Device(platform).hbm_bandwidth(), Keep::kEnds);
      EXPECT_NEAR(step.moe_time() / all.makespan, 1, 1e-4) << "EP" << ranks;
    }
  }
}

TEST(PrefillModel, AutoIsTheFasterOfOneAndTwoMicrobatches) {
  const PrefillPipeline one = prefill(prefill_in(1)), two = prefill(prefill_in(2)),
                        either = prefill();
  for (const Tokens length : {16, 128, 1024, 4096}) {
    const Sequences batch = prompts(4, length, length / 2);
    // Chosen by the shape of the batch in half octaves: near the crossing it may be off a little.
    EXPECT_LE(either.batch({batch}).duration,
              1.02 * std::min(one.batch({batch}).duration, two.batch({batch}).duration))
        << length;
  }
}

TEST(PrefillModel, ABatchTooSmallToSplitRunsWhole) {
  // 63 tokens are under one for each of 32 ranks and 2 microbatches.
  EXPECT_EQ(prefill_time(prefill_in(2), prompts(1, 63)),
            prefill_time(prefill_in(1), prompts(1, 63)));
}

// Two microbatches take units first come, first served, which may lock them in a worse rhythm when
// a task gets shorter: 2.8 % at EP16.
TEST(PrefillModel, BetterPlacementIsNeverSlower) {
  for (const int ranks : {16, 32, 128}) {
    for (const int microbatches : {1, 2}) {
      Seconds before = 0;
      for (const Placement placement :
           {Placement::kBalanced, Placement::kEplb, Placement::kContiguous}) {
        ModelOptions options = prefill_in(microbatches);
        options.experts.placement = placement;
        const Seconds now = prefill_time(options, prompts(4, 4096), ranks);
        EXPECT_GE(now * (microbatches == 1 ? 1 : 1.03), before) << "EP" << ranks;
        before = now;
      }
    }
  }
}

TEST(PrefillModel, PackingSavesThePaddingOfUnevenPrompts) {
  ModelOptions padded = prefill_in(2);
  padded.prefill.sequence_packing = false;
  const Sequences uneven{{4096, 0}, {256, 0}, {256, 0}, {256, 0}};
  EXPECT_GT(prefill_time(padded, uneven), prefill_time(prefill_in(2), uneven));
  EXPECT_EQ(prefill_time(padded, prompts(4, 1024)), prefill_time(prefill_in(2), prompts(4, 1024)));
}

TEST(PrefillModel, CachedContextCostsLessThanComputingItButNotNothing) {
  const PrefillPipeline model = prefill(prefill_in(2));
  const Seconds fresh = model.batch({prompts(4, 2048)}).duration;
  const Seconds cached = model.batch({prompts(4, 2048, 2048)}).duration;
  EXPECT_GT(cached, fresh);
  EXPECT_LT(cached, model.batch({prompts(4, 4096)}).duration);
}

TEST(PrefillModel, MoreTokensAreNeverFaster) {
  for (const int microbatches : {1, 2}) {
    const PrefillPipeline model = prefill(prefill_in(microbatches));
    Seconds before = 0;
    for (Tokens length = 1; length < 20'000; length += 1 + length / 5) {
      const Seconds now = model.batch({prompts(2, length)}).duration;
      // First come first served on several units: Graham's anomalies.
      EXPECT_GE(now * (microbatches > 1 ? 1.003 : 1), before)
          << microbatches << " microbatches, 2 x " << length;
      before = now;
    }
  }
}

TEST(PrefillModel, MoreOfTheMachineIsNeverSlower) {
  const auto faster_or_same = [](auto change) {
    hw::Platform better = cloudmatrix();
    change(better);
    for (const int microbatches : {1, 2}) {
      const ModelOptions options = prefill_in(microbatches);
      const PrefillPipeline before = prefill(options), after = prefill(options, 32, better);
      for (const Tokens length : {64, 1024, 4096}) {
        EXPECT_LE(after.batch({prompts(4, length)}).duration,
                  before.batch({prompts(4, length)}).duration);
      }
    }
  };
  faster_or_same([](hw::Platform& p) { p.die.hbm_bandwidth *= 1.5; });
  faster_or_same([](hw::Platform& p) { p.die.int8_peak *= 1.5; });
  faster_or_same([](hw::Platform& p) { p.die.bf16_peak *= 1.5; });
  faster_or_same([](hw::Platform& p) { p.ub.fabric.link_bandwidth *= 1.5; });
  faster_or_same([](hw::Platform& p) { p.operators.operator_overhead /= 2; });
}

TEST(PrefillModel, TakingACostAwayNeverSlows) {
  const StepLosses losses =
      prefill(prefill_in(2)).breakdown({.sequences = prompts(4, 4096)}).losses;
  EXPECT_GT(losses.imbalance, 0);
  EXPECT_GT(losses.communication, 0);
  EXPECT_GT(losses.launch, 0);
}

TEST(PrefillModel, TheHostTakesItsTimeForABatchAndItsCachedBlocks) {
  hw::Platform platform = without_host();
  const Sequences sequences = prompts(4, 2048, 2048);
  const PrefillBatch batch{sequences, 0, 64};  // 4 x 2,048 / 128
  const Seconds alone = prefill(prefill_in(2), 32, platform).batch(batch).duration;
  platform.host.prefill_batch = 50e-3;
  platform.host.cached_block = 0.25e-3;
  const PrefillPipeline model = prefill(prefill_in(2), 32, platform);
  EXPECT_NEAR(model.batch(batch).duration, alone + 50e-3 + 64 * 0.25e-3, 1e-12);
  EXPECT_NEAR(model.batch({sequences, 0, 0}).duration, alone + 50e-3, 1e-12);  // as remembered
  EXPECT_NEAR(model.stretched(batch, 1), alone + 66e-3, 1e-12);
  const StepBreakdown step = model.breakdown(batch);
  EXPECT_NEAR(step.duration, alone + 66e-3, 1e-12);
  EXPECT_NEAR(step.host, 66e-3, 1e-12);
  EXPECT_NEAR(step.host + step.dense_layers + step.moe_layers + step.head + step.mtp, step.duration,
              1e-12);
}

TEST(PrefillModel, IsAPureFunctionOfTheBatch) {
  std::vector<Sequences> batches;
  for (const Tokens length : {1, 60, 333, 1000, 5000}) {
    for (const Tokens cached : {0, 777, 20'000}) batches.push_back(prompts(3, length, cached));
  }
  const PrefillPipeline forwards = prefill(), backwards = prefill();
  std::vector<Seconds> first, second;
  for (auto it = batches.begin(); it != batches.end(); ++it) {
    first.push_back(forwards.batch({*it}).duration);
  }
  for (auto it = batches.rbegin(); it != batches.rend(); ++it) {
    second.insert(second.begin(), backwards.batch({*it}).duration);
  }
  EXPECT_EQ(first, second);
}

TEST(PrefillModel, DraftsAddTheMtpLayer) {
  ModelOptions plain = prefill_in(1);
  plain.decode.draft_tokens = 0;
  EXPECT_EQ(prefill(plain).breakdown({.sequences = prompts(4, 1024)}).mtp, 0);
  const StepBreakdown step = prefill(prefill_in(1)).breakdown({.sequences = prompts(4, 1024)});
  EXPECT_GT(step.mtp, step.layer);  // a layer and its projection
  EXPECT_NEAR(step.duration - prefill_time(plain, prompts(4, 1024)), step.mtp, 1e-12);
}

TEST(PrefillModel, RunsAnyGroup) {
  for (const int ranks : {1, 2, 8, 24, 48, 100, 144, 288, 320, 768}) {
    ModelOptions options;
    options.experts.placement = Placement::kBalanced;
    const PrefillPipeline model = prefill(options, ranks);
    for (const Tokens length : {1, 100, 4096}) {
      const PrefillIteration step = model.batch({prompts(2, length)});
      EXPECT_TRUE(std::isfinite(step.duration)) << "EP" << ranks;
      EXPECT_GT(step.duration, 1e-3) << "EP" << ranks;
      EXPECT_EQ(step.bytes_per_die.ub > 0, ranks > 2) << "EP" << ranks;
    }
  }
}

TEST(PrefillModel, NothingToComputeTakesNoTime) {
  EXPECT_EQ(prefill().batch({}).duration, 0);
  EXPECT_EQ(prefill().batch({prompts(3, 0, 1000)}).duration, 0);
}

TEST(PrefillModel, KeepsTheKvOfAllItsDies) {
  const PrefillPipeline model = prefill();
  EXPECT_EQ(model.kv_capacity(), 32 * model.memory().kv_tokens());
  EXPECT_GT(model.kv_capacity(), 0);
}

// Batches of the same wires: with those so slow that nothing else matters, time grows with them.
TEST(PrefillModel, ASlowerWireAddsItsTime) {
  const PrefillPipeline model = prefill();
  const Sequences sequences = prompts(16, 4096);
  const PrefillBatch batch{sequences, 0};
  EXPECT_EQ(model.stretched(batch, 1), model.batch(batch).duration);
  EXPECT_GT(model.stretched(batch, 2), model.stretched(batch, 1));
  const Seconds slow = model.stretched(batch, 2000) - model.stretched(batch, 1000);
  EXPECT_NEAR((model.stretched(batch, 3000) - model.stretched(batch, 2000)) / slow, 1, 1e-3);
}

}  // namespace
}  // namespace cmsim::model
