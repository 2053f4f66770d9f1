// Instances that compute prompts where they decode (colocated serving with chunked prefill).
#include <gtest/gtest.h>

#include "cmsim/base/error.hpp"
#include "tests/serve/harness.hpp"

namespace cmsim::serve::testing {
namespace {

/// Two ranks with two slots and a budget of 100 tokens each; a step takes 50 ms.
struct MixedHarness : Harness {
  MixedHarness() {
    config.role = Role::kMixed;
    config.deployment.decode.max_num_batched_tokens = 200;
  }
};

TEST(Mixed, APromptIsComputedInChunksAndSamplesItsFirstToken) {
  MixedHarness h;
  h.run({{1.0, 250, 3}});
  const RequestRecord& r = h.record(0);
  EXPECT_NEAR(r.prefill_start, 1.0, kTiny);
  EXPECT_NEAR(r.prefill_end, 1.15, kTiny);  // 100, 100 and 50 tokens
  EXPECT_NEAR(r.first_token, 1.15, kTiny);
  EXPECT_NEAR(r.decode_start, 1.15, kTiny);
  EXPECT_NEAR(r.finished, 1.25, kTiny);  // two more steps for two more tokens
  EXPECT_EQ(r.iterations, 2);
  EXPECT_EQ(r.prefill_instance, -1);
  EXPECT_LT(r.transfer_start, 0);
  EXPECT_TRUE(h.seen.transfers.empty());
  ASSERT_EQ(h.seen.steps.size(), 5u);
  const std::vector<Tokens> chunks{100, 100, 50, 0, 0}, before{0, 100, 200, 0, 0},
      emitted{0, 0, 1, 1, 1}, gaps{0, 0, 0, 1, 1};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(h.seen.steps[i].prompt_tokens, chunks[i]) << i;
    EXPECT_EQ(h.seen.steps[i].prompt_context, before[i]) << i;
    EXPECT_EQ(h.seen.steps[i].tokens, emitted[i]) << i;
    EXPECT_EQ(h.seen.steps[i].continuing, gaps[i]) << i;
  }
  EXPECT_EQ(h.decode.prompts[1][0].pairs,
            model::prompt_load(std::array{model::PrefillSequence{100, 100}}).pairs);
}

TEST(Mixed, OneTokenOfOutputNeedsNoDecode) {
  MixedHarness h;
  h.run({{0, 100, 1}});
  EXPECT_NEAR(h.record(0).finished, 0.05, kTiny);
  EXPECT_EQ(h.record(0).iterations, 0);
  EXPECT_EQ(h.seen.steps.size(), 1u);
  EXPECT_EQ(h.totals.decode_kv_reserved, 100);
  EXPECT_EQ(h.totals.decode_kv_released, 100);
}

// Three requests on two ranks: the third shares a rank with the second, which takes one token of
// the budget of each step when it decodes.
TEST(Mixed, SequencesComeFirst) {
  MixedHarness h;
  h.run({{0, 100, 10}, {0, 1, 20}, {0.06, 150, 1}});
  EXPECT_EQ(h.record(0).decode_rank, 0);
  EXPECT_EQ(h.record(1).decode_rank, 1);
  EXPECT_EQ(h.record(2).decode_rank, 1);
  EXPECT_NEAR(h.record(2).prefill_start, 0.1, kTiny);
  std::vector<Tokens> chunks;
  for (const DecodeStepEvent& step : h.seen.steps) chunks.push_back(step.prompt_tokens);
  chunks.resize(5);
  EXPECT_EQ(chunks, (std::vector<Tokens>{101, 0, 99, 51, 0}));
  EXPECT_NEAR(h.record(2).finished, 0.2, kTiny);
}

TEST(Mixed, APromptThatWasBegunGoesOnBeforeAShorterOne) {
  MixedHarness h;
  h.config.deployment.decode = {1, 1, 2, 8};
  h.config.deployment.decode.max_num_batched_tokens = 200;
  h.policies = policies_with({{"prefill_batching", {"shortest_first"}}});
  // Even and odd rows take turns on the ranks; 0.01 s later the short ones come.
  h.run({{0, 150, 1}, {0, 150, 1}, {0.01, 60, 1}, {0.01, 60, 1}, {0.01, 30, 1}, {0.01, 30, 1}});
  EXPECT_NEAR(h.record(0).finished, 0.1, kTiny);   // 100, 50
  EXPECT_NEAR(h.record(4).finished, 0.1, kTiny);   // 30 in the 50 that are left
  EXPECT_NEAR(h.record(2).finished, 0.15, kTiny);  // 20, 40
}

TEST(Mixed, CachedBlocksAreReadFirstAndOnlyTheRestIsComputed) {
  MixedHarness h;
  h.config.deployment.cache.enabled = true;
  h.run({{0, 200, 1, {1, 2}}, {10.0, 250, 1, {1, 2}}});
  const RequestRecord& r = h.record(1);
  EXPECT_EQ(r.cached_tokens, 200);
  EXPECT_NEAR(r.cache_read_start, 10.0, kTiny);
  EXPECT_NEAR(r.cache_read_end, 10.01, kTiny);  // two blocks at a time, 100,000 B each / 10 MB/s
  EXPECT_NEAR(r.prefill_start, 10.01, kTiny);
  EXPECT_EQ(h.seen.steps.back().prompt_tokens, 50);
  EXPECT_EQ(h.seen.steps.back().prompt_context, 200);
}

// 100 tokens of KV a rank: two requests of 60 and 30 that grow by 10 each exceed it after six
// tokens, and who joined last is computed anew, over 30 and what it had generated.
TEST(Mixed, ThePreemptedAreComputedAgainWhereTheyDecode) {
  MixedHarness h;
  h.decode.capacity = 100;
  h.config.deployment.decode = {1, 1, 2, 4};
  h.config.deployment.decode.max_num_batched_tokens = 200;
  h.policies = policies_with({{"decode_admission", {"kv_headroom", {{"headroom", 0}}}}});
  h.run({{0, 60, 20}, {0, 60, 20}, {0.001, 30, 20}, {0.001, 30, 20}});
  const RequestRecord& r = h.record(2);
  EXPECT_EQ(r.outcome, Outcome::kFinished);
  EXPECT_EQ(r.preemptions, 1);
  EXPECT_NEAR(r.first_token, 0.1, kTiny);  // stays
  EXPECT_GT(r.finished, h.record(0).finished);
  std::int64_t emitted = 0;
  for (const DecodeStepEvent& step : h.seen.steps) emitted += step.tokens;
  EXPECT_EQ(emitted, 80);
}

TEST(Mixed, ThePopulationOfTheStartHasItsKv) {
  MixedHarness h;
  h.progress = {0.5};
  h.run({{0, 100, 10}});
  EXPECT_EQ(h.record(0).initial_tokens, 5);
  EXPECT_EQ(h.seen.steps.size(), 5u);
  for (const DecodeStepEvent& step : h.seen.steps) EXPECT_EQ(step.prompt_tokens, 0);
}

// A tenth of four iterations is none: it comes like any other.
TEST(Mixed, OneOfThePopulationWithoutATokenComputesItsPrompt) {
  MixedHarness h;
  h.progress = {0.1};
  h.run({{0, 100, 4}});
  EXPECT_EQ(h.record(0).initial_tokens, 0);
  EXPECT_EQ(h.record(0).iterations, 3);
  EXPECT_EQ(h.record(0).first_token, h.record(0).prefill_end);
}

TEST(Mixed, APolicyThatNamesNoPromptIsToldOf) {
  MixedHarness h;
  class Never : public Policy<PrefillBatching> {
    std::optional<std::size_t> decide(const View& view) override {
      EXPECT_EQ(view.rank, 0);
      EXPECT_EQ(view.npus, 0.5);
      EXPECT_EQ(view.budget, 100);
      return std::nullopt;
    }
  };
  h.policies.get<PrefillBatching>() = {"never", std::make_unique<Never>()};
  EXPECT_THROW(h.run({{0, 100, 1}}), SimulationError);
}

}  // namespace
}  // namespace cmsim::serve::testing
