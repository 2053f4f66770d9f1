#include "cmsim/metrics/aiperf_jsonl.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/metrics/records.hpp"

namespace cmsim::metrics {
namespace {

using nlohmann::json;

std::vector<json> lines_of(const Result& result, serve::Role role = serve::Role::kAll,
                           Detail detail = Detail::kSummary) {
  std::istringstream text(aiperf_jsonl(result, role, detail));
  std::vector<json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  return lines;
}

TEST(AiperfJsonl, ARecordHasTimesAndLatencies) {
  // Sent at 2 s, first token 4 s later, 10 more tokens in 5 s.
  Result result;
  result.records = {finished(7, 2, 11, 5)};
  const std::vector<json> lines = lines_of(result);
  ASSERT_EQ(lines.size(), 1u);
  const json& metadata = lines[0]["metadata"];
  EXPECT_EQ(metadata["session_num"], 7);
  EXPECT_EQ(metadata["request_start_ns"], 2'000'000'000);
  EXPECT_EQ(metadata["request_end_ns"], 11'000'000'000);
  EXPECT_EQ(metadata["benchmark_phase"], "profiling");
  EXPECT_EQ(metadata["was_cancelled"], false);
  EXPECT_TRUE(lines[0]["error"].is_null());
  const json expected = json::parse(R"({
    "input_sequence_length": {"value": 100, "unit": "tokens"},
    "output_sequence_length": {"value": 11, "unit": "tokens"},
    "time_to_first_token": {"value": 4000, "unit": "ms"},
    "request_latency": {"value": 9000, "unit": "ms"},
    "inter_token_latency": {"value": 500, "unit": "ms"},
    "output_token_throughput_per_user": {"value": 2, "unit": "tokens/sec/user"}})");
  EXPECT_EQ(lines[0]["metrics"], expected);
}

TEST(AiperfJsonl, WhatHasNoTimeIsLeftOut) {
  Result result;
  result.records = {finished(0, 0, 1, 0), finished(1, 0, 10, 0)};
  for (const json& line : lines_of(result, serve::Role::kPrefillOnly)) {
    EXPECT_EQ(line["metrics"]["output_sequence_length"]["value"], 1);
    EXPECT_FALSE(line["metrics"].contains("inter_token_latency"));
  }
}

TEST(AiperfJsonl, OneThatDidNotFinishHasAnError) {
  Result result;
  result.records = {rejected(0, 3), left_waiting(1, 4), left_waiting(2, -1)};
  const std::vector<json> lines = lines_of(result);
  ASSERT_EQ(lines.size(), 2u);  // the third was never sent
  EXPECT_EQ(lines[0]["error"]["type"], "rejected");
  EXPECT_EQ(lines[0]["error"]["message"], "prompt_exceeds_kv");
  EXPECT_EQ(lines[0]["metrics"], json::parse(R"({"error_isl": {"value": 100, "unit": "tokens"}})"));
  EXPECT_EQ(lines[0]["metadata"]["was_cancelled"], false);
  EXPECT_EQ(lines[1]["metadata"]["was_cancelled"], true);
  EXPECT_TRUE(lines[1]["metadata"]["request_end_ns"].is_null());
}

TEST(AiperfJsonl, AFirstPopulationIsWarmUp) {
  Result result;
  serve::RequestRecord record = finished(0, 0, 10, 1);
  record.initial_tokens = 3;
  result.records = {record};
  EXPECT_EQ(lines_of(result)[0]["metadata"]["benchmark_phase"], "warmup");
}

TEST(AiperfJsonl, GapsComeWithTheDetails) {
  // First token at 4 s; steps of its instance end at 4, 4.25 and 5 s, one of another between.
  Result result;
  result.records = {finished(0, 0, 3, 1)};
  for (const auto& [end, instance] : {std::pair{4.0, 0}, {4.25, 0}, {4.5, 1}, {5.0, 0}}) {
    result.steps.push_back({.end = end, .instance = instance});
  }
  EXPECT_FALSE(lines_of(result)[0]["metrics"].contains("inter_chunk_latency"));
  const json line = lines_of(result, serve::Role::kAll, Detail::kPerRequest)[0];
  EXPECT_EQ(line["metrics"]["inter_chunk_latency"],
            json::parse(R"({"value": [250, 750], "unit": "ms"})"));
}

}  // namespace
}  // namespace cmsim::metrics
