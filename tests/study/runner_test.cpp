#include "cmsim/study/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/study/points.hpp"

namespace cmsim::study {
namespace {

using ::testing::HasSubstr;

TEST(Point, IsACommandLine) {
  Point point = small_point(3);
  point.file = "s.json";
  EXPECT_THAT(spelled(point), ::testing::StartsWith("cmsim run s.json --set '/workload={"));
  EXPECT_THAT(spelled(point), ::testing::EndsWith("--seed 3"));
  const Point step{"step", "s.json", {"/slo/tpot=15ms"}, {"--phase", "decode"}, 2};
  EXPECT_EQ(spelled(step), "cmsim step s.json --phase decode --set /slo/tpot=15ms --set /seed=2");
  EXPECT_EQ(spelled({"collective", "p.json", {"/a=it's"}, {}, 7}),
            "cmsim collective p.json --set '/a=it'\\''s' --seed 7");
}

std::vector<Outcome> run_small(const std::vector<Point>& points, const RunnerOptions& options) {
  const run::ScenarioFile file(points[0].file.string());
  return run_points(
      points, [&](const Point& point) { return run_scenario(point, file, {}); }, options);
}

TEST(Runner, GivesWhatARunAloneGivesInTheOrderOfThePoints) {
  std::vector<Point> points{small_point(1), small_point(2), small_point(1)};
  RunnerOptions options;
  options.jobs = 2;
  const auto outcomes = run_small(points, options);
  for (const Outcome& outcome : outcomes) ASSERT_TRUE(outcome.done()) << outcome.error;
  EXPECT_EQ(outcomes[0].result, outcomes[2].result);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto json = nlohmann::json::parse(outcomes[i].result);
    EXPECT_EQ(json.at("/provenance/seed"_json_pointer), i + 1);
    EXPECT_EQ(json.at("/provenance/command"_json_pointer), spelled(points[i]));
    EXPECT_EQ(json.at("completed"), 20);
  }
  // The first run of a process of its own, which SimGrid's clock needs for equal bytes.
  run::RunOptions alone;
  EXPECT_EQ(outcomes[0].result,
            run_scenario(points[0], run::ScenarioFile(points[0].file.string()), std::move(alone)));
}

TEST(Runner, APointThatFailsIsToldAndTheOthersGoOn) {
  std::vector<Point> points{small_point(1), small_point(1), small_point(1)};
  points[1].sets.emplace_back("/slo/tpott=1ms");
  std::vector<std::size_t> ended;
  RunnerOptions options;
  options.on_end = [&](std::size_t index, const Outcome&) { ended.push_back(index); };
  const auto outcomes = run_small(points, options);
  EXPECT_TRUE(outcomes[0].done());
  EXPECT_EQ(outcomes[1].ending, Ending::kRefused);
  EXPECT_THAT(outcomes[1].error, HasSubstr("tpott"));
  EXPECT_TRUE(outcomes[2].done());
  EXPECT_EQ(ended, (std::vector<std::size_t>{0, 1, 2}));
}

TEST(Point, ALineIsReadAsTheWordsItWasMadeOf) {
  const std::vector<std::string> words{"cmsim", "run", "it's \"a\".json", "--set", "/x=a b\\c", ""};
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + shell_word(word);
  EXPECT_EQ(words_in(line), words);
  EXPECT_EQ(words_in("  a  'b c'\\''d' "), (std::vector<std::string>{"a", "b c'd"}));
  EXPECT_TRUE(words_in("").empty());
}

}  // namespace
}  // namespace cmsim::study
