// Continuous batching: KV growth, preemption, MTP, the staggered population of decode alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "cmsim/serve/mtp.hpp"
#include "tests/serve/harness.hpp"

namespace cmsim::serve::testing {
namespace {

Harness decode_only() {
  Harness h;
  h.config.role = Role::kDecodeOnly;
  return h;
}

TEST(Decode, TheModelSeesEveryRank) {
  Harness h = decode_only();
  h.run({{0, 100, 2}, {0, 200, 2}, {0, 300, 1}});
  // Requests 0, 2 on rank 0, request 1 on rank 1; a token a step and sequence.
  ASSERT_EQ(h.decode.sequences.size(), 2u);
  EXPECT_EQ(h.decode.sequences[0], (std::vector<std::int32_t>{2, 1}));
  EXPECT_EQ(h.decode.kv_tokens[0], (std::vector<std::int64_t>{400, 200}));
  EXPECT_EQ(h.decode.sequences[1], (std::vector<std::int32_t>{1, 1}));
  EXPECT_EQ(h.decode.kv_tokens[1], (std::vector<std::int64_t>{101, 201}));
}

TEST(Decode, AFreedSlotIsTakenInTheVeryNextStep) {
  Harness h = decode_only();
  h.config.deployment.decode.max_num_seqs = 2;  // 1 slot a rank
  h.config.concurrency = 2;
  h.config.closed_loop = true;
  h.progress = {0.5, 0.118};
  h.run({{0, 10, 2}, {0, 10, 2}, {0, 10, 2}, {0, 10, 2}});
  // 1 of the 2 iterations of request 0 are done, none of request 1: 0 ends after one step (0.05),
  // its follower runs to 0.15.
  EXPECT_EQ(h.record(0).initial_tokens, 1);
  EXPECT_EQ(h.record(0).iterations, 1);
  EXPECT_NEAR(h.record(0).finished, 0.05, kTiny);
  EXPECT_EQ(h.record(1).initial_tokens, 0);
  EXPECT_NEAR(h.record(1).finished, 0.10, kTiny);
  EXPECT_NEAR(h.record(2).decode_start, 0.05, kTiny);
  EXPECT_NEAR(h.record(2).finished, 0.15, kTiny);
  EXPECT_NEAR(h.record(3).finished, 0.20, kTiny);
  EXPECT_EQ(h.record(2).initial_tokens, 0);
  EXPECT_EQ(h.record(2).transfer_start, -1);
  for (const auto& step : h.seen.steps) EXPECT_LE(step.sequences, 2);
  EXPECT_EQ(h.seen.steps.size(), 4u);
}

TEST(Decode, OneSequenceAnNpuLeavesADieIdle) {
  // 1 sequence over 2 dies: none on rank 0, 1 on rank 1. The three run one after the other.
  Harness h = decode_only();
  h.config.deployment.decode.max_num_seqs = 1;
  h.run({{0, 100, 2}, {0, 200, 2}, {0, 300, 2}});
  ASSERT_EQ(h.decode.sequences.size(), 6u);
  for (const auto& step : h.decode.sequences) {
    EXPECT_EQ(step, (std::vector<std::int32_t>{0, 1}));
  }
  EXPECT_NEAR(h.record(2).finished, 6 * 0.050, kTiny);
}

TEST(Decode, WhoIsUnderWayAtTheStartGoesToDecodeAndNotToPrefill) {
  // Prompts of 100 tokens: the first has 3 of its 10 output tokens, the second comes at 0 too.
  Harness h;
  h.progress = {0.35};
  h.run({{0, 100, 10}, {0, 100, 10}});
  EXPECT_EQ(h.record(0).initial_tokens, 3);
  EXPECT_EQ(h.record(0).prefill_start, -1);
  EXPECT_EQ(h.record(0).transfer_start, -1);
  EXPECT_NEAR(h.record(0).decode_start, 0, kTiny);
  EXPECT_NEAR(h.record(0).finished, 7 * 0.050, kTiny);
  EXPECT_EQ(h.seen.steps[0].kv_tokens, 103);
  EXPECT_NEAR(h.record(1).prefill_end, 0.1, kTiny);
  EXPECT_NEAR(h.record(1).transfer_end, 0.2, kTiny);
  EXPECT_EQ(h.record(1).initial_tokens, 0);
}

TEST(Decode, WhoIsUnderWayAndPreemptedIsPrefilledWithoutTimesOfItsOwn) {
  // 102 + 104 tokens on rank 0, 220 on rank 1 (which is left after a few steps); rank 0 outgrows
  // 230 tokens: the newest loses its KV, is prefilled again and pulled.
  Harness h;
  h.config.deployment.decode.max_num_seqs = 4;
  h.decode.capacity = 230;
  h.progress = {0.1, 0.2, 0.1};
  h.run({{0, 100, 20}, {0, 220, 5}, {0, 100, 40}});
  EXPECT_EQ(h.record(2).preemptions, 1);
  EXPECT_EQ(h.record(2).outcome, Outcome::kFinished);
  EXPECT_EQ(h.record(2).prefill_start, -1);
  EXPECT_EQ(h.seen.batches.size(), 1u);
}

TEST(Decode, APopulationOfUniformAgesIsInSteadyState) {
  // 2 ranks x 50 slots, 100 requests of 1,000 + 200 tokens: ages are uniform, so a step ends with
  // 100 / 200 = 0.5 requests on average and the mean context is 1,000 + 100.
  Harness h = decode_only();
  h.config.deployment.decode.max_num_seqs = 100;
  h.config.concurrency = 100;
  h.config.closed_loop = true;
  for (int i = 0; i < 100; ++i) h.progress.push_back((i / 2 + 0.25 + 0.5 * (i % 2)) / 50);
  h.run(std::vector<Ask>(400, Ask{0, 1000, 200}), 10.0);  // 200 steps
  ASSERT_GE(h.seen.steps.size(), 199u);
  EXPECT_NEAR(static_cast<double>(h.seen.steps[0].kv_tokens) / 100, 1100, 2);
  for (std::size_t s = 20; s < 199; s += 20) {
    const auto ended_by = [&](std::size_t steps) {
      return std::count_if(h.seen.records.begin(), h.seen.records.end(), [&](const auto& entry) {
        return entry.second.outcome == Outcome::kFinished &&
               entry.second.finished < 0.05 * static_cast<double>(steps) + 0.025;
      });
    };
    EXPECT_NEAR(static_cast<double>(ended_by(s)), 0.5 * static_cast<double>(s), 3.0) << s;
    EXPECT_EQ(h.seen.steps[s].sequences, 100);
    EXPECT_EQ(h.seen.steps[s].tokens, 100);
    EXPECT_NEAR(static_cast<double>(h.seen.steps[s].kv_tokens) / 100, 1100, 5);
  }
}

TEST(Decode, TheNewestOfAFullDieIsPreemptedAndRecomputed) {
  // At 0 one batch of 100 + 220 + 100 = 420 tokens ends at 0.42. Request 0 goes to rank 0, 1 to
  // rank 1, 2 to rank 0: 100 + 100 + 1 + 2 (headroom) <= 230. Pulls of 0 and 2 end at 0.52, of 1 at
  // 0.64. Rank 0 holds 200 at 0.52 and 2 more a step: 230 after 15 steps, 232 > 230 after the 16th,
  // at 1.32. Request 2, the newest, is preempted with 100 + 16 tokens and prefilled again by 1.32 +
  // 0.116 = 1.436. Rank 1 is free (request 1 ran 5 steps from 0.67 to 0.92): pulled there by 1.436
  // + 0.116 = 1.552. Request 0 has left at 0.52 + 20 x 0.05 = 1.52, so the instance is idle and
  // starts at 1.552; 24 tokens are left: 1.552 + 24 x 0.05 = 2.752.
  Harness h;
  h.config.deployment.decode.max_num_seqs = 4;
  h.decode.capacity = 230;
  h.run({{0, 100, 20}, {0, 220, 5}, {0, 100, 40}});
  EXPECT_NEAR(h.record(0).finished, 1.52, kTiny);
  EXPECT_NEAR(h.record(1).finished, 0.92, kTiny);
  const RequestRecord& r = h.record(2);
  EXPECT_EQ(r.outcome, Outcome::kFinished);
  EXPECT_EQ(r.preemptions, 1);
  EXPECT_EQ(r.iterations, 40);
  EXPECT_NEAR(r.first_token, 0.57, kTiny);  // of the first stay
  EXPECT_NEAR(r.prefill_end, 0.42, kTiny);
  EXPECT_NEAR(r.finished, 2.752, kTiny);
  EXPECT_EQ(h.totals.preemptions, 1);
  Tokens tokens = 0;
  for (const auto& step : h.seen.steps) tokens += step.tokens;
  EXPECT_EQ(tokens, 20 + 5 + 40);  // nothing is generated twice
  EXPECT_EQ(h.totals.decode_kv_reserved, h.totals.decode_kv_released);
}

TEST(Decode, PreemptedKvGoesToDramAndBack) {
  // As above until 1.32, when request 2 has 116 tokens of 1 KB, at 10 MB/s: its KV is in DRAM at
  // 1.3316, for which the instance waits. Request 0 has 4 of its 20 steps to go: 1.3316 + 0.2.
  // Request 2 goes to rank 1, where its KV is at 1.3316 + 0.0116 = 1.3432; the step that runs ends
  // at 1.3816, then come its other 24: 1.3816 + 1.2. Of the step after the wait the time begins
  // with it.
  Harness h;
  h.config.deployment.decode.max_num_seqs = 4;
  h.config.deployment.swap.dram_per_node = 232'000;  // 116 KB a CPU
  h.decode.capacity = 230;
  h.run({{0, 100, 20}, {0, 220, 5}, {0, 100, 40}});
  EXPECT_NEAR(h.record(0).finished, 1.5316, kTiny);
  const RequestRecord& r = h.record(2);
  EXPECT_EQ(r.preemptions, 1);
  EXPECT_EQ(r.swaps, 1);
  EXPECT_EQ(r.decode_rank, 1);
  EXPECT_EQ(r.iterations, 40);
  EXPECT_NEAR(r.finished, 2.5816, kTiny);
  EXPECT_EQ(h.totals.swaps, 1);
  EXPECT_EQ(h.seen.batches.size(), 1u);  // nothing is computed twice
  const auto held = std::ranges::find_if(
      h.seen.steps, [](const auto& step) { return std::abs(step.end - 1.3816) < kTiny; });
  ASSERT_NE(held, h.seen.steps.end());
  EXPECT_NEAR(held->start, 1.32, kTiny);
  EXPECT_EQ(held->continuing, 1);  // the gap of request 0 is 0.0616 s
  EXPECT_EQ(h.totals.decode_kv_reserved, h.totals.decode_kv_released);
}

TEST(Decode, KvThatDramHasNoRoomForIsComputedAnew) {
  Harness h;
  h.config.deployment.decode.max_num_seqs = 4;
  h.config.deployment.swap.dram_per_node = 231'998;  // a byte too few a CPU
  h.decode.capacity = 230;
  h.run({{0, 100, 20}, {0, 220, 5}, {0, 100, 40}});
  EXPECT_EQ(h.record(2).preemptions, 1);
  EXPECT_EQ(h.record(2).swaps, 0);
  EXPECT_NEAR(h.record(2).finished, 2.752, kTiny);  // as above
}

TEST(Decode, APolicySaysWhichKvGoesToDram) {
  for (const auto& [least, swaps] : {std::pair{116.0, 1}, {117.0, 0}}) {
    Harness h;
    h.config.deployment.decode.max_num_seqs = 4;
    h.config.deployment.swap.dram_per_node = 1'000'000;
    h.decode.capacity = 230;
    h.policies = policies_with({{"preempted_kv", {"swap", {{"least_tokens", least}}}}});
    h.run({{0, 100, 20}, {0, 220, 5}, {0, 100, 40}});
    EXPECT_EQ(h.record(2).swaps, swaps) << least;
  }
}

/// 50 ms as deployed, 30 ms by its other plan.
class TwoPlans : public ConstantDecode {
 public:
  model::DecodeIteration iteration(const model::DecodeBatch& batch) const override {
    return {batch.plan == 0 ? 0.05 : 0.03, {}};
  }
  std::span<const model::DecodePlan> plans() const override { return plans_; }

