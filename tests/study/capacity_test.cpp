#include "cmsim/study/capacity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cmsim/study/sensitivity.hpp"

namespace cmsim::study {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Capacity, RequirementsHaveUnits) {
  const Requirement time = parse_requirement("p99_ttft<=2s", "run");
  EXPECT_EQ(time.value, 2000);  // the metric is in ms
  EXPECT_EQ(time.bound, Bound::kAtMost);
  EXPECT_EQ(parse_requirement("p99_ttft<=50", "run").value, 50);
  EXPECT_EQ(parse_requirement("goodput>=60", "run").bound, Bound::kAtLeast);
  EXPECT_EQ(parse_requirement("slo", "run").bound, Bound::kTrue);
  EXPECT_THROW(parse_requirement("goodput>=60GB", "run"), ConfigError);
  EXPECT_THROW(parse_requirement("goodput<=", "run"), ConfigError);
  const Requirement any{{"y", "/y"}, Bound::kAtMost, 5};
  EXPECT_TRUE(holds(any, nlohmann::json::parse(R"({"y": 5})")));
  EXPECT_FALSE(holds(any, nlohmann::json::parse(R"({"y": 5.1})")));
  EXPECT_FALSE(holds(any, nlohmann::json::parse(R"({"y": null})")));
}

/// The loads tried when everything up to `limit` holds.
std::vector<double> tried(Bisection search, double limit) {
  std::vector<double> loads;
  while (search.next()) {
    loads.push_back(*search.next());
    search.tell(loads.back() <= limit);
  }
  return loads;
}

TEST(Capacity, DoublesToABracketThenBisectsInRatios) {
  // 1, 2, 4, 8 hold, 16 fails; sqrt(8 x 16) = 11.31 fails, sqrt(8 x 11.31) = 9.512 holds,
  // sqrt(9.512 x 11.31) = 10.37 fails: 10.37 / 9.512 = 1.09.
  EXPECT_THAT(tried(Bisection(1, 0.1), 10), ElementsAre(1, 2, 4, 8, 16, 11.31, 9.512, 10.37));
  // 1 fails, 0.5 and 0.25 too, 0.125 holds; 0.1768 holds, 0.2102 fails, 0.1928 holds.
  EXPECT_THAT(tried(Bisection(1, 0.1), 0.2),
              ElementsAre(1, 0.5, 0.25, 0.125, 0.1768, 0.2102, 0.1928));
  EXPECT_THAT(tried(Bisection(4, 0.01, Loads::kWhole), 5), ElementsAre(4, 8, 6, 5));
  EXPECT_EQ(tried(Bisection(1, 0.1), 1e300).size(), 14u);  // 2^13 and no further
}

TEST(Capacity, MoreLoadIsTriedWhereARequirementAsksForMore) {
  // At least 60 of what grows with the load, which fails again above 100: 20 and 40 are too little,
  // 80 holds, 160 fails; sqrt(80 x 160) = 113.1 fails, sqrt(80 x 113.1) = 95.12 holds, 113.1
  // / 95.12 = 1.19, sqrt = 103.7 fails: 1.09.
  Bisection search(20, 0.1, Loads::kAny, Holding::kBetween);
  std::vector<double> loads;
  while (search.next()) {
    loads.push_back(*search.next());
    search.tell(loads.back() >= 60 && loads.back() <= 100);
  }
  EXPECT_THAT(loads, ElementsAre(20, 40, 80, 160, 113.1, 95.12, 103.7));
  EXPECT_EQ(search.bracket().holds, 95.12);
}

ConfigDocument scenario(const std::string& workload) {
  return ConfigDocument::from_text("{\"workload\": " + workload + "}", "s.json");
}

