#include <gtest/gtest.h>

#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "cmsim/base/error.hpp"
#include "cmsim/base/random.hpp"
#include "cmsim/engine/exchange.hpp"
#include "cmsim/engine/runtime.hpp"
#include "cmsim/hw/fault.hpp"
#include "tests/engine/plain.hpp"

namespace cmsim::engine {
namespace {

using coll::Outcome;
using coll::Priority;
using End = coll::Outcome::End;
using Kind = hw::Fault::Kind;

hw::Fault fault(Kind kind, int at, double left, int part = 0) {
  hw::Fault fault;
  fault.kind = kind;
  fault.at = at;
  fault.part = part;
  fault.left = left;
  return fault;
}

/// Starts a transfer that writes down how it ended.
coll::TransferId start(SimGridRuntime& runtime, const coll::Transfer& transfer,
                       std::vector<Outcome>& ends) {
  return runtime.transfer(transfer, [&ends](const Outcome& outcome) { ends.push_back(outcome); });
}

void at(SimGridRuntime& runtime, Seconds when, coll::Runtime::Callback callback) {
  runtime.schedule_at(when, Priority::kDecision, std::move(callback));
}

Bytes carried(const SimGridRuntime& runtime, const std::string& cls, coll::Direction direction) {
  for (const ClassUse& use : runtime.class_use()) {
    if (use.cls == cls && use.direction == direction) return use.bytes;
  }
  return -1;
}

TEST(CancelledEvents, DoNotRunAndDoNotMakeTheRunLast) {
  SimGridRuntime runtime(plain());
  std::string order;
  const auto mark = [&](Seconds when, char name) {
    return runtime.schedule_at(when, Priority::kArrival, [&order, name] { order += name; });
  };
  mark(1, 'a');
  const coll::EventId first = mark(0.5, 'x');
  const coll::EventId same_date = mark(1, 'y');
  const coll::EventId last = mark(7, 'z');
  at(runtime, 0.25, [&] { runtime.cancel(first); });
  runtime.schedule_at(1, Priority::kTransferDone, [&] { runtime.cancel(same_date); });
  runtime.cancel(last);
  runtime.run();
  EXPECT_EQ(order, "a");
  EXPECT_DOUBLE_EQ(runtime.now(), 1);
}

TEST(CancelledEvents, NamesOfWhatHasRunMeanNothing) {
  SimGridRuntime runtime(plain());
  int ran = 0;
  const coll::EventId early = runtime.schedule_at(1, Priority::kArrival, [&] { ++ran; });
  at(runtime, 2, [&] {
    runtime.schedule_at(3, Priority::kArrival, [&] { ++ran; });  // may lie where `early` lay
    runtime.cancel(early);
    runtime.cancel(coll::EventId{});
  });
  runtime.run();
  EXPECT_EQ(ran, 2);
}

TEST(CancelledEvents, OthersKeepTheirOrder) {
  SimGridRuntime runtime(plain());
  RandomStream random(3, "events");
  std::vector<std::pair<Seconds, int>> expected, seen;
  std::vector<coll::EventId> names;
  std::vector<Seconds> dates;
  for (int i = 0; i < 2000; ++i) {
    const Seconds when = static_cast<double>(random.uniform_int(1, 100));
    dates.push_back(when);
    names.push_back(runtime.schedule_at(when, Priority::kArrival,
                                        [&, when, i] { seen.emplace_back(when, i); }));
  }
  for (int i = 0; i < 2000; ++i) {
    if (random.uniform_int(0, 9) < 7) {
      runtime.cancel(names[static_cast<std::size_t>(i)]);
    } else {
      expected.emplace_back(dates[static_cast<std::size_t>(i)], i);
    }
  }
  std::sort(expected.begin(), expected.end());
  runtime.run();
  EXPECT_EQ(seen, expected);
}

class CancelledTransfers : public testing::TestWithParam<Sharing> {};
INSTANTIATE_TEST_SUITE_P(Both, CancelledTransfers, testing::Values(Sharing::kLazy, Sharing::kFull));

TEST_P(CancelledTransfers, TellWhatWasDeliveredAndFreeTheirShare) {
  // Two writes of 196 MB into die 32 from 1 us on, at 98 GB/s each. One is cancelled at 1.001 ms,
  // after 98 MB; the other has 98 MB left and 196 GB/s: it ends at 1.501 ms.
  SimGridRuntime runtime(plain(), {.sharing = GetParam(), .simgrid_options = {}});
  std::vector<Outcome> ends;
  const coll::TransferId cut = start(runtime, write(0, 32, 196'000'000), ends);
  start(runtime, write(16, 32, 196'000'000), ends);
  at(runtime, 1.001e-3, [&] {
    runtime.cancel(cut);
    EXPECT_TRUE(ends.empty()) << "told within cancel()";
  });
  runtime.run();
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends[0].end, End::kCancelled);
  EXPECT_EQ(ends[0].delivered, 98'000'000);
  EXPECT_DOUBLE_EQ(ends[0].at, 1.001e-3);
  EXPECT_EQ(ends[1].end, End::kDone);
  EXPECT_EQ(ends[1].delivered, 196'000'000);
  EXPECT_NEAR(ends[1].at, 1.501e-3, 1e-12);
  EXPECT_NO_THROW(runtime.check_bytes_conserved());
  EXPECT_EQ(carried(runtime, "die_ub", coll::Direction::kIn), 294'000'000);
}

TEST_P(CancelledTransfers, CountPayloadAndNotTheWire) {
  // A read of the shipped machine: 164 of 196 GB/s, after 1.9 us.
  SimGridRuntime runtime(hw::cloudmatrix(), {.sharing = GetParam(), .simgrid_options = {}});
  std::vector<Outcome> ends;
  const coll::TransferId read = start(
      runtime, {hw::die(0), hw::die(16), 164'000'000, coll::Plane::kUb, coll::Op::kRead}, ends);
  at(runtime, 1.9e-6 + 0.25e-3, [&] { runtime.cancel(read); });
  runtime.run();
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_NEAR(static_cast<double>(ends[0].delivered), 41e6, 1);
}

TEST(CancelledTransfers, HaveDeliveredNothingWithinTheirLatency) {
  SimGridRuntime runtime(plain());
  std::vector<Outcome> ends;
  const coll::TransferId cut = start(runtime, write(0, 32, 196'000'000), ends);
  at(runtime, 0.5e-6, [&] { runtime.cancel(cut); });
  runtime.run();
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].end, End::kCancelled);
  EXPECT_EQ(ends[0].delivered, 0);
  EXPECT_DOUBLE_EQ(runtime.now(), 0.5e-6);
}

