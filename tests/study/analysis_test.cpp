#include "cmsim/study/analysis.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "cmsim/base/error.hpp"

namespace cmsim::study {
namespace {

using ::testing::ElementsAre;

/// Axes /a = 1, 2, 4 and /b = u, v with seeds 1 to 4, where y is as given and "w" a text.
Table table_of(const std::function<double(double a, bool v, double seed)>& y) {
  Study study;
  study.file = "s.json";
  study.dimensions = {{{"/a", {"1", "2", "4"}}}, {{"/b", {"u", "v"}}}};
  study.seeds = {1, 2, 3, 4};
  study.metrics = {{"y", "/y", "", Better::kHigher},
                   {"z", "/z", "", Better::kLower},
                   {"w", "/w"},
                   {"met", "/met"}};
  std::vector<StudyPoint> points = expand(study);
  std::vector<Outcome> outcomes;
  for (const StudyPoint& point : points) {
    const double a = std::stod(point.point.sets[0].substr(3));
    const bool v = point.point.sets[1] == "/b=v";
    Outcome outcome;
    outcome.ending = Ending::kDone;
    outcome.result = R"({"y": )" + std::to_string(y(a, v, static_cast<double>(*point.point.seed))) +
                     R"(, "z": )" + std::to_string(a * (v ? 10 : 1)) + R"(, "met": )" +
                     (*point.point.seed < 4 ? "true" : "false") + R"(, "w": ")" +
                     (*point.point.seed == 1 ? "odd" : "even") + "\"}";
    outcomes.push_back(std::move(outcome));
  }
  return make_table(study, std::move(points), std::move(outcomes));
}

TEST(Analysis, CellsHaveMeansAndCountsOfTexts) {
  const auto figures = cell_figures(table_of([](double a, bool, double seed) { return a + seed; }));
  ASSERT_EQ(figures.size(), 6u);
  EXPECT_DOUBLE_EQ(figures[0][0].number->mean, 3.5);  // 1 + (1 + 2 + 3 + 4) / 4
  EXPECT_DOUBLE_EQ(figures[5][0].number->mean, 6.5);
  EXPECT_EQ(figures[0][2].texts.at("even"), 3u);
  EXPECT_FALSE(figures[0][2].number);
  EXPECT_EQ(figures[0][3].flag->met, 3u);  // seeds 1 to 3
  EXPECT_EQ(figures[0][3].flag->of, 4u);
}

TEST(Analysis, ChangesAreAgainstTheFirstValueWithAllElseAndTheSeedEqual) {
  // A seed moves everything by 100; v adds 1 or 2 by turns: mean 1.5 although seeds differ so much.
  const auto all = all_changes(table_of([](double a, bool v, double seed) {
    return a + 100 * seed + (v ? 1 + static_cast<int>(seed) % 2 : 0);
  }));
  const auto& by_b = all.dimensions[1];
  ASSERT_EQ(by_b.size(), 3u);  // one for each value of /a
  EXPECT_EQ(by_b[0].against, 0u);
  EXPECT_EQ(by_b[0].cell, 1u);
  EXPECT_DOUBLE_EQ(by_b[0].metrics[0]->of.mean, 1.5);
  // Deviation sqrt(4 x 0.25 / 3) = 0.57735, t = 1.5 / (0.57735 / 2) = 5.196 with 3 degrees of
  // freedom: p = 0.0138; three such are the whole family, hence x 3.
  EXPECT_EQ(all.tested, 3u);
  EXPECT_NEAR(*by_b[0].metrics[0]->p, 3 * 0.013847, 1e-4);
  EXPECT_TRUE(significant(*by_b[0].metrics[0]));
  const auto& by_a = all.dimensions[0];
  ASSERT_EQ(by_a.size(), 4u);
  EXPECT_TRUE(by_a[0].metrics[0]->exact);  // every seed gains the same 1
  EXPECT_TRUE(significant(*by_a[0].metrics[0]));
  EXPECT_FALSE(by_a[0].metrics[2]);  // a text has no difference
}

TEST(Analysis, NoiseIsNotSignificant) {
  const auto all = all_changes(table_of([](double a, bool v, double seed) {
    return a + (v ? (static_cast<int>(seed) % 2 == 0 ? 1.01 : -1) : 0);
  }));
  EXPECT_FALSE(significant(*all.dimensions[1][0].metrics[0]));
}

TEST(Analysis, ElasticityOfNumericAxes) {
  // y = seed x a^0.5: the slope of ln y is 0.5 for every seed. z = a x const: 1.
  const Table table =
      table_of([](double a, bool, double seed) { return seed * std::sqrt(a) * 1000; });
  const auto by_a = elasticities(table, 0);
  EXPECT_NEAR(by_a[0]->mean, 0.5, 1e-6);
  EXPECT_NEAR(by_a[1]->mean, 1, 1e-6);
  EXPECT_FALSE(by_a[2]);
  EXPECT_TRUE(elasticities(table, 1).empty());  // u and v are no numbers
}

TEST(Analysis, AnElasticityIsOfAllSeedsOrNone) {
  const Table table =
      table_of([](double a, bool, double seed) { return seed == 1 && a == 1 ? 0 : a; });
  EXPECT_FALSE(elasticities(table, 0)[0]);  // the logarithm of 0 has no slope
}

TEST(Analysis, TheParetoFrontKeepsWhatNothingBeats) {
  // By cell (a, b): y = 1, 1, 2, 2, 4, 4 (more is better), z = 1, 10, 2, 20, 4, 40 (less is).
  const Table table = table_of([](double a, bool, double) { return a; });
  EXPECT_THAT(pareto(table, table.study.metrics[0], table.study.metrics[1]),
              ElementsAre(4u, 2u, 0u));
  EXPECT_THROW(pareto(table, table.study.metrics[0], table.study.metrics[2]), ConfigError);
}

}  // namespace
}  // namespace cmsim::study
