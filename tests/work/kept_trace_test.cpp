// The trace kept in workloads/traces/ is what its README says.
#include <gtest/gtest.h>

#include "cmsim/work/trace_reader.hpp"
#include "cmsim/work/trace_summary.hpp"

namespace cmsim::work {
namespace {

TEST(KeptTrace, HasTheStatisticsItsReadmeStates) {
  const auto path = std::filesystem::path(CMSIM_SOURCE_DIR) / "workloads/traces/r1-like.jsonl.gz";
  const TraceSummary summary = summarize(read_trace(path));
  EXPECT_EQ(summary.requests, 59730);
  EXPECT_NEAR(summary.duration, 240, 0.1);
  // The mean and CV of the ServeGen R1 profiles, within five standard errors of 59,730 draws:
  // 5 CV / sqrt(59730) is 6.4 % for the prompts and 3.1 % for the outputs.
  EXPECT_NEAR(summary.prompt.mean / 1268, 1, 0.064);
  EXPECT_NEAR(summary.prompt.cv / 3.12, 1, 0.1);
  EXPECT_NEAR(summary.output.mean / 1527, 1, 0.031);
  EXPECT_NEAR(summary.output.cv / 1.52, 1, 0.1);
  EXPECT_NEAR(summary.reuse.back().by_block, 0.142, 0.0005);
  EXPECT_NEAR(summary.reuse.back().by_token, 0.186, 0.0005);
}

}  // namespace
}  // namespace cmsim::work