TEST(CancelledTransfers, AreToldOnceAndNamesOfOthersStay) {
  SimGridRuntime runtime(plain());
  std::vector<Outcome> ends;
  const coll::TransferId first = start(runtime, write(0, 32, 196'000), ends);
  at(runtime, 1, [&] {
    const coll::TransferId second = start(runtime, write(0, 32, 196'000'000), ends);
    runtime.cancel(first);  // has ended, and the second may lie where it lay
    runtime.cancel(coll::TransferId{});
    at(runtime, 1.0005, [&, second] {
      runtime.cancel(second);
      runtime.cancel(second);
      start(runtime, write(0, 32, 196'000'000), ends);
    });
  });
  runtime.run();
  ASSERT_EQ(ends.size(), 3u);
  EXPECT_EQ(ends[0].end, End::kDone);
  EXPECT_EQ(ends[1].end, End::kCancelled);
  EXPECT_EQ(ends[2].end, End::kDone);
  EXPECT_EQ(runtime.open_flows(), 0);
  EXPECT_NO_THROW(runtime.check_bytes_conserved());
}

TEST(CancelledTransfers, OfACopyInsideADie) {
  const hw::Platform platform = plain();
  SimGridRuntime runtime(platform);
  std::vector<Outcome> ends;
  const auto bytes = static_cast<Bytes>(platform.die.hbm_bandwidth);  // takes 1 s
  const coll::TransferId cut = start(runtime, write(3, 3, bytes), ends);
  at(runtime, 0.25, [&] { runtime.cancel(cut); });
  runtime.run();
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].end, End::kCancelled);
  EXPECT_EQ(ends[0].delivered, bytes / 4);
  EXPECT_DOUBLE_EQ(ends[0].at, 0.25);
  EXPECT_DOUBLE_EQ(runtime.now(), 0.25);
}

class Faults : public testing::TestWithParam<Sharing> {};
INSTANTIATE_TEST_SUITE_P(Both, Faults, testing::Values(Sharing::kLazy, Sharing::kFull));

