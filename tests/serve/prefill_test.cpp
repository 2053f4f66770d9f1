// Forming of prefill batches: the token budget, chunks, KV space, arrivals of one date.

#include <gtest/gtest.h>

#include "tests/serve/harness.hpp"

namespace cmsim::serve::testing {
namespace {

Harness prefill_only() {
  Harness h;
  h.config.role = Role::kPrefillOnly;
  return h;
}

TEST(Prefill, RequestsOfOneDateShareABatchUnderTheBudget) {
  Harness h = prefill_only();  // budget: 1,000 tokens an NPU x 1
  h.run({{0, 400, 1}, {0, 500, 1}, {0, 200, 1}, {0, 100, 1}});
  // 400 + 500 = 900; 200 more would pass 1,000, and nobody overtakes: {400, 500}, then {200, 100}.
  ASSERT_EQ(h.seen.batches.size(), 2u);
  EXPECT_EQ(h.seen.batches[0].sequences, 2);
  EXPECT_EQ(h.seen.batches[0].new_tokens, 900);
  EXPECT_EQ(h.seen.batches[1].new_tokens, 300);
  EXPECT_NEAR(h.record(0).finished, 0.9, kTiny);
  EXPECT_NEAR(h.record(0).first_token, 0.9, kTiny);  // prefill alone ends with the first token
  EXPECT_NEAR(h.record(3).finished, 1.2, kTiny);
  EXPECT_EQ(h.record(3).transfer_start, -1);
}

TEST(Prefill, ALongPromptTakesChunksThatSeeWhatCameBefore) {
  Harness h = prefill_only();
  h.run({{0, 2300, 1}, {0, 500, 1}});
  // Chunks of 1,000, 1,000 and 300; the second request joins the last of them: 300 + 500 = 800.
  ASSERT_EQ(h.prefill.batches.size(), 3u);
  EXPECT_EQ(h.prefill.batches[0][0].new_tokens, 1000);
  EXPECT_EQ(h.prefill.batches[0][0].cached_tokens, 0);
  EXPECT_EQ(h.prefill.batches[1][0].cached_tokens, 1000);
  ASSERT_EQ(h.prefill.batches[2].size(), 2u);
  EXPECT_EQ(h.prefill.batches[2][0].new_tokens, 300);
  EXPECT_EQ(h.prefill.batches[2][0].cached_tokens, 2000);
  EXPECT_EQ(h.prefill.batches[2][1].new_tokens, 500);
  EXPECT_NEAR(h.record(0).prefill_start, 0.0, kTiny);
  EXPECT_NEAR(h.record(0).prefill_end, 2.8, kTiny);
  EXPECT_NEAR(h.record(1).prefill_start, 2.0, kTiny);
}

TEST(Prefill, RequestsThatArriveWhileABatchRunsFormTheNext) {
  Harness h = prefill_only();
  h.run({{0, 500, 1}, {0.1, 100, 1}, {0.4, 200, 1}});
  ASSERT_EQ(h.seen.batches.size(), 2u);
  EXPECT_NEAR(h.seen.batches[1].start, 0.5, kTiny);
  EXPECT_NEAR(h.seen.batches[1].end, 0.8, kTiny);  // 100 + 200 tokens
}

TEST(Prefill, AnInstanceTakesNoMoreThanItsKvSpace) {
  Harness h = prefill_only();
  h.prefill.capacity = 500;
  h.run({{0, 300, 1}, {0, 300, 1}});
  ASSERT_EQ(h.seen.batches.size(), 2u);  // 600 tokens would fit the budget, not the KV space
  EXPECT_NEAR(h.record(1).cache_read_start, 0.3, kTiny);
  EXPECT_EQ(h.totals.prefill_kv_reserved, 600);
  EXPECT_EQ(h.totals.prefill_kv_released, 600);
}

TEST(Prefill, KvStaysUntilItIsPulled) {
  // Whole system: the first KV leaves at 0.3 (prefill) + 0.3 (pull); only then the second is taken.
  Harness h;
  h.prefill.capacity = 500;
  h.run({{0, 300, 1}, {0, 300, 1}});
  EXPECT_NEAR(h.record(1).prefill_start, 0.6, kTiny);
}

TEST(Prefill, LeastLoadedRoutesByTokens) {
  Harness h = prefill_only();
  h.config.deployment.prefill.instances = 2;
  h.run({{0, 400, 1}, {0, 100, 1}, {0, 100, 1}, {0, 100, 1}, {0, 50, 1}});
  // 400 | 100, 200, 300 | 50: 300 < 400
  EXPECT_EQ(h.record(0).prefill_instance, 0);
  for (int id = 1; id <= 4; ++id) EXPECT_EQ(h.record(id).prefill_instance, 1) << id;
}

TEST(Prefill, ChunksStillToComeCountAsLoad) {
  Harness h = prefill_only();
  h.config.deployment.prefill.instances = 2;
  h.run({{0, 3000, 1}, {0.1, 1500, 1}, {0.2, 900, 1}});
  // At 0.2 instance 0 has 3,000 tokens in batches (1,000 of them running), instance 1 has 1,500.
  EXPECT_EQ(h.record(1).prefill_instance, 1);
  EXPECT_EQ(h.record(2).prefill_instance, 1);
}

TEST(Prefill, RoundRobinTakesTurns) {
  Harness h = prefill_only();
  h.config.deployment.prefill.instances = 2;
  h.policies = policies_with({{"prefill_routing", {"round_robin"}}});
  h.run({{0, 400, 1}, {0, 100, 1}, {0, 100, 1}});
  EXPECT_EQ(h.record(1).prefill_instance, 1);
  EXPECT_EQ(h.record(2).prefill_instance, 0);
}

TEST(Prefill, ClosedLoopSendsTheNextWhenOneEnds) {
  Harness h = prefill_only();
  h.config.concurrency = 2;
  h.config.closed_loop = true;
  h.run({{0, 100, 1}, {0, 100, 1}, {0, 100, 1}, {0, 300, 1}});
  // Two at a time: a batch of 200 ends at 0.2, the other two are sent then.
  EXPECT_NEAR(h.record(2).sent, 0.2, kTiny);
  EXPECT_NEAR(h.record(2).arrival, 0.2, kTiny);  // the trace has no arrival times
  EXPECT_NEAR(h.record(3).finished, 0.6, kTiny);
}

TEST(Prefill, AtMostSoManyInFlightTheOthersWaitAtTheClientFromTheirDueDateOn) {
  Harness h = prefill_only();
  h.config.concurrency = 1;
  h.run({{0, 100, 1}, {0.03, 100, 1}, {0.9, 100, 1}});
  EXPECT_NEAR(h.record(1).arrival, 0.03, kTiny);
  EXPECT_NEAR(h.record(1).sent, 0.1, kTiny);
  EXPECT_NEAR(h.record(2).sent, 0.9, kTiny);  // free at 0.2, due at 0.9
}

}  // namespace
}  // namespace cmsim::serve::testing
