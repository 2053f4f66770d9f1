// The published traces, read whole. Skipped where they are not there.
#include <gmock/gmock.h>

#include "cmsim/work/trace_reader.hpp"
#include "cmsim/work/trace_summary.hpp"
#include "cmsim/work/workload.hpp"
#include "support.hpp"

namespace cmsim::work {
namespace {

TEST(PublishedTraces, MooncakeConversation) {
  const auto path = test::shared_trace("mooncake_conversation_trace.jsonl.gz");
  if (path.empty()) GTEST_SKIP() << "no shared traces";
  const TraceSummary summary = summarize(read_trace(path));
  EXPECT_EQ(summary.requests, 12031);
  EXPECT_NEAR(summary.duration, 3537, 1);
  EXPECT_EQ(summary.blocks, 288500);
  EXPECT_NEAR(summary.prompt.mean, 12035, 1);
  EXPECT_NEAR(summary.output.mean, 342.6, 0.1);
  ASSERT_EQ(summary.reuse.back().cache_blocks, 0);
  EXPECT_NEAR(100 * summary.reuse.back().by_block, 36.6, 0.05);
  EXPECT_NEAR(100 * summary.reuse.back().by_token, 37.4, 0.05);
  for (std::size_t i = 1; i < summary.reuse.size(); ++i) {
    EXPECT_GT(summary.reuse[i].by_block, summary.reuse[i - 1].by_block);
  }
}

TEST(PublishedTraces, AzureConversation2023) {
  const auto path = test::shared_trace("AzureLLMInferenceTrace_conv_2023.csv.gz");
  if (path.empty()) GTEST_SKIP() << "no shared traces";
  const TraceSummary summary = summarize(read_trace(path));
  EXPECT_EQ(summary.requests, 19366);
  EXPECT_NEAR(summary.duration, 3501.72, 0.01);  // 18:15:46.68 to 19:14:08.40
  EXPECT_NEAR(summary.prompt.mean, 1154.7, 0.1);
  EXPECT_NEAR(summary.output.mean, 211.1, 0.1);
}

TEST(PublishedTraces, OneHourOfServeGenR1) {
  const auto path = test::shared_trace("servegen_deepseek-r1.tar.gz");
  if (path.empty()) GTEST_SKIP() << "no shared traces";
  // The profile's rates add up to 1,383,669 requests a day, 57,653 in the mean hour. From 04:30 to
  // 05:30 they add up to 58,468; bursts (CVs up to 10) let a draw differ by some percent.
  WorkloadSpec spec;
  spec.trace = path.string();
  spec.start = 16200;
  spec.end = 19800;
  const Trace trace = make_workload(spec, 1);
  EXPECT_NEAR(static_cast<double>(trace.rows.size()), 58468, 0.05 * 58468);
  EXPECT_LT(trace.duration(), 3600);
  EXPECT_GE(trace.rows.front().arrival, 0);  // counted from the start of the cut
}

TEST(PublishedTraces, ADayOfServeGenR1HasTheMeansOfItsProfile) {
  const auto path = test::shared_trace("servegen_deepseek-r1.tar.gz");
  if (path.empty()) GTEST_SKIP() << "no shared traces";
  const TraceSummary summary = summarize(read_trace(path));
  // Sums over clients and windows of rate * 600 s, and of that times the histogram's mean.
  EXPECT_NEAR(static_cast<double>(summary.requests), 1383669, 0.02 * 1383669);
  EXPECT_NEAR(summary.prompt.mean, 1268, 0.02 * 1268);
  EXPECT_NEAR(summary.output.mean, 1527, 0.02 * 1527);
}

}  // namespace
}  // namespace cmsim::work