TEST_P(Faults, ALostDieFailsItsTransfersAndNoOthers) {
  // 196 MB into die 16 at 196 GB/s from 1 us on: half of it at 0.501 ms.
  SimGridRuntime runtime(plain(), {.sharing = GetParam(), .simgrid_options = {}});
  std::vector<Outcome> lost, others, late, again;
  start(runtime, write(0, 16, 196'000'000), lost);
  start(runtime, write(2, 32, 196'000'000), others);
  at(runtime, 0.501e-3, [&] { runtime.apply(fault(Kind::kDie, 16, 0)); });
  at(runtime, 0.6e-3, [&] {
    start(runtime, write(0, 16, 1'000'000), late);
    start(runtime, write(0, 16, 0), late);
  });
  at(runtime, 2e-3, [&] {
    runtime.apply(fault(Kind::kDie, 16, 1));
    start(runtime, write(0, 16, 196'000'000), again);
  });
  EXPECT_NO_THROW(runtime.run());
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].end, End::kFailed);
  EXPECT_EQ(lost[0].delivered, 98'000'000);
  EXPECT_DOUBLE_EQ(lost[0].at, 0.501e-3);
  ASSERT_EQ(others.size(), 1u);
  EXPECT_EQ(others[0].end, End::kDone);
  EXPECT_NEAR(others[0].at, 1.001e-3, 1e-12);
  ASSERT_EQ(late.size(), 2u);
  for (const Outcome& one : late) {
    EXPECT_EQ(one.end, End::kFailed);
    EXPECT_EQ(one.delivered, 0);
    EXPECT_DOUBLE_EQ(one.at, 0.6e-3);
  }
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].end, End::kDone);
  EXPECT_NEAR(again[0].at, 3.001e-3, 1e-12);
  EXPECT_EQ(runtime.open_flows(), 0);
  EXPECT_NO_THROW(runtime.check_bytes_conserved());
}

// What measures an exchange has no time for one that was cut off, nor for a transfer beside it.
TEST_P(Faults, AnExchangeThatIsCutOffHasNoDuration) {
  const coll::PairTraffic traffic{.pairs = {{0, 16, 196e6}, {2, 32, 196e6}}};
  const std::vector<coll::Transfer> beside{write(4, 48, 196'000'000)};
  for (const coll::Network network : {coll::Network::kHose, coll::Network::kFlow}) {
    for (const int die : {16, 48}) {
      SimGridRuntime runtime(plain(), {.sharing = GetParam(), .simgrid_options = {}});
      EXPECT_NO_THROW(run_exchange(runtime, traffic, network, beside));
      at(runtime, runtime.now() + 0.5e-3, [&] { runtime.apply(fault(Kind::kDie, die, 0)); });
      EXPECT_THROW(run_exchange(runtime, traffic, network, beside), SimulationError);
    }
  }
}

TEST_P(Faults, ASlowPlaneSlowsWhatIsUnderWay) {
  // A die has 7 links of 28 GB/s; with half of one left, 6.5 of them: 182 GB/s. Of 196 MB half is
  // left at 0.501 ms. It then has a quarter of a second link less, 175 GB/s, and is whole again.
  SimGridRuntime runtime(plain(), {.sharing = GetParam(), .simgrid_options = {}});
  std::vector<Outcome> ends;
  start(runtime, write(0, 16, 196'000'000), ends);
  at(runtime, 0.501e-3, [&] { runtime.apply(fault(Kind::kPlane, 3, 0.5)); });
  runtime.run();
  ASSERT_EQ(ends.size(), 1u);
  const Seconds slow = 0.501e-3 + 98e6 / 182e9;
  EXPECT_NEAR(ends[0].at, slow, 1e-12);

  const Seconds now = runtime.now();
  runtime.apply(fault(Kind::kPlane, 5, 0.75));  // 28 GB/s * (5 + 0.5 + 0.75) = 175 GB/s
  start(runtime, write(0, 16, 175'000'000), ends);
  runtime.run();
  EXPECT_NEAR(ends[1].at - now, 1e-6 + 1e-3, 1e-11);

  const Seconds later = runtime.now();
  runtime.apply(fault(Kind::kPlane, 3, 1));
  runtime.apply(fault(Kind::kPlane, 5, 1));
  start(runtime, write(0, 16, 196'000'000), ends);
  runtime.run();
  EXPECT_NEAR(ends[2].at - later, 1e-6 + 1e-3, 1e-11);
}

