#include "cmsim/study/statistics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace cmsim::study {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(Statistics, AMeanHasStudentsInterval) {
  // Mean 3, variance (4 + 1 + 0 + 1 + 4) / 4 = 2.5; t(0.975, 4) = 2.776445:
  // 2.776445 x sqrt(2.5 / 5) = 1.963243.
  const std::vector<double> samples{1, 2, 3, 4, 5};
  const Estimate result = estimate(samples);
  EXPECT_EQ(result.mean, 3);
  EXPECT_NEAR(*result.half, 1.963243, 1e-6);
  EXPECT_NEAR(result.deviation, std::sqrt(2.5), 1e-12);
  const std::vector<double> one{7};
  EXPECT_EQ(estimate(one).mean, 7);
  EXPECT_FALSE(estimate(one).half);
  const std::vector<double> equal{0.1, 0.1, 0.1};  // their sum is not 0.3 to the last bit
  EXPECT_EQ(*estimate(equal).half, 0);
}

TEST(Statistics, PairsTakeOutWhatTheSeedsShare) {
  // Seeds differ by 100, the change adds 1, 2, 3: mean 2, deviation 1, error 1 / sqrt(3) = 0.57735,
  // t = 3.4641 with 2 degrees of freedom: p = 1 - t / sqrt(2 + t^2) = 1 - 3.4641 / 3.7417 =
  // 0.07418.
  const std::vector<double> first{100, 200, 300}, second{101, 202, 303};
  const Difference result = paired_difference(first, second);
  EXPECT_EQ(result.of.mean, 2);
  EXPECT_NEAR(*result.p, 0.0741799, 1e-6);
  EXPECT_DOUBLE_EQ(result.relative, 0.01);
  // t(0.975, 2) = 4.302653 x 0.57735.
  EXPECT_NEAR(*result.of.half, 2.484138, 1e-6);
  EXPECT_FALSE(result.exact);
}

TEST(Statistics, WhatDiffersByTheSameInEveryPairIsExact) {
  const std::vector<double> first{0.1, 0.2, 0.3}, second{0.3, 0.4, 0.5};
  EXPECT_TRUE(paired_difference(first, second).exact);
  EXPECT_EQ(*paired_difference(first, second).p, 0);
  EXPECT_EQ(*paired_difference(first, first).p, 1);
  const std::vector<double> one{1}, two{2};
  EXPECT_FALSE(paired_difference(one, two).p);
}

TEST(Statistics, HolmAdjustsFromTheSmallestUp) {
  // 0.01 x 4 = 0.04; 0.02 x 3 = 0.06; 0.03 x 2 = 0.06; 0.8 x 1.
  const std::vector<double> p{0.03, 0.01, 0.8, 0.02};
  EXPECT_THAT(holm(p), ElementsAre(DoubleNear(0.06, 1e-12), DoubleNear(0.04, 1e-12),
                                   DoubleNear(0.8, 1e-12), DoubleNear(0.06, 1e-12)));
  // An adjusted value is never below that of a smaller one: 0.04 x 2 = 0.08, then 0.05 x 1 -> 0.08.
  const std::vector<double> close{0.05, 0.04};
  EXPECT_THAT(holm(close), ElementsAre(DoubleNear(0.08, 1e-12), DoubleNear(0.08, 1e-12)));
}

TEST(Statistics, ElasticityIsTheSlopeOfTheLogarithms) {
  const std::vector<double> x{1, 2, 4, 8}, y{3, 12, 48, 192};  // 3 x^2
  EXPECT_NEAR(*log_slope(x, y), 2, 1e-12);
  const std::vector<double> zero{0, 1, 2, 3};
  EXPECT_FALSE(log_slope(x, zero));
  const std::vector<double> same{2, 2, 2, 2};
  EXPECT_FALSE(log_slope(same, y));
}

}  // namespace
}  // namespace cmsim::study
