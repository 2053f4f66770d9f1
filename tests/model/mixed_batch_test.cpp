// Prompts that ranks compute beside their sequences (chunked prefill).
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/model/places.hpp"
#include "tests/model/published.hpp"

namespace cmsim::model {
namespace {

constexpr std::size_t kRanks = 32;

ModelOptions mixed_options() {
  ModelOptions options;
  options.decode.microbatches = 1;
  options.decode.draft_tokens = 0;
  options.decode.most_tokens = 2048;
  return options;
}

struct Mixed {
  std::vector<std::int32_t> sequences = std::vector<std::int32_t>(kRanks, 8);
  std::vector<std::int64_t> kv_tokens = std::vector<std::int64_t>(kRanks, 8 * 4096);
  std::vector<PromptLoad> prompts = std::vector<PromptLoad>(kRanks);

  Mixed& with(std::size_t rank, Tokens tokens, Tokens cached = 0) {
    prompts[rank] = prompt_load(std::array{PrefillSequence{tokens, cached}});
    return *this;
  }
  DecodeBatch batch() const { return {sequences, kv_tokens, 0, prompts}; }
};

const DecodePipeline& mixed_model() {
  static const DecodePipeline model =
      make_decode(cloudmatrix(), deepseek_r1(), mixed_options(), static_cast<int>(kRanks), 64);
  return model;
}

Seconds time_of(const Mixed& mixed) { return mixed_model().iteration(mixed.batch()).duration; }

TEST(MixedBatch, WithoutPromptsIsADecodeBatch) {
  const Mixed none;
  const DecodeBatch decode{none.sequences, none.kv_tokens};
  EXPECT_EQ(time_of(none), mixed_model().iteration(decode).duration);
  EXPECT_EQ(mixed_model().iteration(none.batch()).bytes_per_die.hbm,
            mixed_model().iteration(decode).bytes_per_die.hbm);
}

// 512 tokens that see 1,000 before them, expanded to 128 heads of 192 and 128 values: 2 x 128 x 320
// operations for each pair, of which there are 512 x 1000 and half of 512 x (512 + 128), for tiles
// on the diagonal are computed whole.
TEST(MixedBatch, APromptAttendsAsInPrefill) {
  const StepBreakdown step = mixed_model().breakdown(Mixed().with(3, 512, 1000).batch());
  const double pairs = 512 * 1000.0 + 512 * (512 + 128) / 2.0;
  EXPECT_DOUBLE_EQ(op_of(step, "PromptAttention").work.attention_ops, 2 * 128 * 320 * pairs);
}

// The projection to the output has read its 16384 x 7168 weights for the sequences: of the prompt,
// 16,384 values of a token are quantised (2 B read, 1 written), read in INT8, and 7,168 written.
TEST(MixedBatch, WeightsOfSharedProjectionsAreReadOnce) {
  const StepBreakdown step = mixed_model().breakdown(Mixed().with(3, 512).batch());
  EXPECT_DOUBLE_EQ(op_of(step, "PromptOProj").hbm_bytes, 512 * (16384 * (3.0 + 1) + 7168 * 2));
  Mixed alone;
  alone.sequences.assign(kRanks, 0);
  alone.kv_tokens.assign(kRanks, 0);
  EXPECT_DOUBLE_EQ(
      op_of(mixed_model().breakdown(alone.with(3, 512).batch()), "PromptOProj").hbm_bytes,
      512 * (16384 * (3.0 + 1) + 7168 * 2) + 16384 * 7168.0);
}

TEST(MixedBatch, AllRanksWaitForTheOneWithThePrompt) {
  const Seconds none = time_of({}), one = time_of(Mixed().with(0, 512));
  EXPECT_GT(one, none);
  EXPECT_EQ(one, time_of(Mixed().with(17, 512)));
  // Of two alike only the experts and exchanges have more to do.
  const Seconds two = time_of(Mixed().with(0, 512).with(17, 512));
  EXPECT_GT(two, one);
  EXPECT_LT(two - one, (one - none) / 4);
}

TEST(MixedBatch, MoreOfAPromptIsNeverFaster) {
  Seconds last = 0;
  for (const Tokens tokens : {0, 1, 64, 256, 512, 1024, 2000}) {
    const Seconds time = time_of(Mixed().with(5, tokens));
    EXPECT_GE(time, last) << tokens;
    last = time;
  }
  last = 0;
  for (const Tokens cached : {0, 1000, 8000, 64'000}) {
    const Seconds time = time_of(Mixed().with(5, 512, cached));
    EXPECT_GT(time, last) << cached;
    last = time;
  }
}

TEST(MixedBatch, ChunksOfAPromptTakeLongerThanItsWhole) {
  EXPECT_GT(time_of(Mixed().with(5, 512)) + time_of(Mixed().with(5, 512, 512)),
            time_of(Mixed().with(5, 1024)));
}

// Eight tokens of a rank are dispatched whosever they are.
TEST(MixedBatch, ATokenOfAPromptIsSentLikeAnother) {
  Mixed seven;
  seven.sequences.assign(kRanks, 7);
  for (std::size_t rank = 0; rank < kRanks; ++rank) seven.with(rank, 1);
  const DecodeIteration with = mixed_model().iteration(seven.batch());
  EXPECT_EQ(with.bytes_per_die.exchange,
            mixed_model().iteration(Mixed().batch()).bytes_per_die.exchange);
}

// One prompt of 640 tokens among 31 x 8 + 8 others: a token meets 640 of its own sequence with
// probability 640 / 896. The more alike, the fewer experts, and the more rows on the busiest rank.
TEST(MixedBatch, TokensOfAPromptAreRoutedAlike) {
  Mixed one, many;
  one.with(0, 640);
  for (std::size_t rank = 0; rank < kRanks; ++rank) many.with(rank, 20);
  const auto rows = [](const Mixed& mixed) {
    return op_of(mixed_model().breakdown(mixed.batch()), "MLP").work.int8_ops;
  };
  EXPECT_GT(rows(one), rows(many));
}

TEST(MixedBatch, TwoMicrobatchesHaveAHalfOfAPromptEach) {
  ModelOptions options = mixed_options();
  options.decode.microbatches = 2;
  const DecodePipeline model =
      make_decode(cloudmatrix(), deepseek_r1(), options, static_cast<int>(kRanks), 64);
  const StepBreakdown whole = mixed_model().breakdown(Mixed().with(3, 512).batch()),
                      halves = model.breakdown(Mixed().with(3, 512).batch());
  EXPECT_DOUBLE_EQ(op_of(halves, "PromptAttention").work.attention_ops,
                   op_of(whole, "PromptAttention").work.attention_ops / 2);
}

// Receive buffers are sized for the budget, where it is more than the sequences need.
TEST(MixedBatch, BuffersHoldTheBudget) {
  ModelOptions decode = mixed_options();
  decode.decode.most_tokens = 0;
  const auto buffers = [](const ModelOptions& options) {
    return DecodePipeline::plan_memory(cloudmatrix(), deepseek_r1(), options,
                                       static_cast<int>(kRanks), 64)
        .buffers;
  };
  EXPECT_DOUBLE_EQ(buffers(mixed_options()), buffers(decode) * 2048 / 64);
}

}  // namespace
}  // namespace cmsim::model