TEST(Capacity, TheLoadIsWhatTheArrivalsHave) {
  EXPECT_EQ(find_knob(scenario(R"({"arrivals": {"kind": "poisson", "rate": "12/s"}})")).set_to(6),
            "/workload/arrivals/rate=6/s");
  const Knob scale = find_knob(scenario(R"({"trace": "t", "time_scale": {"value": 3}})"));
  EXPECT_EQ(scale.set_to(scale.start), "/workload/time_scale=3");
  EXPECT_EQ(find_knob(scenario(R"({"trace": "t"})")).set_to(1.5), "/workload/time_scale=1.5");
  EXPECT_EQ(
      find_knob(scenario(R"({"arrivals": {"kind": "closed_loop", "concurrency": 7}})")).set_to(8),
      "/workload/arrivals/concurrency=8");
  EXPECT_THROW(find_knob(scenario(R"({"arrivals": {"kind": "closed_loop"}})")), ConfigError);
  EXPECT_THROW(find_knob(scenario(R"({"arrivals": {"kind": "all_at_once"}})")), ConfigError);
}

TEST(Capacity, EveryCellIsSearchedAndTheShareOfTheSeedsCounts) {
  // A point holds up to 10 x a, for seed 3 up to half of that.
  Study study;
  study.file = "s.json";
  study.dimensions = {{{"/a", {"1", "4"}}}};
  study.seeds = {1, 2, 3};
  const RunStudyPoints run = [](const std::vector<StudyPoint>& points) {
    std::vector<Outcome> outcomes;
    for (const StudyPoint& point : points) {
      const double a = std::stod(point.point.sets[0].substr(3));
      const std::string& load = point.point.sets[1];
      const double limit = 10 * a / (*point.point.seed == 3 ? 2 : 1);
      const double y = std::stod(load.substr(load.find('=') + 1)) / limit;
      Outcome outcome;
      outcome.ending = Ending::kDone;
      outcome.result = R"({"y": )" + std::to_string(y) + "}";
      outcomes.push_back(outcome);
    }
    return outcomes;
  };
  const std::vector<Knob> knobs(2, Knob{"/workload/time_scale", 1, ""});
  CapacityTask task{{{{"y", "/y"}, Bound::kAtMost, 1}}, 1, 0.02};
  auto found = find_capacities(study, knobs, task, run);
  EXPECT_LE(*found[0].bracket.holds, 5);
  EXPECT_GT(*found[0].bracket.fails, 5);
  EXPECT_LE(*found[0].bracket.fails / *found[0].bracket.holds, 1.021);
  EXPECT_LE(*found[1].bracket.holds, 20);
  EXPECT_GT(*found[1].bracket.fails, 20);
  EXPECT_EQ(found[1].at_holds.size(), 3u);
  task.share = 0.6;  // two of three
  found = find_capacities(study, knobs, task, run);
  EXPECT_LE(*found[0].bracket.holds, 10);
  EXPECT_GT(*found[0].bracket.fails, 10);
}

TEST(Capacity, EndsWhereTheLoadNoLongerMovesWhatIsRequired) {
  // y grows with the load up to 8 and stays: 1, 2, 4, 8 move it, 16 and 32 do not.
  Study study;
  study.file = "s.json";
  std::vector<double> loads;
  const RunStudyPoints run = [&](const std::vector<StudyPoint>& points) {
    const std::string& load = points[0].point.sets[0];
    loads.push_back(std::stod(load.substr(load.find('=') + 1)));
    Outcome outcome;
    outcome.ending = Ending::kDone;
    outcome.result = R"({"y": )" + std::to_string(std::min(loads.back(), 8.0)) + "}";
    return std::vector<Outcome>{outcome};
  };
  const std::vector<Knob> knobs{Knob{"/workload/time_scale", 1, ""}};
  const CapacityTask task{{{{"y", "/y"}, Bound::kAtMost, 9}}, 1, 0.02};
  const Capacity found = find_capacities(study, knobs, task, run)[0];
  EXPECT_THAT(loads, ElementsAre(1, 2, 4, 8, 16, 32));
  EXPECT_TRUE(found.level);
  EXPECT_EQ(found.bracket.holds, 32);
  EXPECT_FALSE(found.bracket.fails);
}

