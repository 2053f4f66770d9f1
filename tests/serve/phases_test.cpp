// A request's way from arrival to end, and the accounting of what does not get there.

#include <gtest/gtest.h>

#include "cmsim/base/error.hpp"
#include "tests/serve/harness.hpp"

namespace cmsim::serve::testing {
namespace {

TEST(Phases, OfARequestAlone) {
  Harness h;
  h.run({{1.0, 100, 3}});
  const RequestRecord& r = h.record(0);
  EXPECT_EQ(r.outcome, Outcome::kFinished);
  EXPECT_NEAR(r.sent, 1.0, kTiny);
  EXPECT_NEAR(r.prefill_start, 1.0, kTiny);   // nothing to wait for, no cache
  EXPECT_NEAR(r.prefill_end, 1.1, kTiny);     // 100 tokens x 1 ms
  EXPECT_NEAR(r.transfer_start, 1.1, kTiny);  // a slot is free
  EXPECT_NEAR(r.transfer_end, 1.2, kTiny);    // 100 tokens x 1,000 B / 1 MB/s
  EXPECT_NEAR(r.decode_start, 1.2, kTiny);    // the instance is idle
  EXPECT_NEAR(r.first_token, 1.25, kTiny);    // one step of 50 ms
  EXPECT_NEAR(r.finished, 1.35, kTiny);       // three steps, one token each without MTP
  EXPECT_EQ(r.iterations, 3);
  ASSERT_EQ(h.seen.steps.size(), 3u);
  EXPECT_EQ(h.seen.steps[0].continuing, 0);
  EXPECT_EQ(h.seen.steps[1].continuing, 1);
  EXPECT_NEAR(h.seen.steps[1].start, 1.25, kTiny);
  for (const auto& step : h.seen.steps) EXPECT_EQ(step.tokens, 1);
  EXPECT_EQ(h.seen.steps[0].kv_tokens, 100);
  EXPECT_EQ(h.seen.steps[2].kv_tokens, 102);
}

TEST(Phases, PullRunsOnTheRdmaPlaneFromPrefillDieToDecodeDie) {
  Harness h;
  h.run({{0, 100, 1}});
  ASSERT_EQ(h.runtime.transfers.size(), 1u);
  const coll::Transfer& pull = h.runtime.transfers[0].transfer;
  EXPECT_EQ(pull.plane, coll::Plane::kRdma);
  EXPECT_EQ(pull.op, coll::Op::kRead);
  EXPECT_EQ(pull.initiator, hw::die(2));  // rank 0 of decode, after the 2 dies of prefill
  EXPECT_EQ(pull.target, hw::die(0));     // ratio 2/1, group of 1: rank 0 <- rank 0
  EXPECT_EQ(pull.bytes, 100'000);
}

TEST(Phases, ARunCannotGoOnWithoutATransferThatWasCutOff) {
  // The pull of 100,000 B runs from 0.100 to 0.200 and loses its source half way.
  Harness h;
  h.runtime.schedule_at(0.150, coll::Priority::kSample, [&] {
    hw::Fault fault;
    fault.kind = hw::Fault::Kind::kDie;
    fault.at = 0;
    h.runtime.apply(fault);
  });
  try {
    h.run({{0, 100, 1}});
    FAIL() << "went on";
  } catch (const SimulationError& error) {
    EXPECT_STREQ(error.what(),
                 "a transfer from die:0 to die:2 was cut off at 0.15 s, after 50000 of 100000 B");
  }
}

TEST(Phases, ARequestJoinsAtTheNextStepBoundary) {
  // Request 0 is pulled at 0.200 and steps end at 0.250, 0.300, ... Request 1 (20 tokens) is
  // prefilled from 0.190 to 0.210 and pulled by 0.230, in the middle of a step.
  Harness h;
  h.run({{0, 100, 5}, {0.190, 20, 1}});
  EXPECT_NEAR(h.record(1).transfer_end, 0.230, kTiny);
  EXPECT_NEAR(h.record(1).decode_start, 0.250, kTiny);
  EXPECT_NEAR(h.record(1).finished, 0.300, kTiny);
  EXPECT_NEAR(h.record(0).finished, 0.450, kTiny);
}

TEST(Phases, ARequestWaitsForASlotAndIsNotLost) {
  // 2 ranks x 2 slots. Five requests of 10 tokens: one batch to 0.050, pulls to 0.060, then 4 run 2
  // steps each to 0.160; only then the fifth pulls to 0.170 and runs to 0.270.
  Harness h;
  h.run({{0, 10, 2}, {0, 10, 2}, {0, 10, 2}, {0, 10, 2}, {0, 10, 2}});
  for (int id = 0; id < 4; ++id) EXPECT_NEAR(h.record(id).finished, 0.160, kTiny) << id;
  EXPECT_NEAR(h.record(4).prefill_end, 0.050, kTiny);
  EXPECT_NEAR(h.record(4).transfer_start, 0.160, kTiny);
  EXPECT_NEAR(h.record(4).finished, 0.270, kTiny);
  EXPECT_EQ(h.record(0).decode_rank, 0);  // fewest sequences first, lowest index on a tie
  EXPECT_EQ(h.record(1).decode_rank, 1);
  EXPECT_EQ(h.record(2).decode_rank, 0);
}

TEST(Phases, ARequestWaitsForKvSpace) {
  // A die holds 250 tokens and keeps 1 % = 2 free beside what it runs. Three prompts of 100 a rank
  // would fit the slots (of 8 an NPU), but 100 + 100 + 100 > 250: 2 run on each rank, the fifth
  // waits.
  Harness h;
  h.config.deployment.decode.max_num_seqs = 8;
  h.decode.capacity = 250;
  h.run({{0, 100, 2}, {0, 100, 2}, {0, 100, 2}, {0, 100, 2}, {0, 100, 2}});
  EXPECT_NEAR(h.record(3).transfer_start, 0.5, kTiny);  // one batch of 500 tokens
  EXPECT_NEAR(h.record(3).finished, 0.7, kTiny);        // + 0.1 pull + 2 x 0.05
  EXPECT_NEAR(h.record(4).transfer_start, 0.7, kTiny);
  EXPECT_EQ(h.totals.preemptions, 0);
}

TEST(Phases, PromptsThatFitNoKvSpaceAreRejected) {
  Harness h;
  h.decode.capacity = 200;
  h.prefill.capacity = 300;
  h.run({{0, 200, 5}, {0, 199, 1}, {0, 301, 1}});
  // 200 + 1 > 200: no room for the first token; 199 + 1 fits.
  EXPECT_EQ(h.record(0).outcome, Outcome::kRejected);
  EXPECT_EQ(h.record(0).reason, Reason::kPromptExceedsKv);
  EXPECT_EQ(h.record(0).finished, 0);
  EXPECT_EQ(h.record(1).outcome, Outcome::kFinished);
  EXPECT_EQ(h.record(2).outcome, Outcome::kRejected);
  EXPECT_EQ(h.totals.rejected, 2);
}

TEST(Phases, InterruptedRunNamesWhatIsLeft) {
  Harness h;
  h.run({{0, 100, 100}, {0.01, 100, 1}, {5.0, 100, 1}}, 1.0);
  EXPECT_EQ(h.record(0).outcome, Outcome::kUnfinished);  // 100 steps of 50 ms take 5 s
  EXPECT_EQ(h.record(0).reason, Reason::kInterrupted);
  EXPECT_EQ(h.record(0).finished, -1);
  EXPECT_EQ(h.record(1).outcome, Outcome::kFinished);
  EXPECT_EQ(h.record(2).reason, Reason::kNotSent);
  EXPECT_EQ(h.record(2).sent, -1);
  EXPECT_EQ(h.totals.requests, h.totals.finished + h.totals.unfinished);
}

/// The message of the SimulationError that the run ends with.
std::string failure(Harness& h, const std::vector<Ask>& asks) {
  try {
    h.run(asks);
  } catch (const SimulationError& error) {
    return error.what();
  }
  return "";
}

/// Admits as it is told.
class Obedient : public Policy<DecodeAdmission> {
 public:
  explicit Obedient(std::optional<Admission> answer) : answer_(answer) {}
  std::optional<Admission> decide(const View&) override { return answer_; }

 private:
  std::optional<Admission> answer_;
};

TEST(Phases, ARunThatDrainsWithRequestsLeftIsAnError) {
  Harness h;
  h.policies.get<DecodeAdmission>() = {"stubborn", std::make_unique<Obedient>(std::nullopt)};
  // 10 tokens are prefilled at 0.01 s; nobody ever admits the request.
  EXPECT_EQ(
      failure(h, {{0, 10, 1}}),
      "1 of 1 requests never ended, a policy lets them wait for ever: 1 waiting for the policy "
      "decode_admission \"stubborn\" or the policy decode_routing \"least_sequences\" at 0.01 s");
}

/// Ignores whether the request fits.
class Careless : public Policy<DecodeRouting> {
  std::optional<std::size_t> decide(const View&) override { return 0; }
};

TEST(Phases, ADecisionThatDoesNotFitIsAnError) {
  Harness h;
  h.policies.get<DecodeRouting>() = {"careless", std::make_unique<Careless>()};
  // 2 slots a rank; one batch of 30 tokens.
  EXPECT_EQ(failure(h, {{0, 10, 9}, {0, 10, 9}, {0, 10, 9}}),
            "the policy decode_routing \"careless\" chose rank 0, which has no room for the "
            "request, at 0.03 s (request 2)");
}

TEST(Phases, ANegativeHeadroomIsAnError) {
  Harness h;  // it would let a rank be filled beyond its KV space
  h.policies.get<DecodeAdmission>() = {"greedy", std::make_unique<Obedient>(Admission{0, -1})};
  EXPECT_EQ(failure(h, {{0, 10, 9}}),
            "the policy decode_admission \"greedy\" asked for a headroom of -1 tokens at 0.01 s "
            "(1 waiting, 4 slots free)");
}

/// Insists on the first, fitting or not, and counts how often it is asked at one date.
class Insisting : public Policy<PrefillBatching> {
 public:
  explicit Insisting(int& most) : most_(most) {}
  std::optional<std::size_t> decide(const View& view) override {
    asked_ = view.now == last_ ? asked_ + 1 : 1;
    last_ = view.now;
    most_ = std::max(most_, asked_);
    return 0;
  }

 private:
  int& most_;
  int asked_ = 0;
  Seconds last_ = -1;
};

TEST(Phases, APolicyThatInsistsOnWhatDoesNotFitIsNotAskedForEver) {
  Harness h;
  h.prefill.capacity = 120;  // holds one prompt of 100 until it has been pulled
  int most = 0;
  h.policies.get<PrefillBatching>() = {"insisting", std::make_unique<Insisting>(most)};
  h.run({{0, 100, 1}, {0, 100, 1}, {0, 100, 1}});
  EXPECT_EQ(h.totals.finished, 3);
  // At 0: the first is taken, the second not; asked again when the batch has started.
  EXPECT_EQ(most, 3);
}

TEST(Phases, QueueLengthsFollowTheRequests) {
  Harness h;
  h.run({{0, 100, 2}});
  const auto& last = h.seen.queues.back();
  EXPECT_EQ(last.prefill_waiting + last.prefill_running + last.decode_waiting +
                last.decode_running + last.decode_kv_reserved,
            0);
  Tokens most = 0;
  for (const auto& q : h.seen.queues) most = std::max(most, q.decode_kv_reserved);
  EXPECT_EQ(most, 101);  // the prompt, and after the first step one token more
}

TEST(Phases, TwoDecodeInstancesStepByThemselves) {
  Harness h;
  h.config.deployment.decode = {2, 1, 2, 2};  // 2 instances x 2 ranks x 1 slot
  h.run({{0, 10, 4}, {0, 20, 4}, {0, 30, 4}});
  // One batch of 60 tokens to 0.060; pulls end at 0.070, 0.080, 0.090. Ranks 0, 1 are of instance
  // 0, which starts at 0.070; request 1 joins it at 0.120. Rank 2 is of instance 1, which starts at
  // 0.090.
  EXPECT_EQ(h.record(1).decode_instance, 0);
  EXPECT_NEAR(h.record(1).decode_start, 0.120, kTiny);
  EXPECT_EQ(h.record(2).decode_instance, 1);
  EXPECT_EQ(h.record(2).decode_rank, 0);
  EXPECT_NEAR(h.record(2).decode_start, 0.090, kTiny);
  EXPECT_NEAR(h.record(2).finished, 0.290, kTiny);
}

TEST(Phases, AnIllBehavedModelIsOurBug) {
  Harness h;
  h.decode.duration = 0;  // a step that takes no time would repeat for ever
  EXPECT_THROW(h.run({{0, 100, 2}}), InvariantError);
}

}  // namespace
}  // namespace cmsim::serve::testing
