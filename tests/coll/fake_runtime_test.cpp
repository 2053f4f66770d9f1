#include "tests/coll/fake_runtime.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace cmsim::coll {
namespace {

using End = Outcome::End;

TEST(FakeRuntime, ACancelledEventDoesNotRun) {
  FakeRuntime runtime;
  int ran = 0;
  const EventId event = runtime.schedule_at(2, Priority::kArrival, [&] { ran += 10; });
  runtime.schedule_at(1, Priority::kArrival, [&] {
    ++ran;
    runtime.cancel(event);
  });
  runtime.run();
  EXPECT_EQ(ran, 1);
  EXPECT_DOUBLE_EQ(runtime.now(), 1);
}

TEST(FakeRuntime, TransfersEndDoneCancelledOrFailed) {
  // 1e9 B at 1e9 B/s after 1 s: a quarter has come at 1.25 s, half at 1.5 s, all at 2 s.
  FakeRuntime runtime;
  runtime.wire(Plane::kUb) = {.bandwidth = 1e9, .latency = 1};
  std::vector<Outcome> ends(3);
  const auto start = [&](std::size_t i, int target) {
    return runtime.transfer({hw::die(0), hw::die(target), 1'000'000'000, Plane::kUb, Op::kRead},
                            [&ends, i](const Outcome& outcome) { ends[i] = outcome; });
  };
  start(0, 1);
  const TransferId cut = start(1, 1);
  start(2, 2);
  runtime.schedule_at(1.25, Priority::kDecision, [&] { runtime.cancel(cut); });
  runtime.schedule_at(1.5, Priority::kDecision, [&] {
    hw::Fault fault;
    fault.kind = hw::Fault::Kind::kDie;
    fault.at = 2;
    runtime.apply(fault);
  });
  runtime.run();
  EXPECT_EQ(ends[0].end, End::kDone);
  EXPECT_EQ(ends[0].delivered, 1'000'000'000);
  EXPECT_EQ(ends[1].end, End::kCancelled);
  EXPECT_EQ(ends[1].delivered, 250'000'000);
  EXPECT_DOUBLE_EQ(ends[1].at, 1.25);
  EXPECT_EQ(ends[2].end, End::kFailed);
  EXPECT_EQ(ends[2].delivered, 500'000'000);
  EXPECT_DOUBLE_EQ(runtime.now(), 2);
}

}  // namespace
}  // namespace cmsim::coll
