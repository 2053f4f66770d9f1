#include "cmsim/run/output.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cmsim/base/json_text.hpp"
#include "cmsim/metrics/requests_csv.hpp"
#include "tests/run/runs.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;

class Output : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(directory_); }
  const fs::path directory_ =
      fs::temp_directory_path() / ("cmsim_output." + std::to_string(getpid()));
};

std::string content(const fs::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

TEST_F(Output, WritesBothFilesAndNothingElse) {
  const Scenario scenario = load_scenario(default_scenario());
  check_output_directory(directory_ / "a/b");
  EXPECT_FALSE(fs::exists(directory_));
  const Written written =
      write_outputs(directory_ / "a/b", scenario, {}, metrics::Detail::kSummary);
  EXPECT_EQ(written.files.size(), 2u);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_ / "a/b"), {}), 2);
  EXPECT_EQ(content(directory_ / "a/b/result.json"), written.result_json);
  EXPECT_EQ(content(directory_ / "a/b/requests.csv"), metrics::requests_csv_header() + "\n");
}

TEST_F(Output, TheResultNamesItsRequests) {
  const Scenario scenario = load_scenario(default_scenario());
  Result result;
  for (int id = 0; id < 5000; ++id) {  // several pieces
    result.records.push_back({.id = id, .arrival = 1.0 * id, .sent = 1.0 * id});
  }
  const Written written = write_outputs(directory_, scenario, result, metrics::Detail::kSummary);
  const std::string requests = content(directory_ / "requests.csv");
  EXPECT_EQ(std::count(requests.begin(), requests.end(), '\n'), 5001);
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, written out
  for (const char c : requests) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  const auto named = nlohmann::json::parse(written.result_json)["files"];
  ASSERT_EQ(named.size(), 1u);
  EXPECT_EQ(named[0]["name"], "requests.csv");
  EXPECT_EQ(named[0]["bytes"], requests.size());
  EXPECT_EQ(std::stoull(named[0]["fnv1a64"].get<std::string>(), nullptr, 16), hash);
}

TEST_F(Output, AiperfsRecordsAreAThirdFileOfTheUnit) {
  const Scenario scenario = load_scenario(default_scenario());
  Result result;
  result.records.push_back({.id = 1});
  const Written written = write_outputs(directory_, scenario, result, metrics::Detail::kSummary,
                                        RequestFormats::kCsvAndAiperf);
  ASSERT_EQ(written.files.size(), 3u);
  EXPECT_EQ(written.files.front(), directory_ / "result.json");
  const std::string records = content(directory_ / "profile_export.jsonl");
  EXPECT_EQ(std::count(records.begin(), records.end(), '\n'), 1);
  const auto named = nlohmann::json::parse(written.result_json)["files"];
  ASSERT_EQ(named.size(), 2u);
  EXPECT_EQ(named[1]["name"], "profile_export.jsonl");
  EXPECT_EQ(named[1]["bytes"], records.size());
}

TEST_F(Output, AResultTakesTheFilesOfTheOneBeforeAwayAndNobodyElses) {
  const Scenario scenario = load_scenario(default_scenario());
  Result full;
  full.time_series = "t\n";
  const auto write = [&](const Result& result, RequestFormats formats) {
    write_outputs(directory_, scenario, result, metrics::Detail::kPerRequest, formats);
  };
  fs::create_directory(directory_);
  std::ofstream(directory_ / "profile_export.jsonl") << "measured";
  write(full, RequestFormats::kCsv);
  EXPECT_EQ(existing_result(directory_)->files,
            (std::vector<std::string>{"requests.csv", "timeseries.csv"}));
  write({}, RequestFormats::kCsv);
  EXPECT_FALSE(fs::exists(directory_ / "timeseries.csv"));
  EXPECT_EQ(content(directory_ / "profile_export.jsonl"), "measured");
  write({}, RequestFormats::kCsvAndAiperf);
  write({}, RequestFormats::kCsv);
  EXPECT_FALSE(fs::exists(directory_ / "profile_export.jsonl"));
}

TEST_F(Output, ADirectoryThatCannotBeMadeIsTheUsersError) {
  fs::create_directory(directory_);
  std::ofstream(directory_ / "file") << "not a directory";
  for (const fs::path& path : {directory_ / "file", directory_ / "file/sub/sub", fs::path("")}) {
    EXPECT_THROW(check_output_directory(path), ConfigError) << path;
  }
  try {
    check_output_directory(directory_ / "file/sub");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("cannot be written into: "));
  }
}

TEST_F(Output, WhatCannotBeReplacedIsSeenBeforehand) {
  fs::create_directories(directory_ / "result.json");
  EXPECT_THROW(check_output_directory(directory_), OutputError);
}

/// Every key at any depth, but for those that are names of operators, streams, reasons and groups.
void collect(const nlohmann::ordered_json& json, std::vector<std::string>& keys) {
  for (const auto& [key, value] : json.items()) {
    if (json.is_object()) keys.push_back(key);
    const bool names = key == "by_reason" || key == "streams_us" || key == "critical_path_us";
    if (key == "classes" || key == "prompt_lengths") {
      for (const auto& group : value) collect(group, keys);
      continue;
    }
    if (value.is_structured() && !names) collect(value, keys);
  }
}

TEST(OutputDocument, NamesEveryKeyAndColumn) {
  const std::string document = content(fs::path(CMSIM_SOURCE_DIR) / "docs/output.md");
  const Result result = run_with(
      R"({"requests": 20, "prompt_length": 2000, "output_length": 20,
          "arrivals": {"kind": "closed_loop", "concurrency": 4}})",
      {"/deployment/cache/reuse=0.5"});
  std::vector<std::string> keys;
  const Scenario scenario = load_scenario(default_scenario());
  collect(nlohmann::ordered_json::parse(
              json_text(metrics::to_json(result, metrics::Detail::kPerRequest))),
          keys);
  EXPECT_GE(keys.size(), 100u);
  for (const std::string& key : keys) {
    EXPECT_NE(document.find("`" + key + "`"), std::string::npos) << "key " << key;
  }
  std::istringstream columns(metrics::requests_csv_header());
  for (std::string column; std::getline(columns, column, ',');) {
    EXPECT_NE(document.find("`" + column + "`"), std::string::npos) << "column " << column;
  }
}

}  // namespace
}  // namespace cmsim::run
