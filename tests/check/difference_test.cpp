#include "cmsim/check/difference.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cmsim/check/difference_text.hpp"
#include "tests/check/results.hpp"

namespace cmsim::check {
namespace {

using nlohmann::json;

Difference between(const json& old, const json& now) {
  const Kind kind = kind_of(old, "old");
  const auto metrics = headlines(kind);
  return difference_of(figures_of(old, kind, metrics), figures_of(now, kind, metrics), metrics);
}

const MetricMove& metric(const Difference& difference, const std::string& name) {
  for (const MetricMove& move : difference.metrics) {
    if (move.metric.name == name) return move;
  }
  throw std::out_of_range(name);
}

/// MLP takes 3 % longer, and the step with it: 600 * 0.03 = 18 us; Attention gains 6 of its 390.
json slower_step() {
  json step = step_result();
  step["operators"][1]["alone_us"] = 58.0 * 1.03;
  step["critical_path_us"]["MLP"] = 618.0;
  step["critical_path_us"]["Attention"] = 384.0;
  step["duration_us"] = 1012.0;
  return step;
}

TEST(Difference, OfAResultWithItselfIsEmpty) {
  for (const json& result : {step_result(), run_result()}) {
    const Difference difference = between(result, result);
    EXPECT_TRUE(difference.settings.empty());
    EXPECT_TRUE(difference.groups.empty());
    for (const MetricMove& move : difference.metrics) {
      EXPECT_TRUE(same(move.old, move.now)) << move.metric.name;
      EXPECT_FALSE(move.old.is_null()) << move.metric.name;
    }
    EXPECT_EQ(explanation(difference, headlines(difference.kind).front()), "");
  }
}

TEST(Difference, SharesAreOfAllThatMovedInTheGroup) {
  const Difference difference = between(step_result(), slower_step());
  const GroupMove* path = difference.group("decode critical path, us");
  ASSERT_NE(path, nullptr);
  EXPECT_DOUBLE_EQ(path->old, 1000);  // host 10 + MLP 600 + Attention 390: the whole step
  EXPECT_DOUBLE_EQ(path->now, 1012);
  ASSERT_EQ(path->parts.size(), 2u);  // the host did not move
  EXPECT_EQ(path->parts[0].name, "MLP");
  EXPECT_DOUBLE_EQ(path->parts[0].share, 18.0 / 24);  // of |+18| + |-6|
  EXPECT_DOUBLE_EQ(path->parts[1].share, -6.0 / 24);
  const MetricMove& duration = metric(difference, "duration");
  EXPECT_DOUBLE_EQ(*duration.absolute(), 12);
  EXPECT_DOUBLE_EQ(*duration.relative(), 0.012);
  EXPECT_TRUE(duration.worse());
}

TEST(Difference, TheExplanationNamesTheOperatorWhoseCostMoved) {
  const Difference difference = between(step_result(), slower_step());
  EXPECT_EQ(explanation(difference, headlines(Kind::kStep).front()),
            "decode operator MLP alone +3.0 %, +18 us on the critical path, the step +12 us");
}

TEST(Difference, AnotherPlanOfTheStepIsNamedFirst) {
  json now = slower_step();
  now["microbatches"] = 2;
  now["attention_aic"] = 16;
  EXPECT_EQ(explanation(between(step_result(), now), headlines(Kind::kStep).front()),
            "decode plan microbatches 1 -> microbatches 2, attention_aic 16; "
            "decode operator MLP alone +3.0 %, +18 us on the critical path, the step +12 us");
}

TEST(Difference, AnOperatorOffTheCriticalPathIsNamedToo) {
  json now = step_result();
  now["operators"][0]["alone_us"] = 41.0;
  EXPECT_EQ(explanation(between(step_result(), now), headlines(Kind::kStep).front()),
            "decode operator Attention alone +5.1 %, off the critical path");
}

TEST(Difference, WithoutAnOperatorThePhaseTheLinkAndTheQueueAreNamed) {
  json now = run_result();
  now["window"]["phases"]["prefill"]["mean_ms"] = 95.0;
  now["window"]["links"][0]["utilisation"] = 0.02;
  now["window"]["queues"]["decode_waiting"]["mean"] = 3.0;
  now["window"]["ttft_ms"]["mean"] = 205.0;
  const Difference difference = between(run_result(), now);
  EXPECT_EQ(explanation(difference, metric(difference, "ttft").metric),
            "phase prefill 90 -> 95; link rdma in 0.01000 -> 0.02000; queue decode_waiting 2 -> 3");
}

TEST(Difference, AMetricOfOneRoleIsNotExplainedByTheOther) {
  json now = run_result();
  now["breakdown"]["decode"] = slower_step();
  now["window"]["phases"]["decode"]["mean_ms"] = 4048.0;
  const Difference difference = between(run_result(), now);
  const auto of = [&](const char* name) {
    return explanation(difference, metric(difference, name).metric);
  };
  EXPECT_EQ(of("tpot"),
            "decode operator MLP alone +3.0 %, +18 us on the critical path, the step +12 us; "
            "phase decode 4,000 -> 4,048");
  EXPECT_EQ(of("prefill_tokens_per_s_per_npu"), "");
}

TEST(Difference, AStepThatGotFasterIsNotBehindAMetricThatGotWorse) {
  json now = run_result();
  now["breakdown"]["decode"] = slower_step();
  now["window"]["phases"]["decode"]["mean_ms"] = 4500.0;  // no part of the time to the first token
  now["window"]["phases"]["prefill"]["mean_ms"] = 95.0;
  now["window"]["links"][0]["utilisation"] = 0.02;
  now["window"]["ttft_ms"]["mean"] = 190.0;  // better, though a decode step takes 12 us longer
  now["window"]["tpot_ms"]["mean"] = 41.0;   // worse
  const Difference difference = between(run_result(), now);
  const auto of = [&](const char* name) {
    return explanation(difference, metric(difference, name).metric);
  };
  EXPECT_EQ(of("ttft"), "phase prefill 90 -> 95; link rdma in 0.01000 -> 0.02000");
  EXPECT_THAT(of("tpot"), ::testing::HasSubstr("decode operator MLP"));
}

TEST(Difference, EverySetOfTheCommandIsASetting) {
  json now = run_result();
  now["provenance"]["command"] = "cmsim run a.json --set /x/y=14GB/s --set /d=a b --seed 1";
  const Difference difference = between(run_result(), now);
  ASSERT_EQ(difference.settings.size(), 2u);
  EXPECT_EQ(difference.settings[0].name, "--set /x/y");
  EXPECT_EQ(difference.settings[0].old, "28GB/s");
  EXPECT_EQ(difference.settings[0].now, "14GB/s");
  EXPECT_EQ(difference.settings[1].name, "--set /d");
  EXPECT_EQ(difference.settings[1].old, "");
  EXPECT_EQ(difference.settings[1].now, "a b");
}

TEST(Difference, TruthsAndTextsMoveToo) {
  json now = run_result();
  now["load"]["verdict"] = "overloaded";
  now["window"]["slo"]["met_at_p99"] = false;
  const Difference difference = between(run_result(), now);
  EXPECT_FALSE(metric(difference, "verdict").absolute());
  EXPECT_FALSE(metric(difference, "verdict").worse());
  EXPECT_DOUBLE_EQ(*metric(difference, "slo").absolute(), -1);
  EXPECT_TRUE(metric(difference, "slo").worse());  // kept limits are the better side
}

TEST(Difference, TwelveDigitsDecideWhatIsTheSame) {
  EXPECT_TRUE(same(1.0000000000001, 1.0));  // differs in the 14th digit
  EXPECT_FALSE(same(1.00000000001, 1.0));   // in the 12th
  EXPECT_TRUE(same(0, 0.0));
  EXPECT_FALSE(same(nullptr, 0));
}

TEST(Difference, OfTheHidingPartsOfACollectiveTheLongerCounts) {
  const json old = json::parse(R"({"op": "dispatch", "latency_us": 121.0,
    "parts": {"startup_us": 21.0, "issue_us": 100.0, "wire_us": 60.0, "local_us": 0.0}})");
  json now = old;
  now["parts"]["wire_us"] = 110.0;
  now["latency_us"] = 131.0;  // 21 + max(100, 110)
  const Difference difference = between(old, now);
  EXPECT_DOUBLE_EQ(difference.group("parts, us")->old, 121);
  EXPECT_DOUBLE_EQ(difference.group("parts, us")->now, 131);
}

TEST(DifferenceText, IsAtMostAHundredColumnsWide) {
  json now = run_result();
  now["provenance"]["scenario"] = std::string(300, 'x');
  now["breakdown"]["decode"] = slower_step();
  now["breakdown"]["decode"]["critical_path_us"][std::string(80, 'y')] = 1e14;
  now["load"]["verdict"] = std::string(50, 'z');
  now["window"]["ttft_ms"]["mean"] = 1e15;
  const std::string text = difference_text(between(run_result(), now));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST(DifferenceText, ALargeChangeHasCommas) {
  json now = run_result();
  now["window"]["tpot_ms"]["mean"] = 18398.56;  // of 40: 459.964 times, 45,896.4 % more
  const std::string text = difference_text(between(run_result(), now));
  EXPECT_NE(text.find("+45,896.4 %"), std::string::npos) << text;
}

TEST(DifferenceText, OfLongSettingsThePartThatDiffersIsShown) {
  json now = run_result();
  now["breakdown"]["decode"]["microbatches"] = 2;
  now["breakdown"]["decode"]["attention_aic"] = 14;
  json old = now;
  old["breakdown"]["decode"]["attention_aic"] = 12;
  const std::string text = difference_text(between(old, now));
  EXPECT_NE(text.find("...attention_aic 12"), std::string::npos) << text;
  EXPECT_NE(text.find("...attention_aic 14"), std::string::npos) << text;
}

TEST(DifferenceText, ShowsEnoughDigitsToTellOldFromNew) {
  json now = run_result();
  now["window"]["tpot_ms"]["mean"] = 40.0000004;
  const std::string text = difference_text(between(run_result(), now));
  EXPECT_NE(text.find("40.0000004"), std::string::npos) << text;
  EXPECT_NE(text.find("+1e-06 %"), std::string::npos) << text;
}

TEST(DifferenceText, PartsMayAddUpToInfinity) {
  json now = step_result();
  for (json& part : now["critical_path_us"]) part = 1e308;
  const std::string text = difference_text(between(step_result(), now));
  EXPECT_NE(text.find(" inf"), std::string::npos) << text;
}

}  // namespace
}  // namespace cmsim::check
