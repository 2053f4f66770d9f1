#include "cmsim/metrics/statistics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace cmsim::metrics {
namespace {

TEST(Percentile, InterpolatesLinearlyBetweenRanks) {
  const std::vector<double> sorted{10, 20, 30, 40};
  // rank = 0.5 * (4 - 1) = 1.5 -> 20 + 0.5 * (30 - 20)
  EXPECT_DOUBLE_EQ(percentile(sorted, 0.5), 25);
  // rank = 0.99 * 3 = 2.97 -> 30 + 0.97 * 10
  EXPECT_DOUBLE_EQ(percentile(sorted, 0.99), 39.7);
  EXPECT_DOUBLE_EQ(percentile(sorted, 0), 10);
  EXPECT_DOUBLE_EQ(percentile(sorted, 1), 40);
}

TEST(Percentile, NearestRankTakesAnExistingSample) {
  std::vector<double> samples{30, 10, 40, 20};
  EXPECT_EQ(nearest_rank(samples, 0.5), 20);   // ceil(0.5 * 4) = 2nd
  EXPECT_EQ(nearest_rank(samples, 0.51), 30);  // ceil(2.04) = 3rd
  EXPECT_EQ(nearest_rank(samples, 0.99), 40);  // ceil(3.96) = 4th
  EXPECT_EQ(nearest_rank(samples, 0), 10);
}

TEST(Summary, OfSamplesInAnyOrder) {
  std::vector<double> sorted, mixed;
  for (int i = 0; i < 1000; ++i) mixed.push_back(i * 7919 % 1009 / 2);
  sorted = mixed;
  std::ranges::sort(sorted);
  const std::vector<double> percents{99.9, 5, 50, 100, 0, 5};
  const Distribution d = summarize(mixed, 1, percents);
  EXPECT_EQ(d.median, percentile(sorted, 0.5));
  EXPECT_EQ(d.p99, percentile(sorted, 0.99));
  EXPECT_EQ(d.max, sorted.back());
  for (std::size_t i = 0; i < percents.size(); ++i) {
    EXPECT_EQ(d.percentiles[i], percentile(sorted, percents[i] / 100)) << percents[i];
  }
}

TEST(Summary, OfFourSamples) {
  const Distribution d = summarize({0.002, 0.004, 0.004, 0.006}, 1e3);
  EXPECT_EQ(d.count, 4);
  EXPECT_DOUBLE_EQ(d.mean, 4);
  EXPECT_DOUBLE_EQ(d.median, 4);
  EXPECT_DOUBLE_EQ(d.std, std::sqrt((4.0 + 0 + 0 + 4) / 4));  // of the population
  EXPECT_DOUBLE_EQ(d.p99, 4 + 0.97 * 2);                      // rank 2.97
  EXPECT_DOUBLE_EQ(d.max, 6);
}

TEST(Summary, HasThePercentilesAskedFor) {
  // Of 1, 2, 3, 4: rank 0.25 * 3 = 0.75 -> 1.75; rank 0 -> 1; rank 3 -> 4. Twice each: 1 1 2 2 3 3
  // 4 4, rank 0.25 * 7 = 1.75 -> 1.75.
  const std::vector<double> percents{25, 0, 100};
  EXPECT_EQ(summarize({4.0, 3.0, 2.0, 1.0}, 10, percents).percentiles,
            (std::vector<double>{17.5, 10, 40}));
  const std::vector<WeightedSample> twice{{1, 2}, {2, 2}, {3, 2}, {4, 2}};
  EXPECT_EQ(summarize(twice, 10, percents).percentiles, (std::vector<double>{17.5, 10, 40}));
  EXPECT_TRUE(summarize({4.0, 3.0}).percentiles.empty());
}

TEST(Summary, OfNothingIsEmpty) {
  EXPECT_EQ(summarize(std::vector<double>{}).count, 0);
  EXPECT_EQ(summarize(std::vector<WeightedSample>{{1, 0}}).count, 0);
}

TEST(Summary, WeightsEqualTheExpandedList) {
  const std::vector<WeightedSample> weighted{{5, 3}, {1, 2}, {9, 1}, {5, 4}, {2, 0}};
  std::vector<double> expanded;
  for (const auto& [value, weight] : weighted) expanded.insert(expanded.end(), weight, value);
  const Distribution a = summarize(weighted);
  const Distribution b = summarize(expanded);
  EXPECT_EQ(a.count, b.count);
  EXPECT_DOUBLE_EQ(a.mean, b.mean);
  EXPECT_DOUBLE_EQ(a.median, b.median);
  EXPECT_DOUBLE_EQ(a.std, b.std);
  EXPECT_DOUBLE_EQ(a.p99, b.p99);  // rank 0.99 * 9 = 8.91: between the last 5 and the 9
  EXPECT_DOUBLE_EQ(a.p99, 5 + 0.91 * 4);
}

}  // namespace
}  // namespace cmsim::metrics
