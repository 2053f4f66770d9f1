#include "cmsim/study/band.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace cmsim::study {
namespace {

using ::testing::ElementsAre;

std::vector<UncertainConstant> constants_of(const char* text) {
  return uncertain_constants(ConfigDocument::from_text(text, "x.json"));
}

TEST(LatinHypercube, HitsEachStratumOnce) {
  constexpr std::size_t kSamples = 16;
  const auto shares = latin_hypercube({"/a", "/b"}, kSamples, 7);
  ASSERT_EQ(shares.size(), 2u);
  for (const std::vector<double>& of : shares) {
    std::set<int> strata;
    for (const double share : of) {
      ASSERT_GE(share, 0);
      ASSERT_LT(share, 1);
      strata.insert(static_cast<int>(share * kSamples));
    }
    EXPECT_EQ(strata.size(), kSamples);
    EXPECT_FALSE(std::ranges::is_sorted(of));
  }
  EXPECT_NE(shares[0], shares[1]);
}

TEST(LatinHypercube, AStreamIsOfItsSeedAndNameAlone) {
  const auto both = latin_hypercube({"/a", "/b"}, 8, 7);
  EXPECT_EQ(latin_hypercube({"/b"}, 8, 7)[0], both[1]);
  EXPECT_NE(latin_hypercube({"/b"}, 8, 8)[0], both[1]);
}

TEST(UncertainConstants, AreReadWithUnitsOfTheirOwn) {
  const auto constants = constants_of(R"({
    "a": {"value": 1.2, "range": [1.05, 1.5], "source": "S"},
    "b": {"c": {"value": "3us", "range": ["500ns", "4us"]}, "d": {"value": 1}},
    "e": {"value": 2, "range": [2, 2]}})");
  ASSERT_EQ(constants.size(), 2u);  // what lies between 2 and 2 is known
  EXPECT_EQ(constants[0].pointer, "/a");
  EXPECT_EQ(constants[0].source, "S");
  EXPECT_EQ(constants[1].pointer, "/b/c");
  EXPECT_DOUBLE_EQ(constants[1].low, 500);
  EXPECT_DOUBLE_EQ(constants[1].high, 4000);  // in the unit of the low end
  EXPECT_EQ(constants[1].text(1250.5), "1250.5ns");
  EXPECT_EQ(constants[1].high_text, "4us");
}

TEST(UncertainConstants, AreSpreadByRatioBeyondAFactorOfTwo) {
  const auto constants = constants_of(R"({
    "by_ratio": {"value": 2, "range": [1, 4]},
    "even": {"value": 1, "range": [1, 2]},
    "from_zero": {"value": 1, "range": [0, 100]}})");
  EXPECT_DOUBLE_EQ(constants[0].at(0.5), 2);    // sqrt(1 x 4)
  EXPECT_DOUBLE_EQ(constants[1].at(0.5), 1.5);  // a factor of 2 is not beyond it
  EXPECT_DOUBLE_EQ(constants[2].at(0.25), 25);
  for (const UncertainConstant& constant : constants) {
    EXPECT_DOUBLE_EQ(constant.at(0), constant.low);
    EXPECT_DOUBLE_EQ(constant.at(1), constant.high);
  }
}

TEST(RankCorrelation, IsOfRanksNotOfValues) {
  const std::vector<double> x{1, 2, 3, 4}, up{1, 10, 100, 1000}, down{4, 3, 2, 1};
  EXPECT_DOUBLE_EQ(*rank_correlation(x, up), 1);
  EXPECT_DOUBLE_EQ(*rank_correlation(x, down), -1);
  // Ranks 2, 1, 4, 3: 1 - 6 x (1 + 1 + 1 + 1) / (4 x 15) = 0.6.
  const std::vector<double> mixed{2, 1, 4, 3};
  EXPECT_DOUBLE_EQ(*rank_correlation(x, mixed), 0.6);
  // Ranks 1.5, 1.5, 3, 4 about 2.5: (1.5 + 0.5 + 0.25 + 2.25) / sqrt(5 x 4.5).
  const std::vector<double> tied{1, 1, 5, 9};
  EXPECT_DOUBLE_EQ(*rank_correlation(x, tied), 4.5 / std::sqrt(5 * 4.5));
  const std::vector<double> flat{7, 7, 7, 7};
  EXPECT_FALSE(rank_correlation(x, flat));
}

