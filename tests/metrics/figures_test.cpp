#include "cmsim/metrics/figures.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "tests/metrics/records.hpp"

namespace cmsim::metrics {
namespace {

using serve::RequestRecord;
using serve::Role;

SystemFacts facts_with(const SloSpec& slo, Role role = Role::kAll) {
  SystemFacts facts;
  facts.role = role;
  facts.deployment.prefill = {2, 4, 8, 1000};  // 2 instances x 4 NPUs, 4,000 tokens a batch
  facts.deployment.decode = {1, 5, 10, 8};     // 40 slots
  facts.hbm_bandwidth = 1e9;
  facts.decode_kv_per_die = 100;
  facts.slo = slo;
  return facts;
}

struct Made {
  std::vector<RequestRecord> records;
  std::vector<Iteration> batches, steps;
  Timeline timeline;
  std::vector<StepExperts> step_experts;
  std::vector<serve::RebalancingEvent> rebalancings;

  Figures figures(Seconds from, Seconds to, const SystemFacts& facts, const Cohort& cohort = {}) {
    timeline.close(10);
    return figures_of({records, batches, steps, timeline, {}, {}, step_experts, rebalancings},
                      facts, from, to, cohort);
  }
};

/// TTFT 4 s each; A, sent at 0: 11 tokens in 1 s -> TPOT 0.1 s; B, sent at 2: 21 in 4 s -> 0.2 s.
Made two_requests() {
  Made run;
  run.records = {finished(0, 0, 11, 1), finished(1, 2, 21, 4)};
  run.timeline.set({.at = 0});
  return run;
}

TEST(Figures, LatenciesPerRequest) {
  const Figures f = two_requests().figures(0, 10, facts_with({"", 5, 1}));
  EXPECT_DOUBLE_EQ(f.ttft_ms.mean, 4000);
  EXPECT_DOUBLE_EQ(f.tpot_ms.mean, 150);     // (100 + 200) / 2
  EXPECT_NEAR(f.tpot_ms.p99, 199, 1e-9);     // 100 + 0.99 * 100
  EXPECT_DOUBLE_EQ(f.e2el_ms.median, 6500);  // (5000 + 8000) / 2
  EXPECT_DOUBLE_EQ(f.request_throughput, 2 / 10.0);
}

// Steps of 2 s end at 2, 4 and 6, of which the second and the third wait 0.4 and 0.2 s for a move
// that ends at 6. In (3, 10] there are half of the second and the third: 0.2 + 0.2 s of 3; two end.
TEST(Figures, MovesOfExpertsAreOfThePartTheyEndIn) {
  Made run = two_requests();
  for (const Seconds start : {0, 2, 4}) {
    run.steps.push_back({.start = start, .end = start + 2, .sequences = 1});
  }
  run.step_experts = {{0, 8, 0.5}, {0.4, 10, 0.6}, {0.2, 7, 0.8}};
  run.rebalancings = {{.start = 2, .end = 6, .instance = 0, .experts = 3, .bytes = 300}};
  SystemFacts facts = facts_with({"", 5, 1});
  EXPECT_FALSE(run.figures(3, 10, facts).decode->rebalancing);
  facts.drifts = true;
  const RebalancingResult late = *run.figures(3, 10, facts).decode->rebalancing;
  EXPECT_EQ(late.count, 1);
  EXPECT_EQ(late.experts, 3);
  EXPECT_EQ(late.bytes, 300);
  EXPECT_DOUBLE_EQ(late.paid, 0.2 + 0.2);
  EXPECT_DOUBLE_EQ(late.paid_share, 0.4 / 3);
  EXPECT_DOUBLE_EQ(late.mean_balancedness, 0.7);
  EXPECT_DOUBLE_EQ(late.mean_age, 8.5);
  const RebalancingResult early = *run.figures(0, 3, facts).decode->rebalancing;
  EXPECT_EQ(early.count, 0);
  EXPECT_DOUBLE_EQ(early.paid, 0.2);
  EXPECT_DOUBLE_EQ(early.mean_balancedness, 0.5);
}

TEST(Figures, APartHasWhatHappensInIt) {
  // Ends at 5 and 10. Of (4.5, 9] only A's.
  const Figures f = two_requests().figures(4.5, 9, facts_with({"", 5, 1}));
  EXPECT_DOUBLE_EQ(f.request_throughput, 1 / 4.5);
  // Sends at 0 and 2 in (0, 2]: one before the last, in 2 s.
  EXPECT_DOUBLE_EQ(two_requests().figures(0, 10, facts_with({"", 5, 1})).request_rate, 1 / 2.0);
}

TEST(Figures, LatenciesAreOfTheCohortWheneverItEnds) {
  // In steps of 1 s a short request (TTFT 4 s, then 1 s) and a long one (then 5 s) are sent by
  // turns, at 0 to 5 s. In (4, 9] three short ones end, sent at 0, 2 and 4, and none of the long
  // ones: by their ends the mean E2E would be 5 s. Sent in [0, 4) are two of each: (5 + 9) / 2 = 7.
  Made run;
  for (int i = 0; i < 6; ++i) run.records.push_back(finished(i, i, 11, i % 2 == 0 ? 1 : 5));
  run.timeline.set({.at = 0});
  const Figures f = run.figures(4, 9, facts_with({"", 5, 0.2}), {0, 4});
  EXPECT_DOUBLE_EQ(f.request_throughput, 3 / 5.0);
  EXPECT_EQ(f.e2el_ms.count, 4);
  EXPECT_DOUBLE_EQ(f.e2el_ms.mean, 7000);
  EXPECT_DOUBLE_EQ(f.tpot_ms.mean, 300);         // (0.1 + 0.5) / 2
  EXPECT_DOUBLE_EQ(f.slo.share_both, 0.5);       // the long ones are too slow
  EXPECT_DOUBLE_EQ(f.request_goodput, 3 / 5.0);  // but none of them ends here
  EXPECT_EQ(f.phases.back().ms.mean, 3000);      // decode: (1 + 5) / 2
}

TEST(Figures, WhoWasUnderWayIsInNoCohortButThatOfAll) {
  Made run;
  run.records = {finished(0, 0, 11, 1), finished(1, 0, 11, 5)};
  run.records[1].initial_tokens = 4;
  run.timeline.set({.at = 0});
  EXPECT_EQ(run.figures(0, 10, facts_with({"", 5, 1}), {0, 5}).tpot_ms.count, 1);
  EXPECT_EQ(run.figures(0, 10, facts_with({"", 5, 1})).tpot_ms.count, 2);
}

TEST(Figures, GoodputTakesOnlyRequestsThatKeepAllLimits) {
  const Figures f = two_requests().figures(0, 10, facts_with({"", 5, 0.16}));  // B is too slow
  EXPECT_DOUBLE_EQ(f.request_goodput, 1 / 10.0);
  EXPECT_DOUBLE_EQ(f.slo.share_ttft, 1);
  EXPECT_DOUBLE_EQ(f.slo.share_tpot, 0.5);
  EXPECT_DOUBLE_EQ(f.slo.share_both, 0.5);
  EXPECT_TRUE(f.slo.met_on_mean);  // mean TPOT 0.15 <= 0.16
  EXPECT_FALSE(f.slo.met_at_p99);  // nearest rank p99 = 0.2
}

TEST(Figures, OneTokenHasNoTpotAndKeepsItsLimit) {
  Made run;
  run.records = {finished(0, 0, 1, 0)};
  run.timeline.set({.at = 0});
  const Figures f = run.figures(0, 10, facts_with({"", 5, 1e-6}));
  EXPECT_EQ(f.tpot_ms.count, 0);
  EXPECT_DOUBLE_EQ(f.slo.share_both, 1);
  EXPECT_TRUE(f.slo.met_at_p99);
}

TEST(Figures, RejectedRequestsCountAgainstTheSlo) {
  Made run;
  run.records = {finished(0, 0, 11, 1), rejected(1, 3), left_waiting(2, 0)};
  run.timeline.set({.at = 0});
  EXPECT_DOUBLE_EQ(run.figures(0, 10, facts_with({"", 5, 1})).slo.share_both, 0.5);
  // Sent at 0 and 3; the one refused is not of the first half.
  EXPECT_DOUBLE_EQ(run.figures(0, 5, facts_with({"", 5, 1}), {0, 2.5}).slo.share_both, 1);
}

TEST(Figures, WhatWasRejectedIsLaterThanAnyLimit) {
  // 99 that keep 5 s and 1 s; one that is rejected beside them is 1 % of 100, a second is more.
  Made run;
  run.timeline.set({.at = 0});
  for (int i = 0; i < 99; ++i) run.records.push_back(finished(i, 0, 11, 1));
  run.records.push_back(rejected(99, 0));
  const SystemFacts facts = facts_with({"", 5, 1});
  EXPECT_TRUE(run.figures(0, 10, facts).slo.met_at_p99);  // the 99th of 100
  EXPECT_TRUE(run.figures(0, 10, facts).slo.met_on_mean);
  run.records.push_back(rejected(100, 0));
  EXPECT_FALSE(run.figures(0, 10, facts).slo.met_at_p99);
  EXPECT_FALSE(run.figures(0, 10, facts).slo.met_on_mean);
  EXPECT_EQ(run.figures(0, 10, facts).ttft_ms.count, 99);
}

TEST(Figures, WhoWasUnderWayHasATpotAlone) {
  // Its decode begins at 3.9375 and ends at 9: 7 of 11 tokens in 5.0625 s.
  Made run;
  run.records = {finished(0, 0, 11, 1), finished(1, 0, 11, 5)};
  run.records[1].initial_tokens = 4;
  run.timeline.set({.at = 0});
  const Figures f = run.figures(0, 10, facts_with({"", 3, 0.8}));
  EXPECT_EQ(f.ttft_ms.count, 1);
  EXPECT_EQ(f.e2el_ms.count, 1);
  EXPECT_EQ(f.tpot_ms.count, 2);
  EXPECT_DOUBLE_EQ(f.tpot_ms.max, 5.0625 / 7 * 1e3);
  EXPECT_DOUBLE_EQ(f.slo.share_ttft, 0.5);  // 4 s is over 3; the other came before the run
  EXPECT_DOUBLE_EQ(f.request_goodput, 1 / 10.0);
}

TEST(Figures, PrefillAloneMakesOneTokenAndHasNoTpot) {
  RequestRecord r = finished(0, 0, 11, 1);
  r.transfer_start = r.transfer_end = r.decode_start = -1;
  r.first_token = r.finished = r.prefill_end;
  Made run;
  run.records = {r};
  run.timeline.set({.at = 0});
  const Figures f = run.figures(0, 10, facts_with({"", 5, 1e-6}, Role::kPrefillOnly));
  EXPECT_DOUBLE_EQ(f.output_throughput, 1 / 10.0);
  EXPECT_DOUBLE_EQ(f.ttft_ms.mean, 3500);  // 1 + 0.5 + 2 s
  EXPECT_EQ(f.tpot_ms.count, 0);
  EXPECT_DOUBLE_EQ(f.slo.share_tpot, 1);
  ASSERT_EQ(f.phases.size(), 4u);  // queue, cache read, batch wait (none), prefill
  EXPECT_EQ(f.slowest_phase, "prefill");
  EXPECT_EQ(f.longest_wait, "prefill_queue");  // 1 s; batch wait none
  EXPECT_FALSE(f.decode);
}

TEST(Figures, NamesTheSlowestPhaseByItsSum) {
  const Figures f = two_requests().figures(0, 10, facts_with({"", 5, 1}));
  EXPECT_EQ(f.slowest_phase, "decode");  // 1 + 4 s, prefill 2 + 2 s
  double share = 0;
  for (const PhaseResult& phase : f.phases) share += phase.share;
  EXPECT_DOUBLE_EQ(share, 1);  // phases add up to latency
  EXPECT_DOUBLE_EQ(f.phases.back().ms.mean, 2500);
  EXPECT_DOUBLE_EQ(f.phases.back().share, 5 / 13.0);  // of 5 + 8 s
}

TEST(Figures, PoolsTheGapsOfEverySequence) {
  // Step 1 [0, 1]: 4 begin. Step 2 [1, 3]: those 4 go on, gap 2 s each. Step 3 [3, 4]: 2 go on, gap
  // 1 s, 1 joins. Step 4 [6, 7] after an idle time: a new request, no gap.
  Made run = two_requests();
  run.steps = {{0, 1, 0, 4, 0, 4}, {1, 3, 0, 4, 4, 4}, {3, 4, 0, 3, 2, 3}, {6, 7, 0, 1, 0, 1}};
  const Distribution itl = run.figures(0, 10, facts_with({"", 5, 1})).itl_ms;
  EXPECT_EQ(itl.count, 6);
  EXPECT_DOUBLE_EQ(itl.mean, (4 * 2000 + 2 * 1000) / 6.0);
  EXPECT_DOUBLE_EQ(itl.median, 2000);  // 1000 1000 2000 2000 2000 2000
  EXPECT_EQ(run.figures(1, 3, facts_with({"", 5, 1})).itl_ms.count, 4);  // step 2 alone
}

TEST(Figures, TokensAreSpreadOverTheirIterations) {
  // 10 tokens over [0, 2], part [1, 3]: half of them; 6 over [2, 3]: all. 1.5 of 2 busy seconds
  // with 5 sequences each of 40 slots: 1 of the first, 1 of the second -> 2 / 2.
  Made run;
  run.records = {finished(0, 0, 2, 1)};
  run.timeline.set({.at = 0});
  run.steps = {{0, 2, 0, 5, 0, 10, 50, 100, 0}, {2, 3, 0, 5, 5, 6, 70, 100, 0}};
  const Figures f = run.figures(1, 3, facts_with({"", 5, 1}));
  EXPECT_DOUBLE_EQ(f.decode->tokens_per_second, (5 + 6) / 2.0);
  EXPECT_DOUBLE_EQ(f.decode->utilisation, 1);
  EXPECT_DOUBLE_EQ(f.decode->occupancy, 5 / 40.0);
  EXPECT_EQ(f.decode->iterations, 2);  // both end in it
  EXPECT_DOUBLE_EQ(f.decode->mean_context, 60);
  EXPECT_DOUBLE_EQ(f.decode->hbm.bytes, (50 + 100) * 10.0);  // half and all, 10 dies
  // 100 prompt tokens over prefill [1.5, 3.5]; [2.5, 4.5] has half of it.
  EXPECT_DOUBLE_EQ(run.figures(2.5, 4.5, facts_with({"", 5, 1})).prefill->tokens_per_second,
                   50 / 2.0);
}

TEST(Figures, AFullTokenBudgetBinds) {
  // Of 2 instances over 10 s, one runs a batch of 3,900 of 4,000 tokens for 5 s.
  Made run = two_requests();
  run.batches = {{.start = 0, .end = 5, .sequences = 4, .tokens = 3900},
                 {.start = 5, .end = 10, .sequences = 4, .tokens = 3700}};
  const Figures f = run.figures(0, 10, facts_with({"", 5, 1}));
  ASSERT_FALSE(f.binds.empty());
  EXPECT_EQ(f.binds[0].what, "prefill token budget");
  EXPECT_DOUBLE_EQ(f.binds[0].share, 5 / 20.0);
}

}  // namespace
}  // namespace cmsim::metrics
