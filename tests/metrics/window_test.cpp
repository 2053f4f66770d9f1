#include "cmsim/metrics/window.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/metrics/records.hpp"

namespace cmsim::metrics {
namespace {

TEST(Mser5, DeletesTheRampAndNoMore) {
  // 20 observations of a ramp, then 80 that alternate about 10: batch means 2 a batch up, then 10.
  // With the ramp's last mean (8) kept, the spread is (2 * 16 / 17)^2 ... > 0; without it is 0.
  std::vector<double> series;
  for (int i = 0; i < 20; ++i) series.push_back(i / 5 * 2);
  for (int i = 0; i < 80; ++i) series.push_back(10 + (i % 5 == 0 ? 2 : -0.5));
  EXPECT_EQ(mser5(series), 20u);
}

TEST(Mser5, ByHandOnTenBatches) {
  // Batch means 0, 4, 5, 6, 5, 5, 6, 5, 5, 5. Sum of squares about the mean / n^2:
  //   n = 10: mean 4.6, 26.4 / 100 = 0.264;   n = 9: mean 46/9, 2.89 / 81 = 0.0357;
  //   n = 8: mean 5.25, 1.5 / 64 = 0.0234;    n = 7: mean 37/7, 1.43 / 49 = 0.0292;
  //   n = 6: mean 31/6, 0.83 / 36 = 0.0231;   n = 5: 26/5, 0.8 / 25 = 0.032.
  // The least is at n = 6: four means deleted.
  const std::vector<double> means{0, 4, 5, 6, 5, 5, 6, 5, 5, 5};
  std::vector<double> series;
  for (const double mean : means) series.insert(series.end(), 5, mean);
  EXPECT_EQ(mser5(series), 20u);
}

TEST(Mser5, AConstantSeriesHasNoWarmUp) { EXPECT_EQ(mser5(std::vector<double>(100, 7.25)), 0u); }

TEST(Mser5, AnEndlessRampHasNoSteadyState) {
  std::vector<double> series;
  for (int i = 0; i < 200; ++i) series.push_back(i);
  EXPECT_EQ(mser5(series), std::nullopt);
  EXPECT_EQ(mser5(std::vector<double>(49, 1.0)), std::nullopt);  // too few to tell
}

/// One request a second for 90 s, each in the system for 5 s; `in_decode(t)` requests in decode.
template <class Level>
Window window_of(const Level& in_decode, const WindowSpec& spec = {}) {
  std::vector<serve::RequestRecord> records;
  for (int i = 0; i <= 90; ++i) records.push_back(finished(i, 10 + i, 2, 1));
  Timeline timeline;
  for (int i = 0; i <= 95; ++i) {
    timeline.set({.at = 10.0 + i, .decode_running = static_cast<std::int64_t>(in_decode(i))});
  }
  timeline.close(106);
  return find_window(timeline, records, 106, spec);
}

TEST(Window, BeginsAfterTheWarmUpAndEndsWithTheLastArrival) {
  const Window window = window_of([](int t) { return std::min(t, 20); });
  EXPECT_EQ(window.rule, WindowRule::kMser5);
  EXPECT_TRUE(window.steady);
  EXPECT_NEAR(window.from, 10 + 20, 2);
  EXPECT_NEAR(window.to, 100, 0.1);  // the end of the bin that the last send lies in
  EXPECT_GE(window.to, 100);
  EXPECT_TRUE(std::isnan(window.needed));
  EXPECT_EQ(window.cohort().from, window.from);
  EXPECT_DOUBLE_EQ(window.cohort().to, (window.from + window.to) / 2);
}

TEST(Window, NoLengthWouldDoWhereTheSystemDoesNotKeepUp) {
  const Window window = window_of([](int t) { return t; });
  EXPECT_DOUBLE_EQ(with_load(window, Load::kStable).needed, 180);
  EXPECT_EQ(with_load(window, Load::kStable).why_not, window.why_not);
  for (const Load load : {Load::kOverloaded, Load::kSaturated}) {
    EXPECT_TRUE(std::isnan(with_load(window, load).needed));
    EXPECT_EQ(with_load(window, load).why_not,
              window.why_not + "; " + to_string(load) + ": no length would do");
  }
  const Window steady = window_of([](int t) { return std::min(t, 20); });
  EXPECT_EQ(with_load(steady, Load::kSaturated).why_not, "");
}

TEST(Window, WhatGrowsToTheEndIsNotSteadyAndSaysWhatIsNeeded) {
  const Window window = window_of([](int t) { return t; });
  EXPECT_FALSE(window.steady);
  EXPECT_NEAR(window.from, 10 + 45, 0.1);     // the second half of the arrivals
  EXPECT_DOUBLE_EQ(window.needed, 2 * 90.0);  // the arrivals there are: longer than the p99 of 5 s
  EXPECT_FALSE(window.why_not.empty());
}

TEST(Window, TheWarmUpCanBeSet) {
  const Window window = window_of([](int t) { return t; }, {.warmup = 30});
  EXPECT_EQ(window.rule, WindowRule::kSet);
  EXPECT_TRUE(window.steady);
  EXPECT_NEAR(window.from, 40, 0.1);
}

TEST(Window, AStationaryStartNeedsNone) {
  const Window window = window_of([](int t) { return t; }, {.stationary_start = true});
  EXPECT_EQ(window.rule, WindowRule::kStationaryStart);
  EXPECT_EQ(window.from, 10);
}

TEST(Window, AllAtOnceIsMeasuredWhole) {
  const std::vector<serve::RequestRecord> records{finished(0, 1, 2, 1), finished(1, 1, 2, 1)};
  Timeline timeline;
  timeline.set({.at = 1});
  timeline.close(6);
  const Window window = find_window(timeline, records, 6, {});
  EXPECT_EQ(window.rule, WindowRule::kWholeRun);
  EXPECT_FALSE(window.steady);
  EXPECT_EQ(window.from, 1);
  EXPECT_EQ(window.to, 6);
  EXPECT_TRUE(window.cohort().has(records[1]));  // all of them
}

TEST(Window, ShorterThanARequestIsInTheSystemIsNotSteady) {
  // Set to begin at 99 s: 1 s is left of the arrivals, a request takes 5 s.
  const Window window = window_of([](int) { return 5; }, {.warmup = 89});
  EXPECT_FALSE(window.steady);
  EXPECT_NEAR(window.needed, 89 + 5, 0.1);
}

}  // namespace
}  // namespace cmsim::metrics