TEST(Faults, ALostL2ChipNarrowsTheUplinks) {
  // One L2 chip a sub-plane: 196 GB/s of uplinks a node, 168 without one of the seven. Two dies of
  // node 0 that write to node 1 have 98 GB/s each, then 84.
  hw::Platform platform = plain();
  platform.ub.fabric.l2_chips_per_plane = 1;
  SimGridRuntime runtime(platform);
  std::vector<Outcome> ends;
  start(runtime, write(0, 16, 98'000'000), ends);
  start(runtime, write(2, 18, 98'000'000), ends);
  at(runtime, 0.501e-3, [&] { runtime.apply(fault(Kind::kL2, 3, 0, 0)); });
  runtime.run();
  ASSERT_EQ(ends.size(), 2u);
  for (const Outcome& one : ends) EXPECT_NEAR(one.at, 0.501e-3 + 49e6 / 84e9, 1e-12);
}

TEST(Faults, TransfersThatStartGoAroundWhatIsLost) {
  // Hashed: a flow takes one link of a die. It fails with the plane of that link; the next one goes
  // another way, and a machine that had lost the plane from the start takes as long.
  hw::Platform platform = plain();
  platform.ub.spread = hw::Spread::kHash;
  const coll::Fabric fabric(platform);
  const coll::Path path = fabric.path(hw::die(0), hw::die(16), coll::Plane::kUb, coll::Op::kWrite);
  const int plane = fabric.ports()[static_cast<std::size_t>(path.ports[0])].lane;
  SimGridRuntime runtime(fabric);
  std::vector<Outcome> ends;
  start(runtime, write(0, 16, 28'000'000), ends);  // 1.001 ms at 28 GB/s
  at(runtime, 0.501e-3, [&] {
    runtime.apply(fault(Kind::kPlane, plane, 0));
    start(runtime, write(0, 16, 28'000'000), ends);
  });
  at(runtime, 3e-3, [&] {
    runtime.apply(fault(Kind::kPlane, plane, 1));
    start(runtime, write(0, 16, 28'000'000), ends);
  });
  runtime.run();
  ASSERT_EQ(ends.size(), 3u);
  EXPECT_EQ(ends[0].end, End::kFailed);
  EXPECT_EQ(ends[0].delivered, 14'000'000);
  EXPECT_EQ(ends[1].end, End::kDone);
  EXPECT_NEAR(ends[1].at, 0.501e-3 + 1.001e-3, 1e-12);
  EXPECT_EQ(ends[2].end, End::kDone);
  EXPECT_NO_THROW(runtime.check_bytes_conserved());
}

TEST(Faults, StripesGoOverThePlanesThatAreLeft) {
  // 168 MB over six planes of 28 GB/s: 1 us + 1 ms.
  hw::Platform platform = plain();
  platform.ub.spread = hw::Spread::kStripe;
  SimGridRuntime runtime(platform);
  runtime.apply(fault(Kind::kPlane, 2, 0));
  std::vector<Outcome> ends;
  start(runtime, write(0, 16, 168'000'000), ends);
  runtime.run();
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].end, End::kDone);
  EXPECT_NEAR(ends[0].at, 1.001e-3, 1e-12);
}

TEST(Faults, UplinksThatPathsLeaveOutMustNotComeToBind) {
  {
    SimGridRuntime runtime(plain());
    EXPECT_THROW(runtime.apply(fault(Kind::kL2, 3, 0, 5)), std::invalid_argument);
    EXPECT_NO_THROW(runtime.apply(fault(Kind::kPlane, 3, 0)));  // as much less from below
    EXPECT_NO_THROW(runtime.apply(fault(Kind::kNode, 7, 0)));
  }
  SimGridRuntime runtime(coll::Fabric(plain(), coll::Uplinks::kAlways));
  EXPECT_NO_THROW(runtime.apply(fault(Kind::kL2, 3, 0, 5)));
}

TEST(Faults, LeaveAShareFromNothingToAll) {
  SimGridRuntime runtime(plain());
  EXPECT_THROW(runtime.apply(fault(Kind::kDie, 1, -0.5)), std::invalid_argument);
  EXPECT_THROW(runtime.apply(fault(Kind::kDie, 1, 1.5)), std::invalid_argument);
}

