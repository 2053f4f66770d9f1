#include "cmsim/metrics/time_series.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "cmsim/base/error.hpp"
#include "tests/metrics/records.hpp"

namespace cmsim::metrics {
namespace {

SystemFacts small_facts() {
  SystemFacts facts;
  facts.deployment.prefill = {2, 4, 8, 1000};
  facts.deployment.decode = {1, 5, 10, 8};
  facts.decode_kv_per_die = 100;  // 1,000 on 10 dies
  return facts;
}

std::vector<std::string> lines_of(const std::string& csv) {
  std::vector<std::string> lines;
  std::istringstream stream(csv);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(TimeSeries, OneRowAnIntervalWithMeansAndShares) {
  TimeSeries series(2, small_facts());
  series.on_request_sent(left_waiting(0, 10));
  series.on_queue({.at = 10, .prefill_waiting = 4});
  series.on_queue({.at = 11, .prefill_waiting = 1, .decode_running = 2, .decode_kv_reserved = 500});
  // A batch of 300 tokens over [11, 13]: half in each of two intervals, of 2 instances.
  series.on_prefill_batch({11, 13, 0, 3, 300, 0, 0, 0});
  // A step of 2 sequences and 4 tokens over [12, 13].
  series.on_decode_step({12, 13, 0, 2, 0, 4, 0, 0, 0});
  series.on_cache({.at = 12.5, .lookup_tokens = 1000, .hit_tokens = 250, .ssd_hit_tokens = 100});
  series.on_request_end(finished(0, 10, 11, -1));  // ends at 10 + 4 - 1
  const auto lines = lines_of(series.csv(15));
  ASSERT_EQ(lines.size(), 4u);
  // [10, 12]: 4 for 1 s and 1 for 1 s waiting; 2 running for 1 s; 500 of 1,000 KV for half of it.
  EXPECT_EQ(lines[1], "10,1,0,2.5,0,0,1,0.25,0.25,300,75,0,,,0,,,,,");
  EXPECT_EQ(lines[2], "12,0,1,1,0,0,2,0.5,0.25,300,75,0.5,2,1000,2,0.25,0.1,,,");
  EXPECT_EQ(lines[3], "14,0,0,1,0,0,2,0.5,0,,0,0,,,0,,,,,");  // 1 s: the last is shorter
}

TEST(TimeSeries, NpusOfARoleAreThoseThatServeInItOrLeaveIt) {
  using serve::InstanceState;
  TimeSeries series(2, small_facts());
  series.on_role({0, 0, 0, 16, InstanceState::kServing, false});
  series.on_role({0, 0, 1, 16, InstanceState::kServing, false});
  series.on_role({0, 0, 2, 16, InstanceState::kServing, true});
  series.on_request_sent(left_waiting(0, 10));
  series.on_role({11, 0, 1, 16, InstanceState::kDraining, false});
  series.on_role({13, 0, 1, 16, InstanceState::kLoading, true});
  const auto lines = lines_of(series.csv(14));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[1].ends_with(",32,16,0")) << lines[1];  // what is drained counts
  EXPECT_TRUE(lines[2].ends_with(",24,16,8")) << lines[2];  // 16 NPUs load for 1 of 2 s
}

TEST(TimeSeries, RefusesMoreIntervalsThanAnybodyReads) {
  TimeSeries series(1e-6, small_facts());
  series.on_queue({.at = 0, .prefill_waiting = 1});
  series.on_queue({.at = 2, .prefill_waiting = 0});
  EXPECT_THROW(series.csv(2), ConfigError);
}

}  // namespace
}  // namespace cmsim::metrics
