// What `init` writes can be run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cmsim/run/scenario.hpp"
#include "cmsim/study/study.hpp"
#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

using ::testing::HasSubstr;

TEST(Init, WritesAScenarioThatLoads) {
  const WorkDirectory here;
  const Outcome init = here.cmsim({"init"});
  EXPECT_EQ(init.code, 0);
  EXPECT_EQ(init.err, "wrote scenario.json: cmsim run scenario.json\n");
  const std::string text = content(here / "scenario.json");
  EXPECT_THAT(text, HasSubstr("\"$schema\": \""));
  EXPECT_THAT(text, HasSubstr("\"extends\": \"cloudmatrix384\""));
  const Outcome again = here.cmsim({"init", "run"});
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("scenario.json: is there already"));
  EXPECT_EQ(content(here / "scenario.json"), text);
  const Outcome step = here.cmsim({"step", "scenario.json", "--phase", "decode", "--json"});
  EXPECT_EQ(step.code, 0) << step.err;
}

TEST(Init, WritesAStudyWhosePointsLoad) {
  const WorkDirectory here;
  ASSERT_EQ(here.cmsim({"init", "study", "-o", "s.json"}).code, 0);
  const study::Study study = study::read_study(here / "s.json");
  const auto points = study::expand(study);
  EXPECT_EQ(points.size(), 18u);  // 3 rates x 2 policies x 3 seeds
  EXPECT_EQ(run::load_scenario(kScenario, study::all_sets(points.back().point)).seed, 3u);
}

TEST(Init, AScenarioMayExtendAShippedOneByItsName) {
  const WorkDirectory here;
  std::ofstream(here / "a.json") << R"({"extends": "paper-decod"})";
  const Outcome step = here.cmsim({"step", "a.json", "--phase", "decode"});
  EXPECT_EQ(step.code, 2);
  EXPECT_THAT(step.err, HasSubstr("a.json:1: /extends: "));
  EXPECT_THAT(step.err, HasSubstr("did you mean paper-decode?"));
}

}  // namespace
}  // namespace cmsim::cli
