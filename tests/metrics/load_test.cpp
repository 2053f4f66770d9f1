#include "cmsim/metrics/load.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/metrics/records.hpp"

namespace cmsim::metrics {
namespace {

using serve::RequestRecord;

/// One request a second for 90 s; request i waits `wait(i)` s in the prefill queue and is then
/// served for 3 s.
template <class Wait>
std::vector<RequestRecord> one_a_second(const Wait& wait) {
  std::vector<RequestRecord> records;
  for (int i = 0; i <= 90; ++i) {
    RequestRecord r;
    r.id = i;
    r.output_tokens = 1;
    r.arrival = r.sent = i;
    r.cache_read_start = r.prefill_start = r.sent + wait(i);
    r.prefill_end = r.prefill_start + 1;
    r.transfer_start = r.transfer_end = r.decode_start = r.prefill_end;
    r.first_token = r.finished = r.prefill_end + 2;
    r.outcome = serve::Outcome::kFinished;
    records.push_back(r);
  }
  return records;
}

/// A result of these records whose window is all arrivals, 0 to 90 s unless said.
Result result_of(std::vector<RequestRecord> records, Seconds run_end, Seconds window = 90) {
  Result result;
  result.records = std::move(records);
  result.window.to = window;
  result.window.rule = WindowRule::kMser5;
  result.whole_run.to = run_end;
  result.measured.request_rate = 1;
  return result;
}

LoadVerdict judged(std::vector<RequestRecord> records, Seconds run_end, Seconds window = 90) {
  return judge_load(result_of(std::move(records), run_end, window), {});
}

TEST(Load, StableWhenRequestsHardlyWait) {
  const auto verdict = judged(one_a_second([](int) { return 0.5; }), 94);
  EXPECT_EQ(verdict.load, Load::kStable);
  EXPECT_NEAR(verdict.waiting_share, 0.5 / 3.5, 3e-3);  // the last are cut off at 90 s
  EXPECT_DOUBLE_EQ(verdict.arrival_rate, 91 / 90.0);
  EXPECT_DOUBLE_EQ(verdict.drain, 4);
  EXPECT_NEAR(verdict.waiting_by_third[1], 0.5, 1e-9);  // Little: 1/s x 0.5 s
}

TEST(Load, SaysWhyNothingIsOfferedAtARate) {
  const auto waits = [](int) { return 0.5; };
  EXPECT_EQ(judged(one_a_second(waits), 94).why_no_rate, "");
  auto together = one_a_second(waits);
  for (RequestRecord& record : together) record.sent = 0;
  EXPECT_EQ(judged(together, 94).why_no_rate, "requests come all at once");
  EXPECT_EQ(judged({}, 94).why_no_rate, "no request was sent");
  const Offer loop{Stream::kClosedLoop, {}, {}};
  EXPECT_EQ(judge_load(result_of(one_a_second(waits), 94), loop).why_no_rate,
            "a closed loop: the system decides when requests come");
}

TEST(Load, SaturatedWhenAQueueStandsButDoesNotGrow) {
  const auto verdict = judged(one_a_second([](int) { return 5.0; }), 98);
  EXPECT_EQ(verdict.load, Load::kSaturated);  // waits 5 of 8 s
  EXPECT_NEAR(verdict.waiting_share, 5 / 8.0, 0.02);
}

TEST(Load, OverloadedWhenTheQueueGrows) {
  // Request i waits i/2 s: a server that takes 1.5 s for what comes every 1 s. At time t those sent
  // in (t / 1.5, t] wait, t / 3 of them: thirds at t = 15, 45, 75 -> 5, 15, 25.
  const auto verdict = judged(one_a_second([](int i) { return 0.5 * i; }), 138);
  EXPECT_EQ(verdict.load, Load::kOverloaded);
  EXPECT_NEAR(verdict.waiting_by_third[0], 5, 0.6);
  EXPECT_NEAR(verdict.waiting_by_third[2], 25, 0.6);
  EXPECT_NEAR(verdict.growth_share, 1 / 3.0, 0.01);  // a third of what comes stays behind
}

TEST(Load, ARequestCutOffInTheQueueCountsAsWaiting) {
  auto records = one_a_second([](int) { return 0.5; });
  for (int i = 30; i <= 90; ++i) {  // served no more from t = 30 on
    records[i] = left_waiting(i, i);
  }
  const auto verdict = judged(records, 90);
  EXPECT_EQ(verdict.load, Load::kOverloaded);
  EXPECT_NEAR(verdict.waiting_by_third[2], 45, 1);  // 30 at t = 60, 60 at t = 90
}

TEST(Load, WhatTheEndCutsOffWaitsOnlyWhereItWaits) {
  // Cut at t = 8. Each was sent at 0; latency so far is 8 s each, and the last number is the wait.
  RequestRecord reading = left_waiting(0, 0);  // 1 s in the queue, then a read that goes on
  reading.cache_read_start = 1;
  reading.cached_tokens = 50;
  RequestRecord batch_wait = reading;  // read until 3, its batch has not begun: 1 + 5
  batch_wait.cache_read_end = 3;
  RequestRecord no_hit = left_waiting(0, 0);  // taken at 1, no read: 1 + 7
  no_hit.cache_read_start = 1;
  RequestRecord prefilling = batch_wait;  // 1 + 1 of batch wait
  prefilling.prefill_start = 4;
  RequestRecord transfer_queue = prefilling;  // 2 + 3
  transfer_queue.prefill_end = 5;
  RequestRecord pulling = transfer_queue;  // 2 + 1
  pulling.transfer_start = 6;
  RequestRecord decode_queue = pulling;  // 3 + 1
  decode_queue.transfer_end = 7;
  RequestRecord decoding = decode_queue;  // 3 + 0.5
  decoding.decode_start = 7.5;
  const std::vector<std::pair<RequestRecord, Seconds>> cases{
      {left_waiting(0, 0), 8}, {reading, 1}, {batch_wait, 6},   {no_hit, 8},    {prefilling, 2},
      {transfer_queue, 5},     {pulling, 3}, {decode_queue, 4}, {decoding, 3.5}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto& [record, waited] = cases[i];
    EXPECT_DOUBLE_EQ(judged({record}, 8, 8).waiting_share, waited / 8) << i;
  }
}

TEST(Load, WhereNothingFinishedNothingIsStable) {
  auto records = one_a_second([](int) { return 0.0; });
  for (RequestRecord& r : records) {
    r = {.id = r.id, .arrival = r.arrival, .sent = r.sent, .finished = r.sent};
    r.outcome = serve::Outcome::kRejected;
  }
  EXPECT_EQ(judged(records, 90).load, Load::kUnserved);
  records.front() = finished(0, 0, 11, 1);
  records.front().initial_tokens = 4;  // it was under way: of those that came none finished
  EXPECT_EQ(judged(records, 90).load, Load::kUnserved);
  records.front().initial_tokens = 0;
  EXPECT_EQ(judged(records, 90).load, Load::kStable);
}

TEST(Load, AllAtOnceIsNeverOverloaded) {
  Result result = result_of({finished(0, 0, 2, 1), finished(1, 0, 2, 1)}, 5, 5);
  result.measured.request_rate = kNoSample;
  const auto verdict = judge_load(result, {});
  EXPECT_EQ(verdict.load, Load::kStable);
  EXPECT_TRUE(std::isnan(verdict.arrival_rate));
}

TEST(Load, HowItDrainsHasNoPartInIt) {
  // The same requests, but the run goes on for an hour after the last.
  const auto records = one_a_second([](int) { return 0.5; });
  EXPECT_EQ(judged(records, 94).load, judged(records, 3700).load);
  EXPECT_EQ(judged(records, 94).waiting_share, judged(records, 3700).waiting_share);
}

TEST(Load, WhatIsOfferedDecidesBeforeAQueueStands) {
  const Result calm = result_of(one_a_second([](int) { return 0.5; }), 94);
  const RoleLoad half{50, 100, 80}, over_slo{90, 100, 80}, over_all{101, 100, 80};
  const auto load = [&](const RoleLoad& prefill, const RoleLoad& decode) {
    return judge_load(calm, {Stream::kOpen, prefill, decode}).load;
  };
  EXPECT_EQ(load(half, half), Load::kStable);
  EXPECT_EQ(load(half, over_slo), Load::kSaturated);
  EXPECT_EQ(load(half, over_all), Load::kOverloaded);
  EXPECT_EQ(load(over_all, half), Load::kOverloaded);
  EXPECT_DOUBLE_EQ(over_slo.rho(), 90 / 80.0);
}

TEST(Load, IsJudgedWhileRequestsCome) {
  // Sent at 0, 1, ..., 90 s; the window is 30 to 60 s. Where it is the whole run, all of the sends.
  Result result = result_of(one_a_second([](int) { return 0.5; }), 3000, 60);
  result.window.from = 30;
  EXPECT_EQ(load_span(result).from, 30);
  EXPECT_EQ(load_span(result).to, 60);
  result.window = {0, 3000};
  ASSERT_EQ(result.window.rule, WindowRule::kWholeRun);
  EXPECT_EQ(load_span(result).from, 0);
  EXPECT_EQ(load_span(result).to, 90);
}

TEST(Load, AClosedLoopHasNoRateOfArrivals) {
  const Result calm = result_of(one_a_second([](int) { return 0.5; }), 94);
  EXPECT_TRUE(std::isnan(judge_load(calm, {Stream::kClosedLoop, {}, {}}).arrival_rate));
}

TEST(Load, WhoWasUnderWayIsNoArrival) {
  auto records = one_a_second([](int) { return 0.5; });
  for (int i = 0; i < 40; ++i) {
    records.push_back(finished(91 + i, 0, 50, 3));
    records.back().initial_tokens = 10;
  }
  EXPECT_DOUBLE_EQ(judged(records, 94).arrival_rate, 91 / 90.0);
}

}  // namespace
}  // namespace cmsim::metrics
