#include "cmsim/check/run_cases.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cmsim/base/error.hpp"
#include "tests/check/results.hpp"

namespace cmsim::check {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

Case a_case(const std::string& name, std::vector<std::uint64_t> seeds) {
  Case made;
  made.name = name;
  made.point.file = name;
  made.seeds = std::move(seeds);
  made.expectations = {{study::find_metric("tpot", "run"), 0, 0, {}, {}}};
  return made;
}

/// A run whose mean TPOT is 40 ms plus the seed.
std::string result_of(const study::Point& point) {
  if (point.file == "refused") throw ConfigError("no such scenario");
  if (point.file == "text") return "Requests 12";
  if (point.file == "step") return step_result().dump();
  if (point.file == "third" && point.seed == 3) throw SimulationError("it broke");
  json result = run_result();
  result["window"]["tpot_ms"]["mean"] = 40.0 + static_cast<double>(point.seed.value_or(0));
  return result.dump();
}

std::vector<CaseRun> run(std::vector<Case> cases) {
  Baseline baseline;
  baseline.cases = std::move(cases);
  return run_cases(baseline, result_of, {.jobs = 2});
}

TEST(RunCases, EveryCaseHasItsFigures) {
  const auto runs = run({a_case("a", {}), a_case("b", {7}), a_case("c", {})});
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].figures->metrics.at("tpot"), 40.0);
  EXPECT_EQ(runs[1].figures->metrics.at("tpot"), 47.0);
  EXPECT_TRUE(runs[1].figures->intervals.empty());  // one draw tells no interval
  EXPECT_EQ(runs[2].figures->metrics.at("tpot"), 40.0);
}

TEST(RunCases, SeveralSeedsGiveAMeanAndItsInterval) {
  const auto runs = run({a_case("a", {1, 2, 3})});
  // Mean of 41, 42, 43; s = 1, so 42 -+ t(2 degrees, 97.5 %) / sqrt(3) = 42 -+ 4.302653 / 1.732051.
  EXPECT_EQ(runs[0].figures->metrics.at("tpot"), 42.0);
  const Interval interval = runs[0].figures->intervals.at("tpot");
  EXPECT_NEAR(interval.lower, 42 - 2.484138, 1e-6);
  EXPECT_NEAR(interval.upper, 42 + 2.484138, 1e-6);
}

TEST(RunCases, WhatCannotBeRunSaysWhyAndTheOthersGoOn) {
  const auto runs = run({a_case("refused", {}), a_case("text", {}), a_case("step", {}),
                         a_case("third", {2, 3}), a_case("a", {})});
  EXPECT_THAT(runs[0].error, HasSubstr("no such scenario"));
  EXPECT_THAT(runs[1].error, HasSubstr("printed no JSON"));
  EXPECT_THAT(runs[2].error, HasSubstr("printed no result of run"));
  EXPECT_THAT(runs[3].error, HasSubstr("seed 3: it broke"));
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(runs[i].figures) << i;
  EXPECT_TRUE(runs[4].figures);
}

TEST(MeanOf, PartsAreMeansAndTextsAreCounted) {
  const auto metrics = headlines(Kind::kRun);
  json other = run_result();
  other["load"]["verdict"] = "overloaded";
  other["breakdown"]["decode"]["critical_path_us"]["MLP"] = 700.0;
  other["window"]["queues"].erase("decode_waiting");
  const Figures one = figures_of(run_result(), Kind::kRun, metrics);
  const Figures mean = mean_of({one, one, figures_of(other, Kind::kRun, metrics)});
  EXPECT_EQ(mean.metrics.at("verdict"), "overloaded x 1, stable x 2");
  EXPECT_EQ(mean.metrics.at("slo"), true);
  for (const PartGroup& group : mean.groups) {
    EXPECT_NE(group.name, kQueues);  // not in every seed
    if (group.name != "decode critical path, us") continue;
    for (const auto& [name, value] : group.parts) {
      if (name == "MLP") {
        EXPECT_DOUBLE_EQ(value, (600.0 + 600 + 700) / 3);
      }
    }
  }
}

}  // namespace
}  // namespace cmsim::check