/// Results in which TPOT is 10 a - b, as if run.
class Bands : public testing::Test {
 protected:
  static constexpr std::size_t kSamples = 21;
  const std::vector<UncertainConstant> constants_ = constants_of(R"({
      "a": {"value": 1.5, "range": [1, 2], "source": "S"}, "b": {"value": 1.5, "range": [1, 2]}})");

  static nlohmann::json result_of(double a, double b) {
    return {{"window", {{"tpot_ms", {{"mean", 10 * a - b}}}, {"ttft_ms", nullptr}}}};
  }
  Table table(std::size_t failed = 0) const {
    Study scenario;
    scenario.file = "x.json";
    const Study study = band_study(scenario, constants_, kSamples, 1);
    std::vector<StudyPoint> points = expand(study);
    std::vector<Outcome> outcomes(points.size());
    for (std::size_t i = failed; i < points.size(); ++i) {
      const std::vector<Axis> axes = study.axes();
      outcomes[i].ending = Ending::kDone;
      outcomes[i].result =
          result_of(std::stod(axes[0].values[i]), std::stod(axes[1].values[i])).dump();
    }
    Table table{study, cells_of(study), points, outcomes, {}, {}, {}};
    for (const Outcome& outcome : outcomes) {
      std::vector<Value> values(study.metrics.size());
      for (std::size_t m = 0; outcome.done() && m < values.size(); ++m) {
        values[m] = value_of(nlohmann::json::parse(outcome.result), study.metrics[m]);
      }
      table.values.push_back(values);
    }
    return table;
  }
};

TEST_F(Bands, APointIsASampleOfAllConstants) {
  const Table samples = table();
  ASSERT_EQ(samples.points.size(), kSamples);
  ASSERT_EQ(samples.points[0].point.sets.size(), 2u);
  EXPECT_THAT(samples.points[0].point.sets[0], testing::StartsWith("/a=1."));
  EXPECT_FALSE(samples.points[0].point.seed);
}

TEST_F(Bands, AreOfWhatTheRunHasAndNameTheConstantThatMovesItMost) {
  const metrics::Uncertainty found = uncertainty(table(), constants_, result_of(1.5, 1.5));
  EXPECT_EQ(found.samples, kSamples);
  ASSERT_EQ(found.bands.size(), 1u);  // no other headline is in these results
  const metrics::Band& band = found.bands[0];
  EXPECT_EQ(band.metric, "tpot");
  EXPECT_DOUBLE_EQ(band.nominal, 13.5);
  EXPECT_EQ(band.dominant, "/a");
  EXPECT_GT(band.correlation, 0.9);
  // Of 10 a - b with a and b even over 1 to 2, nearly those of 10 a - 1.5.
  EXPECT_NEAR(band.low, 10 * 1.05 - 1.5, 0.5);
  EXPECT_NEAR(band.high, 10 * 1.95 - 1.5, 0.5);
  ASSERT_EQ(found.constants.size(), 2u);
  EXPECT_EQ(found.constants[0].source, "S");
}

TEST_F(Bands, PercentilesAreOfTheSamplesThatEndedWell) {
  Table samples = table(1);
  for (std::size_t i = 1; i < kSamples; ++i) {
    samples.values[i].assign(samples.study.metrics.size(), static_cast<double>(i));  // 1 to 20
  }
  const auto found = uncertainty(samples, constants_, result_of(1.5, 1.5));
  EXPECT_EQ(found.samples, 20u);
  // Rank 0.05 x 19 = 0.95 from 1; 0.95 x 19 = 18.05.
  EXPECT_DOUBLE_EQ(found.bands[0].low, 1.95);
  EXPECT_DOUBLE_EQ(found.bands[0].high, 19.05);
}

TEST_F(Bands, WhatNothingMovesHasNoDominantConstant) {
  Table samples = table();
  for (auto& values : samples.values) std::ranges::fill(values, Value(3.0));
  const auto found = uncertainty(samples, constants_, result_of(1.5, 1.5));
  EXPECT_EQ(found.bands[0].dominant, "");
  EXPECT_EQ(found.bands[0].low, 3);
}

TEST_F(Bands, WhatMayBeChanceIsNotNamed) {
  // Five samples, of which b has the ranks 1, 2, 3, 5, 4: rho 0.9, t = 0.9 sqrt(3 / 0.19) = 3.576,
  // p = 0.037, of two constants 0.075. With a perfect order it is 0.
  Study scenario;
  scenario.file = "x.json";
  Study study = band_study(scenario, constants_, 5, 1);
  study.dimensions[0][0].values = {"1.3", "1.1", "1.5", "1.2", "1.4"};
  study.dimensions[0][1].values = {"1.1", "1.2", "1.3", "1.4", "1.5"};
  Table table{study, cells_of(study), expand(study), {}, {}, {}, {}};
  table.outcomes.resize(5);
  for (Outcome& outcome : table.outcomes) outcome.ending = Ending::kDone;
  const auto dominant = [&](const std::vector<double>& values) {
    table.values.clear();
    for (const double value : values) {
      table.values.emplace_back(study.metrics.size(), Value(value));
    }
    return uncertainty(table, constants_, result_of(1.5, 1.5)).bands.at(0).dominant;
  };
  EXPECT_EQ(dominant({1, 2, 3, 5, 4}), "");
  EXPECT_EQ(dominant({1, 2, 3, 4, 5}), "/b");
}

TEST(BandMetrics, AreMeansAndRates) {
  std::vector<std::string> names;
  for (const Metric& metric : band_metrics()) names.push_back(metric.name);
  EXPECT_THAT(names, ElementsAre("goodput", "output_throughput", "ttft", "tpot",
                                 "prefill_tokens_per_s_per_npu", "tokens_per_s_per_npu"));
}

}  // namespace
}  // namespace cmsim::study
