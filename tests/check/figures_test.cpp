#include "cmsim/check/figures.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cmsim/base/error.hpp"
#include "tests/check/results.hpp"

namespace cmsim::check {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string refusal(const json& result) {
  try {
    kind_of(result, "x.json");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Figures, TheKindIsSeenFromTheKeys) {
  EXPECT_EQ(kind_of(run_result(), ""), Kind::kRun);
  EXPECT_EQ(kind_of(step_result(), ""), Kind::kStep);
  EXPECT_EQ(kind_of(json::parse(R"({"op": "dispatch", "parts": {}})"), ""), Kind::kCollective);
  EXPECT_EQ(kind_of(json::parse(R"({"time_us": 1, "plane": "ub"})"), ""), Kind::kP2p);
}

TEST(Figures, WhatIsNoResultIsRefusedWithWhatWasFound) {
  EXPECT_NE(refusal(json::array()).find("x.json: no result of cmsim: found array"),
            std::string::npos);
  EXPECT_NE(refusal(json::object()).find("found an empty object"), std::string::npos);
  EXPECT_NE(refusal({{"platform", 1}, {"seed", 2}}).find("found keys platform, seed"),
            std::string::npos);
}

TEST(Figures, WhatAResultDoesNotHaveIsLeftOut) {
  json result = run_result();
  result["window"].erase("ttft_ms");
  result["window"].erase("links");
  result["breakdown"] = nullptr;
  const Figures figures = figures_of(result, Kind::kRun, headlines(Kind::kRun));
  EXPECT_FALSE(figures.metrics.contains("ttft"));
  EXPECT_TRUE(figures.metrics.contains("tpot"));
  for (const PartGroup& group : figures.groups) {
    EXPECT_EQ(group.name.find("critical path"), std::string::npos);
    EXPECT_NE(group.name, kLinks);
  }
}

TEST(Figures, ACommandIsReadAsAShellReadsIt) {
  json result = run_result();
  result["provenance"]["command"] =
      R"(cmsim run s.json --set '/a=it'\''s "b"' --trace t.jsonl --set /b=1)";
  const Figures figures = figures_of(result, Kind::kRun, {});
  using Setting = std::pair<std::string, std::string>;
  for (const Setting& expected : {Setting{"--set /a", "it's \"b\""}, Setting{"--trace", "t.jsonl"},
                                  Setting{"--set /b", "1"}}) {
    EXPECT_NE(std::ranges::find(figures.settings, expected), figures.settings.end())
        << expected.first;
  }
}

TEST(Figures, AMetricMayBeAPointer) {
  const Metric metric = study::find_metric("/window/queues/decode_waiting/mean", "run");
  const Figures figures = figures_of(run_result(), Kind::kRun, std::span(&metric, 1));
  EXPECT_EQ(figures.metrics.at("/window/queues/decode_waiting/mean"), 2.0);
}

TEST(Figures, AResultIsLoadedFromItsFileOrDirectory) {
  const fs::path place = fs::temp_directory_path() / ("cmsim_figures." + std::to_string(getpid()));
  fs::create_directories(place);
  EXPECT_THROW(load_result(place), ConfigError);
  EXPECT_THROW(load_result(place / "none.json"), ConfigError);
  std::ofstream(place / "result.json") << run_result();
  EXPECT_EQ(load_result(place), run_result());
  EXPECT_EQ(load_result(place / "result.json"), run_result());
  std::ofstream(place / "text") << "Scenario a.json";
  EXPECT_THROW(load_result(place / "text"), ConfigError);
  fs::remove_all(place);
}

}  // namespace
}  // namespace cmsim::check
