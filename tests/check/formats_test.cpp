#include "cmsim/check/formats.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cmsim::check {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

MetricVerdict metric(const std::string& name, Better better, const json& old, const json& now,
                     State state) {
  return {{{name, "/" + name, "ms", better}, old, now},
          state,
          "+5 %",
          state == State::kOk ? "" : "operator <MLP> alone +3.0 %",
          std::nullopt,
          {"b,1.json", 7, "/cases/0/metrics/" + name}};
}

/// One case with a metric in each state, and one that did not run.
Verdict all_states() {
  CaseVerdict mixed{"H1 \"a\"", State::kRegressed, "", {}, {}, {"b,1.json", 3, "/cases/0"}};
  mixed.metrics = {metric("tpot", Better::kLower, 40.0, 44.0, State::kRegressed),
                   metric("ttft", Better::kLower, 200.0, 201.0, State::kChanged),
                   metric("goodput", Better::kHigher, 10.0, 10.0, State::kOk),
                   metric("verdict", Better::kUnknown, "stable", "stable", State::kOk)};
  mixed.metrics[2].interval = Interval{9.5, 10.5};
  const CaseVerdict invalid{"H2", State::kInvalid, "no file\nx", {}, {}, {"b,1.json", 20, ""}};
  return {"check b|1.json", Changes::kAllow, {mixed, invalid}};
}

TEST(Junit, HasATestCaseAMetric) {
  const std::string xml = to_junit(all_states());
  EXPECT_THAT(xml, HasSubstr("<testsuites name=\"cmsim check\" tests=\"5\" failures=\"1\" "
                             "errors=\"1\">"));
  EXPECT_THAT(xml, HasSubstr("<testcase classname=\"H1 &quot;a&quot;\" name=\"tpot\"><failure "
                             "type=\"REGRESSED\" message=\"40 -&gt; 44 (+10.0 %), allowed: +5 %\">"
                             "operator &lt;MLP&gt; alone +3.0 %</failure></testcase>"));
  EXPECT_THAT(xml, HasSubstr("name=\"ttft\"/>"));  // a change that is allowed
  EXPECT_THAT(xml, HasSubstr("<testcase classname=\"H2\" name=\"run\"><error type=\"INVALID\" "
                             "message=\"no file\\x0ax\"></error></testcase>"));
}

TEST(Junit, AChangeFailsUnlessItIsAllowed) {
  Verdict verdict = all_states();
  verdict.changes = Changes::kFail;
  EXPECT_THAT(to_junit(verdict), HasSubstr("failures=\"2\""));
}

TEST(Github, AnnotatesTheLinesOfTheBaseline) {
  const std::string text = to_github_annotations(all_states());
  EXPECT_THAT(text, HasSubstr("::error file=b%2C1.json,line=7,title=REGRESSED H1 \"a\" tpot::"
                              "40 -> 44 (+10.0 %25), allowed: +5 %25; operator <MLP> alone +3.0 "
                              "%25\n"));
  EXPECT_THAT(text, HasSubstr("::warning file=b%2C1.json,line=7,title=CHANGED"));
  EXPECT_THAT(text, HasSubstr("::error file=b%2C1.json,line=20,title=INVALID H2::no file"));
  EXPECT_THAT(text, Not(HasSubstr("goodput")));
}

TEST(Github, TheSummaryIsATable) {
  const std::string text = to_markdown(all_states());
  EXPECT_THAT(text, HasSubstr("### check b\\|1.json: FAILED\n"));
  EXPECT_THAT(text, HasSubstr("| H1 \"a\" | tpot, ms | 40 | 44 | +10.0 % | REGRESSED | operator"));
  EXPECT_THAT(text, HasSubstr("| H2 | | | | | INVALID | no file\\x0ax |"));
}

TEST(Bencher, HasTheIntervalOverSeeds) {
  const json bmf = json::parse(to_bencher(all_states()));
  EXPECT_EQ(bmf["H1 \"a\""]["tpot"], json({{"value", 44.0}}));
  EXPECT_EQ(bmf["H1 \"a\""]["goodput"],
            json({{"value", 10.0}, {"lower_value", 9.5}, {"upper_value", 10.5}}));
  EXPECT_FALSE(bmf["H1 \"a\""].contains("verdict"));  // no number
  EXPECT_FALSE(bmf.contains("H2"));
}

TEST(BenchmarkAction, HasTheMetricsOfOneDirection) {
  const json bigger = json::parse(to_benchmark_action(all_states(), Better::kHigher));
  ASSERT_EQ(bigger.size(), 1u);
  // Half of 9.5 to 10.5 is 0.5.
  EXPECT_EQ(
      bigger[0],
      json({{"name", "H1 \"a\" goodput"}, {"unit", "ms"}, {"value", 10.0}, {"range", "0.5"}}));
  const json smaller = json::parse(to_benchmark_action(all_states(), Better::kLower));
  ASSERT_EQ(smaller.size(), 2u);
  EXPECT_EQ(smaller[0]["extra"], "operator <MLP> alone +3.0 %");
}

TEST(Table, ShowsWhatMovedAndCountsTheStates) {
  const std::string text = to_table(all_states());
  EXPECT_THAT(text, HasSubstr("REGRESSED  H1 \"a\" (4 metrics)"));
  EXPECT_THAT(text, HasSubstr("allowed: +5 %"));
  EXPECT_THAT(text, HasSubstr("operator <MLP> alone +3.0 %"));
  EXPECT_THAT(text, HasSubstr("INVALID    H2\n  no file\\x0ax\n"));
  EXPECT_THAT(text, HasSubstr("\n2 metrics OK, 1 CHANGED, 1 REGRESSED; 1 case INVALID: FAILED\n"));
}

TEST(VerdictJson, HasStatesAndTheDifference) {
  const auto out = to_json(all_states());
  EXPECT_FALSE(out["passed"].get<bool>());
  EXPECT_EQ(out["cases"][0]["metrics"][1]["state"], "CHANGED");
  EXPECT_TRUE(out["cases"][0]["difference"].contains("groups"));
}

}  // namespace
}  // namespace cmsim::check
