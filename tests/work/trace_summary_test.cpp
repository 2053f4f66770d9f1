#include "cmsim/work/trace_summary.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cmsim/work/trace_reader.hpp"
#include "cmsim/work/trace_writer.hpp"
#include "support.hpp"

namespace cmsim::work {
namespace {

using testing::HasSubstr;

Trace trace_of_prompts(const std::vector<std::pair<int, std::vector<std::uint64_t>>>& prompts) {
  Trace trace;
  trace.block_size = 10;
  for (const auto& [tokens, blocks] : prompts) {
    trace.rows.push_back({.arrival = static_cast<double>(trace.rows.size()),
                          .prompt_tokens = tokens,
                          .output_tokens = 1,
                          .first_block = static_cast<std::uint32_t>(trace.block_ids.size()),
                          .block_count = static_cast<std::uint32_t>(blocks.size())});
    trace.block_ids.insert(trace.block_ids.end(), blocks.begin(), blocks.end());
  }
  return trace;
}

TEST(PrefixReuse, CountsLongestLeadingRuns) {
  // Second prompt: blocks 1 and 2 found, 9 not. Third: all three of the first, 25 tokens of which
  // the last block holds 5. Fourth: 9 is cached, but 8 before it is not.
  const Trace trace =
      trace_of_prompts({{25, {1, 2, 3}}, {30, {1, 2, 9}}, {25, {1, 2, 3}}, {20, {8, 9}}});
  const PrefixReuse reuse = prefix_reuse(trace, 0);
  EXPECT_DOUBLE_EQ(reuse.by_block, 5.0 / 11);             // 2 + 3 of 3 + 3 + 3 + 2
  EXPECT_DOUBLE_EQ(reuse.by_token, (20.0 + 25.0) / 100);  // min(10 * 3, 25) = 25
}

TEST(PrefixReuse, EvictsTheLeastRecentAndKeepsHeadsOfPrefixes) {
  // Two blocks fit. After {1, 2}: touched 2, then 1. {3} evicts 2, so {1, 2} finds 1 only.
  EXPECT_DOUBLE_EQ(
      prefix_reuse(trace_of_prompts({{20, {1, 2}}, {10, {3}}, {20, {1, 2}}}), 2).by_block, 1.0 / 5);
  // With three blocks all of it stays.
  EXPECT_DOUBLE_EQ(
      prefix_reuse(trace_of_prompts({{20, {1, 2}}, {10, {3}}, {20, {1, 2}}}), 3).by_block, 2.0 / 5);
  // Of a prompt longer than the cache the head stays: 1 and 2 of {1, 2, 3}.
  EXPECT_DOUBLE_EQ(prefix_reuse(trace_of_prompts({{30, {1, 2, 3}}, {30, {1, 2, 3}}}), 2).by_block,
                   2.0 / 6);
}

TEST(Summarize, GivesRatesAndPercentiles) {
  Trace trace;
  // 0, 30, 60, 90, 90 s: four gaps of mean 22.5 s; squares (900 * 3) / 4 = 675.
  for (const double at : {0, 30, 60, 90, 90}) {
    const auto index = static_cast<std::int32_t>(trace.rows.size());
    trace.rows.push_back({.arrival = at, .prompt_tokens = 100 * (index + 1), .output_tokens = 7});
  }
  const TraceSummary summary = summarize(trace);
  EXPECT_EQ(summary.requests, 5);
  EXPECT_EQ(summary.duration, 90);
  EXPECT_DOUBLE_EQ(summary.mean_rate, 4 / 90.0);
  EXPECT_DOUBLE_EQ(summary.peak_rate, 3 / 60.0);  // 60 s to 120 s: three
  EXPECT_NEAR(summary.interarrival_cv, std::sqrt(675 / (22.5 * 22.5) - 1), 1e-12);
  EXPECT_EQ(summary.distinct_stamps, 4);
  EXPECT_EQ(summary.prompt.mean, 300);
  EXPECT_DOUBLE_EQ(summary.prompt.cv, std::sqrt(20000.0) / 300);  // (40000 + 10000) * 2 / 5
  EXPECT_EQ(summary.prompt.p50, 300);
  EXPECT_DOUBLE_EQ(summary.prompt.p90, 460);  // rank 0.9 * 4 = 3.6: 400 + 0.6 * 100
  EXPECT_EQ(summary.prompt.max, 500);
  EXPECT_EQ(summary.output.total, 35);
  EXPECT_TRUE(summary.reuse.empty());
  EXPECT_THAT(format_table(summary), HasSubstr("no block ids"));
}

TEST(Summarize, OfOneRequestHasNoRate) {
  const TraceSummary summary = summarize(trace_of_prompts({{5, {1}}}));
  EXPECT_EQ(summary.mean_rate, 0);
  EXPECT_EQ(summary.peak_rate, 0);
  EXPECT_EQ(summary.interarrival_cv, 0);
}

TEST(Summarize, JsonAndTableSayTheSame) {
  TraceSummary summary = summarize(trace_of_prompts({{20, {1, 2}}, {20, {1, 3}}}), {1, 0});
  summary.dropped = 3;
  summary.dropped_reason = "because";
  const auto json = to_json(summary);
  EXPECT_EQ(json["requests"], 2);
  EXPECT_EQ(json["prefix_reuse"][0]["cache_blocks"], 1);
  EXPECT_EQ(json["prefix_reuse"][1]["cache_blocks"], "unbounded");
  EXPECT_EQ(json["prefix_reuse"][1]["by_block"], 0.25);
  const std::string table = format_table(summary);
  EXPECT_THAT(table, HasSubstr("2, 3 rows dropped: because"));
  EXPECT_THAT(table, HasSubstr("4 blocks of 10 tokens, 3 distinct"));
  EXPECT_THAT(table, HasSubstr("unbounded                   25.0 %    25.0 %"));
}

TEST(WriteMooncake, IsReadBackAsItWas) {
  Trace trace = trace_of_prompts({{25, {1, 2, 3}}, {30, {1, 2, 9}}});
  trace.rows[1].arrival = 1.2346;  // written in whole milliseconds
  std::ostringstream out;
  write_mooncake_jsonl(trace, out);
  EXPECT_THAT(out.str(),
              HasSubstr("{\"timestamp\": 1235, \"input_length\": 30, \"output_length\": 1, "
                        "\"hash_ids\": [1, 2, 9]}\n"));
  const Trace again = parse_trace(out.str(), "t.jsonl", {.block_size = 10});
  EXPECT_EQ(again.block_ids, trace.block_ids);
  EXPECT_EQ(again.rows[1].arrival, 1.235);
}

TEST(WriteMooncake, LeavesOutBlocksThatAreNotThere) {
  Trace trace;
  trace.rows.push_back({.arrival = 0, .prompt_tokens = 3, .output_tokens = 4});
  std::ostringstream out;
  write_mooncake_jsonl(trace, out);
  EXPECT_EQ(out.str(), "{\"timestamp\": 0, \"input_length\": 3, \"output_length\": 4}\n");
}

}  // namespace
}  // namespace cmsim::work