 private:
  std::array<model::DecodePlan, 2> plans_{{{2, 16, 32}, {1, 24, 48}}};
};

TEST(Decode, AStepWithAnotherPlanWaitsForTheChange) {
  // 10 tokens: the first step is run by the other plan at once, 100 steps of which pay for 15 ms.
  for (const auto& [name, took] : {std::pair{"deployed", 0.5}, {"fastest", 0.315}}) {
    Harness h = decode_only();
    const TwoPlans model;
    h.config.plan_change = 0.015;
    h.policies = policies_with({{"pipeline_plan", {name}}});
    h.model = &model;
    h.run({{0, 100, 10}});
    EXPECT_NEAR(h.record(0).finished, took, kTiny) << name;
    EXPECT_NEAR(h.seen.steps.front().end, took - 9 * (took < 0.5 ? 0.03 : 0.05), kTiny);
  }
}

class OldestGoes : public Policy<Preemption> {
 public:
  explicit OldestGoes(std::vector<Tokens>& contexts) : contexts_(contexts) {}
  std::size_t decide(const View& view) override {
    for (const RequestView& one : view.running) contexts_.push_back(one.context_tokens);
    EXPECT_EQ(view.excess, 2);
    return view.running.size() - 1;
  }

 private:
  std::vector<Tokens>& contexts_;
};

TEST(Decode, APolicySaysWhoIsPreempted) {
  // As above, but request 0 goes: both have 100 + 16 tokens when the rank exceeds its space.
  Harness h;
  h.config.deployment.decode.max_num_seqs = 4;
  h.decode.capacity = 230;
  std::vector<Tokens> contexts;
  h.policies.get<Preemption>() = {"oldest", std::make_unique<OldestGoes>(contexts)};
  h.run({{0, 100, 20}, {0, 220, 5}, {0, 100, 40}});
  EXPECT_EQ(contexts, (std::vector<Tokens>{116, 116}));
  EXPECT_EQ(h.record(0).preemptions, 1);
  EXPECT_EQ(h.record(2).preemptions, 0);
  EXPECT_EQ(h.totals.finished, 3);
  EXPECT_EQ(h.totals.decode_kv_reserved, h.totals.decode_kv_released);
}

TEST(Decode, ARequestThatOutgrowsADieFails) {
  Harness h = decode_only();
  h.decode.capacity = 110;
  h.run({{0, 100, 50}, {0, 100, 5}});
  EXPECT_EQ(h.record(0).outcome, Outcome::kFailed);
  EXPECT_EQ(h.record(0).reason, Reason::kOutputExceedsKv);
  EXPECT_NEAR(h.record(0).finished, 11 * 0.05, kTiny);  // 111 tokens > 110 after 11 steps
  EXPECT_EQ(h.record(1).outcome, Outcome::kFinished);
  EXPECT_EQ(h.totals.failed, 1);
}

TEST(Decode, PreemptedAloneItReturnsToTheQueue) {
  // Decode alone: capacity 230, one rank pair, three of 100 + 40: two share rank 0 and overflow
  // after 16 steps; the newer waits in the decode queue until the older is done, then runs its
  // other 24 steps.
  Harness h = decode_only();
  h.decode.capacity = 230;
  h.run({{0, 100, 40}, {0, 220, 8}, {0, 100, 40}});
  EXPECT_NEAR(h.record(0).finished, 2.0, kTiny);
  EXPECT_EQ(h.record(2).preemptions, 1);
  EXPECT_EQ(h.record(2).decode_rank,
            1);  // request 1 has left rank 1 by then: it goes on there at once
  EXPECT_NEAR(h.record(2).finished, 2.0, kTiny);
}

TEST(Mtp, OffAndPerfectAreExact) {
  RandomStream random(1, "test");
  EXPECT_EQ(draw_iterations(7, {0, 0.7}, random), 7);
  EXPECT_EQ(draw_iterations(7, {1, 0.0}, random), 7);
  EXPECT_EQ(draw_iterations(7, {1, 1.0}, random), 4);  // 2 + 2 + 2 + 1
  EXPECT_EQ(draw_iterations(1, {3, 1.0}, random), 1);
  EXPECT_EQ(draw_iterations(100, {3, 1.0}, random), 25);
  EXPECT_DOUBLE_EQ(mean_tokens_per_iteration({1, 0.7}), 1.7);
  EXPECT_DOUBLE_EQ(mean_tokens_per_iteration({2, 0.5}), 1.75);  // 1 + 0.5 + 0.25
}

/// P(n iterations suffice for `tokens`), by dynamic programming over the tokens emitted.
std::vector<double> distribution(int tokens, const MtpSpec& mtp) {
  std::vector<double> emit(static_cast<std::size_t>(mtp.draft_tokens) +
                           1);  // emit[a]: a + 1 tokens
  for (int a = 0; a <= mtp.draft_tokens; ++a) {
    emit[static_cast<std::size_t>(a)] =
        std::pow(mtp.acceptance, a) * (a < mtp.draft_tokens ? 1 - mtp.acceptance : 1);
  }
  std::vector<double> at(static_cast<std::size_t>(tokens), 0.0), ends;
  at[0] = 1;
  ends.push_back(0);
  for (int n = 1; n <= tokens; ++n) {
    std::vector<double> next(at.size(), 0.0);
    double end = 0;
    for (std::size_t have = 0; have < at.size(); ++have) {
      for (std::size_t a = 0; a < emit.size(); ++a) {
        const std::size_t then = have + a + 1;
        (then >= at.size() ? end : next[then]) += at[have] * emit[a];
      }
    }
    ends.push_back(end);
    at = next;
  }
  return ends;
}

class MtpDraw : public ::testing::TestWithParam<std::pair<int, MtpSpec>> {};

TEST_P(MtpDraw, FollowsTheExactDistribution) {
  const auto& [tokens, mtp] = GetParam();
  const std::vector<double> expected = distribution(tokens, mtp);
  ASSERT_NEAR(std::accumulate(expected.begin(), expected.end(), 0.0), 1.0, 1e-9);
  constexpr int kDraws = 200'000;
  std::vector<int> seen(expected.size(), 0);
  RandomStream random(7, "test/mtp");
  for (int i = 0; i < kDraws; ++i) {
    ++seen.at(static_cast<std::size_t>(draw_iterations(tokens, mtp, random)));
  }
  // Chi-squared over the cells that expect at least 10: mean = cells, deviation = sqrt(2 cells).
  double chi = 0;
  int cells = 0;
  for (std::size_t n = 0; n < expected.size(); ++n) {
    const double mean = expected[n] * kDraws;
    if (mean < 10) continue;
    chi += (seen[n] - mean) * (seen[n] - mean) / mean;
    ++cells;
  }
  EXPECT_LT(chi, cells + 5 * std::sqrt(2.0 * cells));
}

INSTANTIATE_TEST_SUITE_P(Cases, MtpDraw,
                         ::testing::Values(std::pair{5, MtpSpec{1, 0.7}},
                                           std::pair{100, MtpSpec{1, 0.7}},
                                           std::pair{100, MtpSpec{3, 0.6}},
                                           std::pair{300, MtpSpec{2, 0.9}}));

TEST(Mtp, TokensOfAllStepsAreTheOutput) {
  Harness h;
  h.config.mtp = {1, 0.7};
  h.run({{0, 100, 97}, {0.1, 50, 31}, {0.5, 10, 1}});
  Tokens tokens = 0;
  for (const auto& step : h.seen.steps) tokens += step.tokens;
  EXPECT_EQ(tokens, 97 + 31 + 1);
  const RequestRecord& r = h.record(0);
  EXPECT_GE(r.iterations, 49);  // at most 2 tokens an iteration
  EXPECT_LT(r.iterations, 97);
  EXPECT_NEAR(r.finished - r.decode_start, 0.05 * static_cast<double>(r.iterations), kTiny);
}

}  // namespace
}  // namespace cmsim::serve::testing
