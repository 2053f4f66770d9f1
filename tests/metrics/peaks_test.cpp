#include "cmsim/metrics/peaks.hpp"

#include <gtest/gtest.h>

#include "tests/metrics/records.hpp"

namespace cmsim::metrics {
namespace {

void add_step(Result& result, Seconds end, int tokens) {
  result.steps.push_back({.end = end, .tokens = tokens});
}

TEST(Peaks, AreOfTheSecondsSinceTheFirstSend) {
  // Sent at 10.5: steps that end at 14.6 and 15.4 are both in second 4 (14.5 to 15.5), one at 15.6
  // is in the next.
  Result result;
  result.records = {finished(0, 10.5, 10, 1)};
  add_step(result, 14.6, 3);
  add_step(result, 15.4, 4);
  add_step(result, 15.6, 5);
  EXPECT_EQ(peaks_of(result, serve::Role::kAll).output_tokens_per_s, 7);
}

TEST(Peaks, ARequestCountsInEverySecondItTouches) {
  // 4 + 1 s each from 0, 5.5 and 20: the first is in seconds 0 to 5, the second in 5 to 10.
  Result result;
  result.records = {finished(0, 0, 10, 1), finished(1, 5.5, 10, 1), finished(2, 20, 10, 1)};
  EXPECT_EQ(peaks_of(result, serve::Role::kAll).concurrent_requests, 2);
  serve::RequestRecord later = finished(1, 5.5, 10, 1);
  later.sent = 6;  // second 6, when the first is gone
  result.records = {finished(0, 0, 10, 1), later, finished(2, 20, 10, 1)};
  EXPECT_EQ(peaks_of(result, serve::Role::kAll).concurrent_requests, 1);
}

TEST(Peaks, OnlyWhatFinishedCounts) {
  Result result;
  result.records = {rejected(0, 0), left_waiting(1, 0)};
  add_step(result, 1, 3);
  EXPECT_EQ(peaks_of(result, serve::Role::kAll).concurrent_requests, 0);
  EXPECT_EQ(peaks_of(result, serve::Role::kAll).output_tokens_per_s, 0);
}

TEST(Peaks, PrefillAloneMakesOneTokenARequest) {
  Result result;
  result.records = {finished(0, 0, 10, 0), finished(1, 0.5, 10, 0)};  // at 4 and 4.5 s
  EXPECT_EQ(peaks_of(result, serve::Role::kPrefillOnly).output_tokens_per_s, 2);
}

}  // namespace
}  // namespace cmsim::metrics
