#include "src/run/mean_batch.hpp"

#include <gtest/gtest.h>

namespace cmsim::run {
namespace {

serve::DecodeStepEvent step(Seconds end, std::int64_t sequences, Tokens kv) {
  serve::DecodeStepEvent event;
  event.end = end;
  event.sequences = sequences;
  event.kv_tokens = kv;
  return event;
}

TEST(MeanBatch, AveragesTheStepsOfTheSteadyWindow) {
  MeanBatch batches;
  batches.on_decode_step(step(1, 10, 1000));
  batches.on_decode_step(step(2, 20, 3000));
  batches.on_decode_step(step(3, 40, 5000));
  batches.on_decode_step(step(4, 1, 1));
  // Ends in (1, 3]: (20 + 40) / 2 sequences, (3000 + 5000) / 2 tokens.
  const auto mean = batches.decode({.from = 1, .to = 3, .steady = true});
  ASSERT_TRUE(mean);
  EXPECT_DOUBLE_EQ(mean->sequences, 30);
  EXPECT_DOUBLE_EQ(mean->tokens, 4000);
  // No step ends in the window: all count. 71 / 4 sequences.
  EXPECT_DOUBLE_EQ(batches.decode({.from = 10, .to = 11, .steady = true})->sequences, 71.0 / 4);
  EXPECT_FALSE(batches.prefill({.from = 0, .to = 10, .steady = true}));
}

TEST(MeanBatch, KeepsCachedTokensOfPrefillApart) {
  MeanBatch batches;
  serve::PrefillBatchEvent event;
  event.end = 1;
  event.sequences = 2;
  event.new_tokens = 300;
  event.cached_tokens = 100;
  batches.on_prefill_batch(event);
  const auto mean = batches.prefill({.from = 0, .to = 2, .steady = true});
  ASSERT_TRUE(mean);
  EXPECT_DOUBLE_EQ(mean->tokens, 300);
  EXPECT_DOUBLE_EQ(mean->cached, 100);
}

}  // namespace
}  // namespace cmsim::run
