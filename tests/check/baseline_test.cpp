#include "cmsim/check/baseline.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace cmsim::check {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A baseline file in a directory of its own.
class BaselineFile : public ::testing::Test {
 protected:
  BaselineFile()
      : directory_(std::filesystem::temp_directory_path() /
                   ("cmsim_baseline." + std::to_string(getpid()))) {
    std::filesystem::create_directories(directory_);
  }
  ~BaselineFile() override { std::filesystem::remove_all(directory_); }

  Baseline load(const std::string& text) const {
    std::ofstream(directory_ / "b.json") << text;
    return load_baseline(directory_ / "b.json");
  }

  /// What is said of one case that differs from a right one by these members.
  std::string refusal(const std::string& members) const {
    try {
      load("{\"cases\": [\n  {\"name\": \"a\", " + members + "}]}");
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "accepted";
  }

  std::filesystem::path directory_;
};

TEST_F(BaselineFile, ACaseIsAPointWithExpectations) {
  const Baseline baseline = load(R"({
    // Comments are allowed.
    "description": "ours", "changes": "allow",
    "cases": [{
      "name": "step", "command": "step", "scenario": "../s.json", "set": ["/a=1", "/b=2"],
      "options": {"phase": "decode", "batch": 96}, "seeds": "3..5",
      "metrics": {
        "duration": {"relative": 0.01, "absolute": 2},
        "/streams_us/stream 0": {"reference": 600, "direction": "lower"}}}]})");
  EXPECT_EQ(baseline.changes, Changes::kAllow);
  const Case& made = baseline.cases.at(0);
  EXPECT_EQ(made.kind, Kind::kStep);
  EXPECT_EQ(made.point.file, (directory_ / "../s.json").lexically_normal());
  EXPECT_THAT(made.point.sets, ElementsAre("/a=1", "/b=2"));
  EXPECT_THAT(made.point.options, ElementsAre("--batch", "96", "--phase", "decode"));
  EXPECT_THAT(made.seeds, ElementsAre(3, 4, 5));
  EXPECT_EQ(made.where.line, 4);
  ASSERT_EQ(made.expectations.size(), 2u);
  const Expectation& stream = made.expectations[0];
  EXPECT_EQ(stream.metric.pointer, "/streams_us/stream 0");
  EXPECT_EQ(stream.metric.better, Better::kLower);
  EXPECT_EQ(stream.reference, 600);
  const Expectation& duration = made.expectations[1];
  EXPECT_EQ(duration.metric.pointer, "/duration_us");
  EXPECT_EQ(duration.metric.better, Better::kLower);  // of the headline
  EXPECT_EQ(duration.relative, 0.01);
  EXPECT_EQ(duration.absolute, 2);
  EXPECT_EQ(duration.where.line, 8);
}

TEST_F(BaselineFile, TheExampleOfTheGuideIsOne) {
  std::ifstream page(CMSIM_SOURCE_DIR "/docs/check.md");
  std::string text, line;
  while (std::getline(page, line) && line != "```jsonc") {
  }
  while (std::getline(page, line) && line != "```") text += line + "\n";
  const Baseline baseline = load(text);
  ASSERT_EQ(baseline.cases.size(), 2u);
  EXPECT_EQ(baseline.cases[0].seeds.size(), 5u);
}

TEST_F(BaselineFile, MistakesAreToldWithLineAndPointer) {
  const std::string run = R"("command": "run", "scenario": "s.json", )";
  EXPECT_THAT(refusal(R"("command": "rnu")"), HasSubstr("b.json:2: /cases/0/command"));
  EXPECT_THAT(refusal(R"("command": "run", "platform": "p.json")"),
              HasSubstr("/cases/0/scenario: missing"));
  EXPECT_THAT(refusal(run + R"("metrics": {})"), HasSubstr("at least one metric"));
  EXPECT_THAT(refusal(run + R"("metrics": {"tpto": {}})"), HasSubstr("unknown metric"));
  EXPECT_THAT(refusal(run + R"("metrics": {"mean_tpot_ms": {}})"), HasSubstr("unknown metric"));
  EXPECT_THAT(refusal(run + R"("metrics": {"/a~2": {}})"), HasSubstr("is no JSON pointer"));
  EXPECT_THAT(refusal(run + R"("metrics": {"tpot": {}, "/window/tpot_ms/mean": {}})"),
              HasSubstr("is tpot, which is there already"));
  EXPECT_THAT(refusal(run + R"("metrics": {"tpot": {"relativ": 0.1}})"),
              HasSubstr("did you mean \"relative\""));
  EXPECT_THAT(refusal(run + R"("metrics": {"tpot": {"relative": -1}})"), HasSubstr("relative"));
  EXPECT_THAT(refusal(run + R"("metrics": {"tpot": {"value": 50}})"), HasSubstr("\"reference\""));
  EXPECT_THAT(refusal(run + R"("seeds": "5..3", "metrics": {"tpot": {}})"), HasSubstr("5..3"));
  EXPECT_THAT(refusal(run + R"("seeds": [1, 1], "metrics": {"tpot": {}})"), HasSubstr("twice"));
  EXPECT_THAT(refusal(run + R"("seeds": [-1], "metrics": {"tpot": {}})"), HasSubstr("from 0"));
  EXPECT_THAT(refusal(run + R"("options": {"seed": 1}, "metrics": {"tpot": {}})"),
              HasSubstr("/options/seed: is no option of a case"));
  EXPECT_THAT(refusal(run + R"("set": [1], "metrics": {"tpot": {}})"), HasSubstr("/set/0"));
  EXPECT_THAT(
      refusal(R"("command": "p2p", "platform": "p", "seeds": [1], "metrics": {"time": {}})"),
      HasSubstr("nothing of a p2p transfer is random"));
  EXPECT_EQ(refusal(run + R"("metrics": {"tpot": {}})"), "accepted");
}

TEST_F(BaselineFile, NamesAreOfOneCaseEach) {
  const std::string made =
      R"({"name": "a", "command": "run", "scenario": "s", "metrics": {"tpot": {}}})";
  EXPECT_THROW(load("{\"cases\": [" + made + "," + made + "]}"), ConfigError);
  EXPECT_THROW(load("{\"cases\": []}"), ConfigError);
}

TEST_F(BaselineFile, OnlySomeCasesCanBeTaken) {
  const Baseline baseline = load(R"({"cases": [
    {"name": "decode-8", "command": "run", "scenario": "s", "metrics": {"tpot": {}}},
    {"name": "prefill", "command": "run", "scenario": "s", "metrics": {"ttft": {}}}]})");
  EXPECT_EQ(only(baseline, "8").cases.size(), 1u);
  EXPECT_THROW(only(baseline, "x"), ConfigError);
}

}  // namespace
}  // namespace cmsim::check
