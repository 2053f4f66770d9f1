#include "cmsim/metrics/summary.hpp"

#include <gtest/gtest.h>

#include "tests/metrics/records.hpp"

namespace cmsim::metrics {
namespace {

using serve::Role;

/// Two requests: TTFT 4 s each; A: 11 tokens in 1 s -> TPOT 0.1 s; B: 21 tokens in 4 s -> 0.2 s.
Result two_requests(const SloSpec& slo) {
  Result result;
  result.records = {finished(0, 0, 11, 1), finished(1, 2, 21, 4)};
  summarize_requests(result, Role::kAll, slo, 10);
  return result;
}

TEST(Summarize, ThroughputCountsFromFirstSendToLastFinish) {
  const Result r = two_requests({"", 5, 1});
  EXPECT_DOUBLE_EQ(r.duration, 10);  // 0 -> 2 + 4 + 4
  EXPECT_EQ(r.total_input_tokens, 200);
  EXPECT_EQ(r.total_output_tokens, 32);
  EXPECT_DOUBLE_EQ(r.request_throughput, 2 / 10.0);
  EXPECT_DOUBLE_EQ(r.output_throughput, 32 / 10.0);
  EXPECT_DOUBLE_EQ(r.total_token_throughput, 232 / 10.0);
}

TEST(Summarize, LatenciesPerRequest) {
  const Result r = two_requests({"", 5, 1});
  EXPECT_DOUBLE_EQ(r.ttft_ms.mean, 4000);
  EXPECT_DOUBLE_EQ(r.tpot_ms.mean, 150);     // (100 + 200) / 2
  EXPECT_NEAR(r.tpot_ms.p99, 199, 1e-9);     // 100 + 0.99 * 100
  EXPECT_DOUBLE_EQ(r.e2el_ms.median, 6500);  // (5000 + 8000) / 2
}

TEST(Summarize, GoodputTakesOnlyRequestsThatKeepAllLimits) {
  const Result r = two_requests({"", 5, 0.16});  // B's 0.2 s is too slow
  EXPECT_DOUBLE_EQ(r.request_goodput, 1 / 10.0);
  EXPECT_DOUBLE_EQ(r.slo.share_ttft, 1);
  EXPECT_DOUBLE_EQ(r.slo.share_tpot, 0.5);
  EXPECT_DOUBLE_EQ(r.slo.share_both, 0.5);
  EXPECT_TRUE(r.slo.met_on_mean);  // mean TPOT 0.15 <= 0.16
  EXPECT_FALSE(r.slo.met_at_p99);  // nearest rank p99 = 0.2
}

TEST(Summarize, OneTokenHasNoTpotAndKeepsItsLimit) {
  Result result;
  result.records = {finished(0, 0, 1, 0)};
  summarize_requests(result, Role::kAll, {"", 5, 1e-6}, 4);
  EXPECT_EQ(result.tpot_ms.count, 0);
  EXPECT_DOUBLE_EQ(result.slo.share_both, 1);
  EXPECT_TRUE(result.slo.met_at_p99);
}

TEST(Summarize, RejectedRequestsCountAgainstTheSlo) {
  Result result;
  result.records = {finished(0, 0, 11, 1), rejected(1, 0), left_waiting(2, 0)};
  result.partial = true;
  summarize_requests(result, Role::kAll, {"", 5, 1}, 8);
  EXPECT_EQ(result.requests.total, 3);
  EXPECT_EQ(result.requests.finished, 1);
  EXPECT_EQ(result.requests.rejected, 1);
  EXPECT_EQ(result.requests.unfinished, 1);
  ASSERT_EQ(result.requests.not_finished.size(), 2u);  // one reason each
  EXPECT_DOUBLE_EQ(result.slo.share_both, 0.5);        // of the two that ended
  EXPECT_DOUBLE_EQ(result.duration, 8);                // a partial run lasts until it was ended
}

TEST(Summarize, AStaggeredFirstPopulationHasNoLatencies) {
  Result result;
  result.records = {finished(0, 0, 11, 1), finished(1, 0, 11, 5)};
  result.records[1].initial_tokens = 4;
  summarize_requests(result, Role::kDecodeOnly, {"", 5, 1}, 9);
  EXPECT_EQ(result.tpot_ms.count, 1);
  EXPECT_EQ(result.total_output_tokens, 11 + 7);  // what this run has made
}

TEST(Summarize, OneRoleMeasuresItsSteadyWindow) {
  // Sent at 0, 6 and 30, ended at 5, 15 and 39: the arrival window is 30 s, the steady one begins
  // min(p90 latency, 30 / 3) = 9 s later (of 5, 9, 9) and ends at 30.
  Result result;
  result.records = {finished(0, 0, 11, 1), finished(1, 6, 11, 5), finished(2, 30, 11, 5)};
  Result all;
  all.records = result.records;
  summarize_requests(result, Role::kDecodeOnly, {"", 5, 1}, 39);
  EXPECT_DOUBLE_EQ(result.steady.from, 9);
  EXPECT_EQ(result.tpot_ms.count, 1);  // the one that ended at 15
  EXPECT_DOUBLE_EQ(result.tpot_ms.mean, 500);
  EXPECT_DOUBLE_EQ(result.request_goodput, 1 / (30 - 9.0));
  EXPECT_EQ(result.requests.finished, 3);
  summarize_requests(all, Role::kAll, {"", 5, 1}, 39);
  EXPECT_EQ(all.tpot_ms.count, 3);
}

TEST(Summarize, PrefillAloneMakesOneTokenAndHasNoTpot) {
  Result result;
  serve::RequestRecord r = finished(0, 0, 11, 1);
  r.transfer_start = r.transfer_end = r.decode_start = -1;
  r.first_token = r.finished = r.prefill_end;
  result.records = {r};
  summarize_requests(result, Role::kPrefillOnly, {"", 5, 1e-6}, 4);
  EXPECT_EQ(result.total_output_tokens, 1);
  EXPECT_DOUBLE_EQ(result.ttft_ms.mean, 3500);  // 1 + 0.5 + 2 s
  EXPECT_EQ(result.tpot_ms.count, 0);
  EXPECT_DOUBLE_EQ(result.slo.share_tpot, 1);
  ASSERT_EQ(result.phases.size(), 4u);  // queue, cache read, batch wait (none), prefill
  EXPECT_EQ(result.slowest_phase, "prefill");
}

TEST(Summarize, NamesTheSlowestPhaseByItsSum) {
  const Result r = two_requests({"", 5, 1});  // decode 1 + 4 s, prefill 2 + 2 s
  EXPECT_EQ(r.slowest_phase, "decode");
  double share = 0;
  for (const PhaseResult& phase : r.phases) share += phase.share;
  EXPECT_DOUBLE_EQ(share, 1);  // phases add up to latency
  EXPECT_DOUBLE_EQ(r.phases.back().ms.mean, 2500);
  EXPECT_DOUBLE_EQ(r.phases.back().share, 5 / 13.0);  // of 5 + 8 s
}

TEST(Itl, PoolsTheGapsOfEverySequence) {
  // Step 1 [0, 1]: 4 begin. Step 2 [1, 3]: those 4 go on, gap 2 s each. Step 3 [3, 4]: 2 go on, gap
  // 1 s, 1 joins. Step 4 [6, 7] after an idle time: a new request, no gap.
  const std::vector<StepSample> steps{
      {0, 1, -1, 0, 4, 0, 4}, {1, 3, 1, 0, 4, 4, 4}, {3, 4, 3, 0, 3, 2, 3}, {6, 7, -1, 0, 1, 0, 1}};
  const Distribution itl = pooled_itl_ms(steps, {0, 100, true});
  EXPECT_EQ(itl.count, 6);
  EXPECT_DOUBLE_EQ(itl.mean, (4 * 2000 + 2 * 1000) / 6.0);
  EXPECT_EQ(pooled_itl_ms(steps, {1, 3, true}).count, 4);  // step 2 alone
  EXPECT_DOUBLE_EQ(itl.median, 2000);                      // 1000 1000 2000 2000 2000 2000
}

TEST(SteadyRates, CountOnlyWhatHappensInTheWindow) {
  // 10 tokens over [0, 2], window [1, 3]: half of them; 6 over [2, 3]: all.
  const std::vector<StepSample> steps{{0, 2, -1, 0, 5, 0, 10}, {2, 3, 2, 0, 5, 5, 6}};
  EXPECT_DOUBLE_EQ(output_rate(steps, {1, 3, true}), (5 + 6) / 2.0);
  // 100 prompt tokens over prefill [1.5, 3.5]; window [2.5, 4.5] has half of it.
  const std::vector<serve::RequestRecord> records{finished(0, 0, 2, 1)};
  EXPECT_DOUBLE_EQ(prompt_rate(records, {2.5, 4.5, true}), 50 / 2.0);
}

}  // namespace
}  // namespace cmsim::metrics
