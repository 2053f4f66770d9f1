// The command `check` as a user meets it: states, exit codes, files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// A directory with a baseline of one decode step, two seeds of it, recorded.
class CheckCommand : public ::testing::Test {
 protected:
  CheckCommand() {
    write("");
    const Outcome first = work_.cmsim({"check", "b.json", "--update"});
    EXPECT_EQ(first.code, 0) << first.out << first.err;
    EXPECT_THAT(first.out, HasSubstr("1 cases recorded for the first time"));
  }

  /// `members` are further ones of the case.
  void write(const std::string& members, const std::string& metrics = R"("duration": {})") const {
    std::ofstream(work_ / "b.json")
        << R"({"cases": [{"name": "a", "command": "step", "scenario": ")" << kPaperDecode
        << R"(", "options": {"phase": "decode"}, )" << members << "\n\"metrics\": {" << metrics
        << "}}]}\n";
  }

  /// As if the constant of the machine were another.
  void slow_attention() const {
    // 0.654 / 1.03: what attention computes takes 3 % longer.
    write(R"("set": ["/platform/operators/attention_efficiency=0.63495"], )");
  }

  Outcome check(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"check", "b.json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return work_.cmsim(arguments);
  }

  WorkDirectory work_;
};

TEST_F(CheckCommand, WhatDidNotChangeIsOk) {
  const Outcome run = check();
  EXPECT_EQ(run.code, 0) << run.out << run.err;
  EXPECT_THAT(run.out, HasSubstr("OK         a (1 metric)"));
  EXPECT_THAT(run.out, HasSubstr("1 metric OK: passed"));
  EXPECT_EQ(run.err, "");
}

TEST_F(CheckCommand, AConstantThreePerCentWorseIsCaughtAndTheOperatorNamed) {
  slow_attention();
  const Outcome run = check();
  EXPECT_EQ(run.code, 1) << run.err;
  EXPECT_THAT(run.out, HasSubstr("REGRESSED  a"));
  EXPECT_THAT(run.out, HasSubstr("decode operator FusedAttention alone +2.5 %"));
  EXPECT_THAT(run.out, Not(HasSubstr("operator MLP")));
}

TEST_F(CheckCommand, AChangeWithinTheToleranceFailsUnlessAllowed) {
  write(R"("set": ["/platform/operators/attention_efficiency=0.63495"], )",
        R"("duration": {"relative": 0.05})");
  const Outcome run = check();
  EXPECT_EQ(run.code, 1) << run.out;
  EXPECT_THAT(run.out, HasSubstr("1 metric CHANGED: FAILED"));
  EXPECT_EQ(check({"--allow-changes"}).code, 0);
}

TEST_F(CheckCommand, UpdateShowsWhatItRecords) {
  slow_attention();
  const Outcome update = check({"--update"});
  EXPECT_EQ(update.code, 0) << update.err;
  EXPECT_THAT(update.out, HasSubstr("FusedAttention"));
  EXPECT_THAT(update.err, HasSubstr("wrote b.recorded.json"));
  EXPECT_EQ(check().code, 0);
}

TEST_F(CheckCommand, WhatIsMissingOrInvalidFails) {
  write("", R"("duration": {}, "/no_such": {})");
  const Outcome missing = check();
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.out, HasSubstr("1 metric OK, 1 MISSING: FAILED"));
  EXPECT_EQ(check({"--update"}).code, 1);  // the step has no such metric to record

  write(R"("set": ["/no_such=1"], )");
  const Outcome invalid = check({"--allow-changes"});
  EXPECT_EQ(invalid.code, 1);
  EXPECT_THAT(invalid.out, HasSubstr("INVALID    a\n"));
  EXPECT_THAT(invalid.out, HasSubstr("unknown key"));
  const std::string before = content(work_ / "b.recorded.json");
  EXPECT_EQ(check({"--update"}).code, 1);
  EXPECT_EQ(content(work_ / "b.recorded.json"), before);
}

TEST_F(CheckCommand, AnotherBuildNeedsNoRecording) {
  std::filesystem::remove(work_ / "b.recorded.json");
  EXPECT_EQ(check().code, 1);
  const Outcome same = check({"--against", CMSIM_BINARY});
  EXPECT_EQ(same.code, 0) << same.out << same.err;

  // A build whose MLA is 0.66 / 0.654 = 1.009 times as fast: what it gives is the old value.
  std::ofstream(work_ / "before.sh")
      << "#!/bin/sh\nexec " << CMSIM_BINARY
      << " \"$@\" --set /platform/operators/attention_efficiency=0.66\n";
  std::filesystem::permissions(work_ / "before.sh", std::filesystem::perms::owner_all);
  const Outcome moved = check({"--against", "./before.sh"});
  EXPECT_EQ(moved.code, 1) << moved.err;
  EXPECT_THAT(moved.out, HasSubstr("against ./before.sh"));
  EXPECT_THAT(moved.out, HasSubstr("decode operator FusedAttention alone +0.8 %"));

  EXPECT_EQ(check({"--against", "/bin/false"}).code, 1);
  EXPECT_EQ(check({"--against", "./none"}).code, 2);
}

TEST_F(CheckCommand, WritesWhatCiSystemsRead) {
  slow_attention();
  const Outcome run = check(
      {"--junit", "j.xml", "--bencher", "bmf.json", "--benchmark-action", "bench.json", "--json"});
  EXPECT_EQ(run.code, 1) << run.err;
  EXPECT_FALSE(nlohmann::json::parse(run.out)["passed"].get<bool>());
  EXPECT_THAT(content(work_ / "j.xml"), HasSubstr("<failure type=\"REGRESSED\""));
  EXPECT_TRUE(nlohmann::json::parse(content(work_ / "bmf.json"))["a"].contains("duration"));
  EXPECT_EQ(nlohmann::json::parse(content(work_ / "bench.smaller.json")).size(), 1u);
  EXPECT_EQ(nlohmann::json::parse(content(work_ / "bench.bigger.json")).size(), 0u);
  EXPECT_EQ(check({"--junit", "none/j.xml"}).code, 2);
}

TEST_F(CheckCommand, AnnotatesUnderGithubActions) {
  slow_attention();
  const std::string summary = (work_ / "summary.md").string();
  std::ofstream(summary) << "before\n";
  const auto actions = [&] {
    setenv("GITHUB_ACTIONS", "true", 1);
    setenv("GITHUB_STEP_SUMMARY", summary.c_str(), 1);
  };
  const Outcome run = work_.cmsim({"check", "b.json"}, {}, actions);
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("::error file=b.json,line=2,title=REGRESSED a duration::"));
  EXPECT_THAT(content(summary), ::testing::StartsWith("before\n### cmsim check b.json: FAILED"));
}

TEST_F(CheckCommand, AWrongBaselineIsTheUsersError) {
  write("\"sets\": [], ");
  const Outcome run = check();
  EXPECT_EQ(run.code, 2);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("b.json:1: /cases/0/sets: unknown key, did you mean \"set\""));
  EXPECT_EQ(work_.cmsim({"check", "none.json"}).code, 2);
}

}  // namespace
}  // namespace cmsim::cli
