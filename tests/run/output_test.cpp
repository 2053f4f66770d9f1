#include "cmsim/run/output.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

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
  prepare_output_directory(directory_ / "a/b");
  EXPECT_TRUE(fs::is_empty(directory_ / "a/b"));
  const auto files = write_outputs(directory_ / "a/b", scenario, {}, metrics::Detail::kSummary);
  EXPECT_EQ(files.size(), 2u);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_ / "a/b"), {}), 2);
  EXPECT_TRUE(nlohmann::json::accept(content(directory_ / "a/b/result.json")));
  EXPECT_EQ(content(directory_ / "a/b/requests.csv"), metrics::requests_csv_header() + "\n");
}

TEST_F(Output, ReplacesAFileWhole) {
  prepare_output_directory(directory_);
  write_atomically(directory_ / "x", "a long first content");
  write_atomically(directory_ / "x", "short");
  EXPECT_EQ(content(directory_ / "x"), "short");
}

TEST_F(Output, ADirectoryThatCannotBeMadeIsTheUsersError) {
  prepare_output_directory(directory_);
  std::ofstream(directory_ / "file") << "not a directory";
  try {
    prepare_output_directory(directory_ / "file/sub");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("cannot make the output directory: "));
  }
}

TEST_F(Output, NoHalfFileIsLeftBehind) {
  prepare_output_directory(directory_);
  fs::create_directory(directory_ / "taken");  // a rename onto a directory fails
  EXPECT_THROW(write_atomically(directory_ / "taken", "content"), ConfigError);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1);
}

/// Every key at any depth, but for those that are names of operators, streams and reasons.
void collect(const nlohmann::ordered_json& json, std::vector<std::string>& keys) {
  for (const auto& [key, value] : json.items()) {
    if (json.is_object()) keys.push_back(key);
    const bool names = key == "by_reason" || key == "streams_us" || key == "critical_path_us";
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
  collect(to_json(result, metrics::Detail::kPerRequest), keys);
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
