// Turns that wait for the end of the one before.
#include <gtest/gtest.h>

#include "harness.hpp"

namespace cmsim::serve::testing {
namespace {

struct Sessions : ::testing::Test {
  void run(const std::vector<Ask>& asks, std::vector<work::Wait> waits, Seconds until = 1e300) {
    h.waits = std::move(waits);
    h.run(asks, until);
  }
  Harness h;
};

TEST_F(Sessions, ATurnComesWhenTheOneBeforeHasEndedAndItsUserHasThought) {
  run({{0, 100, 10}, {1, 200, 10}, {2, 300, 10}, {50, 100, 10}}, {{}, {0, 3}, {1, 0}, {}});
  EXPECT_DOUBLE_EQ(h.record(1).arrival, h.record(0).finished + 3);
  EXPECT_DOUBLE_EQ(h.record(1).sent, h.record(1).arrival);
  EXPECT_DOUBLE_EQ(h.record(2).sent, h.record(1).finished);
  EXPECT_DOUBLE_EQ(h.record(3).sent, 50);
  EXPECT_EQ(h.totals.finished, 4);
}

TEST_F(Sessions, OneEndsBeforeALaterArrivalOfTheTrace) {
  // The arrival at 1,000 s is scheduled when the first ends; its next turn comes before all the
  // same.
  run({{0, 100, 10}, {0, 200, 10}, {1000, 100, 10}}, {{}, {0, 5}, {}});
  EXPECT_LT(h.record(1).sent, 100);
  EXPECT_DOUBLE_EQ(h.record(2).sent, 1000);
}

TEST_F(Sessions, SeveralMayWaitForOne) {
  run({{0, 100, 10}, {0, 200, 10}, {0, 100, 10}}, {{}, {0, 5}, {0, 2}});
  EXPECT_DOUBLE_EQ(h.record(1).sent, h.record(0).finished + 5);
  EXPECT_DOUBLE_EQ(h.record(2).sent, h.record(0).finished + 2);
}

TEST_F(Sessions, GoOnAfterATurnThatIsRejected) {
  h.config.deployment.cache.enabled = false;
  run({{0, 2'000'000'000, 10}, {0, 100, 10}}, {{}, {0, 5}});
  EXPECT_EQ(h.record(0).outcome, Outcome::kRejected);
  EXPECT_EQ(h.record(1).outcome, Outcome::kFinished);
  EXPECT_DOUBLE_EQ(h.record(1).sent, 5);
}

TEST_F(Sessions, WaitForRoomToo) {
  h.config.concurrency = 1;
  run({{0, 100, 10}, {0, 100, 10}, {0, 100, 500}}, {{}, {0, 0.001}, {}});
  // The last was due first; the turn waits at the client meanwhile.
  EXPECT_DOUBLE_EQ(h.record(2).sent, h.record(0).finished);
  EXPECT_DOUBLE_EQ(h.record(1).arrival, h.record(0).finished + 0.001);
  EXPECT_DOUBLE_EQ(h.record(1).sent, h.record(2).finished);
}

TEST_F(Sessions, ATurnThatWasNeverDueHasNoArrival) {
  run({{0, 100, 10}, {0, 100, 10}}, {{}, {0, 1e6}}, 1000);
  EXPECT_EQ(h.record(1).reason, Reason::kNotSent);
  EXPECT_EQ(h.record(1).arrival, -1);
}

}  // namespace
}  // namespace cmsim::serve::testing