TEST(Faults, FailAnExchangeAndKeepItsBytes) {
  SimGridRuntime runtime(plain());
  coll::PairTraffic traffic;
  for (int to = 16; to < 160; to += 16) traffic.pairs.push_back({0, to, 10e6});
  const coll::PortLoads loads = coll::port_loads(runtime.fabric(), traffic);
  std::vector<Outcome> ends;
  runtime.exchange(loads, [&](const Outcome& outcome) { ends.push_back(outcome); });
  at(runtime, 10e-6, [&] { runtime.apply(fault(Kind::kDie, 32, 0)); });
  runtime.run();
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].end, End::kFailed);
  EXPECT_LT(ends[0].delivered, 2 * 9 * 10'000'000);
  EXPECT_GT(ends[0].delivered, 2 * 8 * 10'000'000);
  EXPECT_NO_THROW(runtime.check_bytes_conserved());
}

TEST(Faults, FailAnExchangeOfPairsAndNotTheRun) {
  // 10 MB each at 196 GB/s take 51 us; die 32 is lost at 10 us.
  SimGridRuntime runtime(plain());
  coll::PairTraffic traffic;
  traffic.pairs = {{0, 16, 10e6}, {2, 32, 10e6}, {32, 4, 10e6}};
  std::vector<Outcome> ends;
  runtime.exchange(traffic, 1e-6, [&](const Outcome& outcome) { ends.push_back(outcome); });
  at(runtime, 10e-6, [&] { runtime.apply(fault(Kind::kDie, 32, 0)); });
  at(runtime, 1e-3, [&] {  // and over a link that is lost already
    runtime.exchange(traffic, 1e-6, [&](const Outcome& outcome) { ends.push_back(outcome); });
  });
  runtime.run();
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends[0].end, End::kFailed);
  EXPECT_EQ(ends[0].delivered, 10'000'000);
  EXPECT_NEAR(ends[0].at, 1e-6 + 10e6 / 196e9, 1e-9);
  EXPECT_EQ(ends[1].end, End::kFailed);
  EXPECT_EQ(ends[1].delivered, 10'000'000);
  EXPECT_NEAR(ends[1].at, 1e-3 + 1e-6 + 10e6 / 196e9, 1e-9);
}

/// Transfers that come, end, are cancelled and fail at random.
TEST(Faults, BytesAreConservedThroughCutsOfAllKinds) {
  hw::Platform platform = plain();
  platform.ub.spread = hw::Spread::kStripe;
  SimGridRuntime runtime(platform);
  RandomStream random(5, "churn");
  std::map<int, coll::TransferId> open;
  std::map<End, int> ends;
  Bytes delivered = 0;
  int started = 0;
  for (int i = 0; i < 600; ++i) {
    at(runtime, 1e-5 * i, [&, i] {
      const int from = static_cast<int>(random.uniform_int(0, 31)) * 2;
      const int to = 64 + static_cast<int>(random.uniform_int(0, 31)) * 2;
      const Bytes bytes = random.uniform_int(1, 30'000'000);
      ++started;
      open[i] = runtime.transfer(write(from, to, bytes), [&, i, bytes](const Outcome& outcome) {
        ASSERT_EQ(open.erase(i), 1u) << "told twice";
        ++ends[outcome.end];
        EXPECT_GE(outcome.delivered, 0);
        EXPECT_LE(outcome.delivered, bytes);
        delivered += outcome.delivered;
      });
      if (random.uniform_int(0, 3) == 0 && !open.empty()) runtime.cancel(open.begin()->second);
      const int die = 64 + static_cast<int>(random.uniform_int(0, 31)) * 2;
      if (i % 20 == 10) runtime.apply(fault(Kind::kDie, die, 0));
      if (i % 40 == 20) {
        for (int d = 64; d < 128; d += 2) runtime.apply(fault(Kind::kDie, d, 1));
      }
    });
  }
  runtime.run();
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(ends[End::kDone] + ends[End::kCancelled] + ends[End::kFailed], started);
  for (const End end : {End::kDone, End::kCancelled, End::kFailed}) EXPECT_GT(ends[end], 20);
  EXPECT_NO_THROW(runtime.check_bytes_conserved());
  EXPECT_EQ(carried(runtime, "die_ub", coll::Direction::kOut), delivered);
  EXPECT_EQ(carried(runtime, "die_ub", coll::Direction::kIn), delivered);
}

}  // namespace
}  // namespace cmsim::engine
