#include "cmsim/check/recording.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "cmsim/base/error.hpp"
#include "cmsim/check/difference.hpp"
#include "tests/check/results.hpp"

namespace cmsim::check {
namespace {

namespace fs = std::filesystem;

class RecordingFile : public ::testing::Test {
 protected:
  ~RecordingFile() override { fs::remove(file_); }
  Recording read(const std::string& text) const {
    std::ofstream(file_) << text;
    return load_recording(file_);
  }
  fs::path file_ = fs::temp_directory_path() / ("cmsim_recording." + std::to_string(getpid()));
};

TEST_F(RecordingFile, WhatIsWrittenIsReadAgain) {
  const auto metrics = headlines(Kind::kRun);
  nlohmann::json result = run_result();
  result["window"]["tpot_ms"]["mean"] = 100.0 / 3;
  const Figures figures = figures_of(result, Kind::kRun, metrics);
  const std::string text = to_text({{{"a", figures}}});
  EXPECT_NE(text.find("33.3333333333,"), std::string::npos) << text;  // 12 digits
  const Figures again = read(text).cases.at("a");
  EXPECT_EQ(to_text({{{"a", again}}}), text);
  const Difference difference = difference_of(again, figures, metrics);
  EXPECT_TRUE(difference.groups.empty());
  for (const MetricMove& move : difference.metrics) EXPECT_TRUE(same(move.old, move.now));
}

TEST_F(RecordingFile, TellsTheInputButNotPlaceAndDay) {
  const Figures figures = figures_of(run_result(), Kind::kRun, headlines(Kind::kRun));
  const std::string text = to_text({{{"a", figures}}});
  EXPECT_NE(text.find("\"digest\": \"00\""), std::string::npos);
  EXPECT_EQ(text.find("a.json"), std::string::npos);  // the path of the scenario, the command
}

TEST_F(RecordingFile, HasOneNumberALine) {
  const Figures figures = figures_of(step_result(), Kind::kStep, headlines(Kind::kStep));
  std::istringstream lines(to_text({{{"a", figures}}}));
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(std::count(line.begin(), line.end(), ':'), 1) << line;
  }
}

TEST_F(RecordingFile, MayBeAbsentButNotSpoiled) {
  EXPECT_TRUE(load_recording(file_).cases.empty());
  EXPECT_THROW(read("{"), ConfigError);
  EXPECT_THROW(read(R"({"cases": {"a": {"command": "rnu"}}})"), ConfigError);
  EXPECT_THROW(
      read(R"({"cases": {"a": {"command": "run", "metrics": {"tpot": []}, "parts": {}}}})"),
      ConfigError);
  EXPECT_THROW(
      read(R"({"cases": {"a": {"command": "run", "metrics": {}, "parts": {"x": {"y": "z"}}}}})"),
      ConfigError);
}

TEST_F(RecordingFile, LiesBesideItsBaseline) {
  EXPECT_EQ(recording_of("x/project.json"), fs::path("x/project.recorded.json"));
}

}  // namespace
}  // namespace cmsim::check
