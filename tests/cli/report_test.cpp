// The command `report` as a user meets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kFew =
    R"(/workload={"requests": 60, "prompt_length": 2000, "output_length": 50,
        "arrivals": {"kind": "poisson", "rate": 20}})";

nlohmann::json data_in(const std::string& page) {
  const std::string open = "id=\"data\">";
  const std::size_t from = page.find(open) + open.size();
  return nlohmann::json::parse(page.substr(from, page.find("</script>", from) - from));
}

TEST(ReportCommand, MakesAPageOfRunsAndDrawsTheirMachine) {
  const WorkDirectory here;
  const std::string name = "a<b> 'c\"";
  for (const std::string& place : {name, std::string("failed")}) {
    std::vector<std::string> words{"run",          kScenario, "--set", kFew,
                                   "--timeseries", "1s",      "--out", place};
    if (place == "failed") words.insert(words.end(), {"--fail", "plane:3"});
    ASSERT_EQ(here.cmsim(words).code, 0);
  }
  const Outcome report = here.cmsim({"report", name, "failed", "-o", "r.html"});
  EXPECT_EQ(report.code, 0) << report.err;
  EXPECT_EQ(report.err, "wrote r.html\n");
  EXPECT_EQ(report.out, "");
  const std::string page = content(here / "r.html");
  EXPECT_THAT(page, HasSubstr("<title>a&lt;b&gt; 'c&quot;, failed - cmsim report</title>"));
  EXPECT_THAT(page, HasSubstr(">plane 3<"));
  const auto drawing = page.substr(page.find("id=\"drawing-1\""));
  EXPECT_THAT(drawing, Not(HasSubstr(">plane 3<")));  // the second has lost it
  const auto data = data_in(page);
  const auto& run = data["sources"][0];
  EXPECT_EQ(run["name"], name);
  EXPECT_EQ(run["requests"]["rows"], 60);
  EXPECT_GT(run["series"]["intervals"], 1);
  EXPECT_EQ(run["requests"]["window"]["ttft_ms"]["count"],
            run["result"]["window"]["ttft_ms"]["count"]);
  EXPECT_EQ(run["requests"]["whole_run"]["tpot_ms"]["count"],
            run["result"]["whole_run"]["tpot_ms"]["count"]);
}

TEST(ReportCommand, SaysWhyAMachineIsNotDrawn) {
  const WorkDirectory here;
  std::ofstream(here / "s.json") << R"({"extends": ")" << kScenario << R"("})";
  ASSERT_EQ(here.cmsim({"run", "s.json", "--set", kFew, "--out", "o"}).code, 0);
  std::ofstream(here / "s.json") << R"({"extends": ")" << kScenario << R"(", "seed": 7})";
  EXPECT_EQ(here.cmsim({"report", "o"}).code, 0);
  const auto data = data_in(content(here / "report.html"));
  EXPECT_THAT(data["sources"][0]["machine"]["why_not"].get<std::string>(),
              HasSubstr("s.json is no longer the scenario that was run"));
}

TEST(ReportCommand, MakesAPageOfAStudy) {
  const WorkDirectory here;
  ASSERT_EQ(here.cmsim({"run", kScenario, "--set", kFew, "--seeds", "1..2", "--out", "study"}).code,
            0);
  EXPECT_EQ(here.cmsim({"report", "study", "-o", "s.html"}).code, 0);
  const auto source = data_in(content(here / "s.html"))["sources"][0];
  EXPECT_EQ(source["kind"], "study");
  EXPECT_EQ(source["states"]["done"], 2);
  std::filesystem::remove(here / "study/study.sqlite");
  const Outcome half = here.cmsim({"report", "study", "-o", "t.html"});
  EXPECT_EQ(half.code, 2);
  EXPECT_THAT(half.err, HasSubstr("study: half a study"));
}

TEST(ReportCommand, BadInputWritesNothing) {
  const WorkDirectory here;
  std::ofstream(here / "x.json") << "{}";
  const Outcome refused = here.cmsim({"report", "x.json", "-o", "r.html"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_EQ(refused.err,
            "cmsim: x.json: no result of cmsim: found an empty object, expected what "
            "`cmsim run, step, collective or p2p --json` prints\n");
  EXPECT_FALSE(std::filesystem::exists(here / "r.html"));
  EXPECT_EQ(here.cmsim({"report", "none"}).code, 2);
  EXPECT_EQ(here.cmsim({"report"}).code, 2);
  EXPECT_EQ(here.cmsim({"report", "x.json", "-o", "no/where.html"}).code, 2);
}

}  // namespace
}  // namespace cmsim::cli