TEST(Sensitivity, ChangesEveryNumberByATenth) {
  const ConfigDocument document = ConfigDocument::from_text(
      R"({"p": {"bandwidth": {"value": "20GB/s", "note": "2 thirds"}, "count": 4, "none": 0,
          "share": 0.5, "name": "x", "on": true, "list": [10]}})",
      "s.json");
  const auto anything = [](const std::string&) { return true; };
  const Axis axis = sensitivity(document, "/p", {}, anything).axis;
  EXPECT_EQ(axis.pointer, kAlternatives);
  EXPECT_THAT(axis.values, ElementsAre("", "/p/bandwidth=18GB/s", "/p/bandwidth=22GB/s",
                                       "/p/count=3", "/p/count=5", "/p/list/0=9", "/p/list/0=11",
                                       "/p/share=0.45", "/p/share=0.55"));
  EXPECT_THAT(sensitivity(document, "/p/share", {}, anything).axis.values,
              ElementsAre("", "/p/share=0.45", "/p/share=0.55"));
  EXPECT_THAT([&] { sensitivity(document, "/q", {}, anything); },
              ThrowsMessage<ConfigError>(HasSubstr("no number there")));
  EXPECT_THROW(sensitivity(document, "p", {}, anything), ConfigError);
}

TEST(Sensitivity, LeavesWhatTheStudyVaries) {
  const ConfigDocument document =
      ConfigDocument::from_text(R"({"p": {"die": {"hbm": 2, "l2": 3}, "dies": 4}})", "s.json");
  const auto anything = [](const std::string&) { return true; };
  const std::vector<Axis> axes{{"/p/die", {"a", "b"}}};
  const Sensitivity found = sensitivity(document, "/p", axes, anything);
  EXPECT_THAT(found.axis.values, ElementsAre("", "/p/dies=3", "/p/dies=5"));
  EXPECT_THAT(found.varied, ElementsAre("/p/die/hbm", "/p/die/l2"));
  for (const char* prefix : {"/p/die", "/p/die/hbm"}) {
    EXPECT_THAT([&] { sensitivity(document, prefix, axes, anything); },
                ThrowsMessage<ConfigError>(HasSubstr("varies /p/die by itself")));
  }
}

TEST(Sensitivity, MovesAsFarAsIsAccepted) {
  const auto document = ConfigDocument::from_text(
      R"({"p": {"efficiency": 0.95, "nodes": 48, "dies": 2, "stuck": 3}})", "s.json");
  const Sensitivity found = sensitivity(document, "/p", {}, [](const std::string& assignment) {
    const double value = std::stod(assignment.substr(assignment.find('=') + 1));
    if (assignment.starts_with("/p/efficiency")) return value <= 1;
    if (assignment.starts_with("/p/nodes")) return value <= 50;
    return assignment.starts_with("/p/dies");
  });
  // 0.95 x 1.052 = 0.9994, 0.95 x 1.053 would be above 1. A tenth of 48 is 5, of 2 at least 1.
  EXPECT_THAT(found.axis.values, ElementsAre("", "/p/dies=1", "/p/dies=3", "/p/efficiency=0.855",
                                             "/p/efficiency=0.9994", "/p/nodes=43", "/p/nodes=50"));
  EXPECT_DOUBLE_EQ(found.steps.at("/p/dies=3"), 0.5);
  EXPECT_DOUBLE_EQ(found.steps.at("/p/efficiency=0.9994"), 0.052);
  EXPECT_DOUBLE_EQ(found.steps.at("/p/nodes=50"), 2.0 / 48);
  EXPECT_THAT(found.fixed, ElementsAre("/p/stuck"));
}

}  // namespace
}  // namespace cmsim::study
