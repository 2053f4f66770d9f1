#include "cmsim/check/verdict.hpp"

#include <gtest/gtest.h>

namespace cmsim::check {
namespace {

using nlohmann::json;

Case a_case(const Expectation& expectation) {
  Case made;
  made.name = "a";
  made.expectations = {expectation};
  return made;
}

Expectation expecting(Better better, double relative, double absolute) {
  return {{"tpot", "/tpot", "ms", better}, relative, absolute, {}, {}};
}

CaseRun giving(const json& value) {
  Figures figures;
  figures.metrics["tpot"] = value;
  return {figures, ""};
}

State state(const Expectation& expectation, const json& old, const json& now) {
  return judge(a_case(expectation), giving(old), giving(now)).state;
}

TEST(Verdict, WhetherItChangedIsExactAndWhetherItRegressedIsABand) {
  const Expectation five_percent = expecting(Better::kLower, 0.05, 0);
  EXPECT_EQ(state(five_percent, 40, 40), State::kOk);
  EXPECT_EQ(state(five_percent, 40, 40 + 1e-12), State::kOk);  // in the 14th digit
  EXPECT_EQ(state(five_percent, 40, 40.0000001), State::kChanged);
  EXPECT_EQ(state(five_percent, 40, 41.9), State::kChanged);  // 40 * 1.05 = 42
  EXPECT_EQ(state(five_percent, 40, 42.1), State::kRegressed);
}

TEST(Verdict, TheDirectionSaysWhichMovesRegress) {
  EXPECT_EQ(state(expecting(Better::kLower, 0.01, 0), 40, 20), State::kChanged);
  EXPECT_EQ(state(expecting(Better::kHigher, 0.01, 0), 40, 20), State::kRegressed);
  EXPECT_EQ(state(expecting(Better::kHigher, 0.01, 0), 40, 80), State::kChanged);
  EXPECT_EQ(state(expecting(Better::kUnknown, 0.01, 0), 40, 20), State::kRegressed);
  EXPECT_EQ(state(expecting(Better::kUnknown, 0.01, 0), 40, 80), State::kRegressed);
}

TEST(Verdict, BothTolerancesMustBeExceeded) {
  const Expectation both = expecting(Better::kLower, 0.01, 2);  // 1 % of 40 is 0.4
  EXPECT_EQ(state(both, 40, 41.9), State::kChanged);
  EXPECT_EQ(state(both, 40, 42.1), State::kRegressed);
  EXPECT_EQ(state(expecting(Better::kLower, 0.1, 2), 40, 43), State::kChanged);  // 10 % is 4
  EXPECT_EQ(state(expecting(Better::kLower, 0.1, 0), 0, 1e-9), State::kRegressed);
}

TEST(Verdict, AReferenceIsWhereMovesAreMeasuredFrom) {
  Expectation from_fifty = expecting(Better::kLower, 0, 0);
  from_fifty.reference = 50;
  EXPECT_EQ(state(from_fifty, 40, 49), State::kChanged);
  EXPECT_EQ(state(from_fifty, 51, 51), State::kRegressed);  // as recorded, and still too much
  EXPECT_EQ(state(from_fifty, 50, 50), State::kOk);
}

TEST(Verdict, TextsRegressWhenTheyChangeAndTruthsByDirection) {
  EXPECT_EQ(state(expecting(Better::kUnknown, 0, 0), "stable", "stable"), State::kOk);
  EXPECT_EQ(state(expecting(Better::kUnknown, 0, 0), "stable", "overloaded"), State::kRegressed);
  EXPECT_EQ(state(expecting(Better::kHigher, 0, 0), true, false), State::kRegressed);
  EXPECT_EQ(state(expecting(Better::kHigher, 0, 0), false, true), State::kChanged);
  EXPECT_EQ(state(expecting(Better::kLower, 0.5, 0), 40, nullptr), State::kRegressed);
}

TEST(Verdict, WhatIsNotThereIsMissingAndWhatDoesNotRunInvalid) {
  const Expectation any = expecting(Better::kLower, 0, 0);
  const CaseRun nothing{Figures{}, ""}, failed{std::nullopt, "why"};
  EXPECT_EQ(judge(a_case(any), giving(1), nothing).state, State::kMissing);
  EXPECT_EQ(judge(a_case(any), nothing, giving(1)).state, State::kMissing);
  EXPECT_EQ(judge(a_case(any), failed, giving(1)).state, State::kMissing);
  const CaseVerdict invalid = judge(a_case(any), giving(1), failed);
  EXPECT_EQ(invalid.state, State::kInvalid);
  EXPECT_EQ(invalid.problem, "why");
}

TEST(Verdict, ChangesFailUnlessTheyAreAllowed) {
  Verdict verdict{"", Changes::kFail, {}};
  verdict.cases.push_back(judge(a_case(expecting(Better::kLower, 0, 0)), giving(40), giving(39)));
  EXPECT_FALSE(verdict.passed());
  EXPECT_EQ(verdict.metrics(State::kChanged), 1u);
  verdict.changes = Changes::kAllow;
  EXPECT_TRUE(verdict.passed());
  verdict.cases.push_back(judge(a_case(expecting(Better::kLower, 0, 0)), giving(40), giving(41)));
  EXPECT_FALSE(verdict.passed());
}

}  // namespace
}  // namespace cmsim::check
