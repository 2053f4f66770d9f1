#include "cmsim/metrics/timeline.hpp"

#include <gtest/gtest.h>

namespace cmsim::metrics {
namespace {

serve::QueueEvent waiting(Seconds at, std::int64_t count) {
  return {.at = at, .prefill_waiting = count};
}

TEST(Timeline, IntegratesLevelsAndKeepsTheHighest) {
  Timeline timeline;
  timeline.set(waiting(10, 0));
  timeline.set(waiting(14, 3));  // 0 for 4 s
  timeline.set(waiting(14, 5));  // 3 for no time
  timeline.set(waiting(15, 1));  // 5 for 1 s
  timeline.close(20);            // 1 for 5 s
  const TimelinePart all = timeline.part(0, timeline.bins());
  EXPECT_DOUBLE_EQ(all.integral_of(Level::kPrefillWaiting), 5 * 1 + 1 * 5);
  EXPECT_EQ(all.highest_of(Level::kPrefillWaiting), 5);
  EXPECT_EQ(all.integral_of(Level::kDecodeRunning), 0);
}

TEST(Timeline, HasBetween1024And2048BinsOfAPowerOfTwo) {
  Timeline timeline;
  timeline.set(waiting(100, 2));
  timeline.close(110);
  // 10 s: 2^-7 s makes 1,280 bins, 2^-8 s 2,560.
  EXPECT_EQ(timeline.bin_width(), 1 / 128.0);
  EXPECT_EQ(timeline.bins(), 1281u);  // the last one begins at 110
  EXPECT_EQ(timeline.start_of(0), 100);
  EXPECT_EQ(timeline.bin_at(100.5), 64u);
}

TEST(Timeline, APartIsExactWhereItEndsWithBins) {
  // Level t - 100 from t on, for t = 100 ... 109: [103, 106] has 3 + 4 + 5 s.
  Timeline timeline;
  for (int i = 0; i < 10; ++i) timeline.set(waiting(100 + i, i));
  timeline.close(110);
  const TimelinePart part = timeline.part(timeline.bin_at(103), timeline.bin_at(106));
  EXPECT_DOUBLE_EQ(part.integral_of(Level::kPrefillWaiting), 12);
  EXPECT_EQ(part.highest_of(Level::kPrefillWaiting), 5);
}

TEST(Timeline, TransfersCountWhereTheyEnd) {
  Timeline timeline;
  timeline.set(waiting(0, 0));
  timeline.add({0, 2, serve::TransferKind::kKvPull, 100});
  timeline.add({1, 8, serve::TransferKind::kKvPull, 500});
  timeline.close(10);
  const auto pulls = [&](Seconds from, Seconds to) {
    return timeline.part(timeline.bin_at(from), timeline.bin_at(to)).transfers[2];
  };
  EXPECT_EQ(pulls(0, 5).count, 1);
  EXPECT_EQ(pulls(0, 10).count, 2);
  EXPECT_DOUBLE_EQ(pulls(5, 10).seconds, 7);
  EXPECT_DOUBLE_EQ(pulls(0, 10).longest, 7);
  EXPECT_DOUBLE_EQ(pulls(0, 10).bytes, 600);
}

TEST(Timeline, NamesWhatTheQueueOfDecodeWaitsFor) {
  using Blocked = serve::QueueEvent::Blocked;
  Timeline timeline;
  timeline.set({.at = 0, .decode_waiting = 1, .decode_blocked = Blocked::kBySlots});
  timeline.set({.at = 3, .decode_waiting = 1, .decode_blocked = Blocked::kByKv});
  timeline.set({.at = 5});
  timeline.close(8);
  const TimelinePart all = timeline.part(0, timeline.bins());
  EXPECT_DOUBLE_EQ(all.integral_of(Level::kSlotsBind), 3);
  EXPECT_DOUBLE_EQ(all.integral_of(Level::kKvBinds), 2);
  EXPECT_EQ(all.integral_of(Level::kPolicyHolds), 0);
}

}  // namespace
}  // namespace cmsim::metrics
