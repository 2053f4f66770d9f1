#include "cmsim/engine/runtime.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "cmsim/base/error.hpp"
#include "cmsim/base/random.hpp"
#include "tests/engine/plain.hpp"

namespace cmsim::engine {
namespace {

using coll::Priority;

using hw::cloudmatrix;

/// Runs the transfers, all started at 0, and returns when each ended.
std::vector<Seconds> ends_of(SimGridRuntime& runtime,
                             const std::vector<coll::Transfer>& transfers) {
  std::vector<Seconds> ends(transfers.size());
  for (std::size_t i = 0; i < transfers.size(); ++i) {
    runtime.transfer(transfers[i], [&ends, i](const coll::Outcome& end) { ends[i] = end.at; });
  }
  runtime.run();
  return ends;
}

TEST(Events, RunInOrderOfTimeThenPriorityThenSequence) {
  SimGridRuntime runtime(cloudmatrix());
  std::string order;
  const auto add = [&](Seconds when, Priority priority, char mark) {
    runtime.schedule_at(when, priority, [&order, mark] { order += mark; });
  };
  add(2, Priority::kArrival, 'e');
  add(1, Priority::kSample, 'd');
  add(1, Priority::kArrival, 'b');
  add(1, Priority::kArrival, 'c');
  add(1, Priority::kTransferDone, 'a');
  runtime.run();
  EXPECT_EQ(order, "abcde");
  EXPECT_EQ(runtime.events_run(), 5);
}

TEST(Events, AnEventOfTheSameDateScheduledByAnEventStillRunsByPriority) {
  SimGridRuntime runtime(cloudmatrix());
  std::string order;
  runtime.schedule_at(1, Priority::kArrival, [&] {
    order += 'a';
    runtime.schedule_at(1, Priority::kSample, [&] { order += 'd'; });
    runtime.schedule_at(1, Priority::kDecision, [&] { order += 'c'; });
  });
  runtime.schedule_at(1, Priority::kArrival, [&] { order += 'b'; });
  runtime.run();
  EXPECT_EQ(order, "abcd");
}

TEST(Events, AreKeptApartDownToANanosecond) {
  SimGridRuntime runtime(cloudmatrix());
  std::vector<Seconds> seen;
  for (int i = 0; i < 10; ++i) {
    runtime.schedule_at(1e-6 + i * 1e-9, Priority::kArrival,
                        [&] { seen.push_back(runtime.now()); });
  }
  runtime.run();
  ASSERT_EQ(seen.size(), 10u);
  for (int i = 0; i < 10; ++i) EXPECT_DOUBLE_EQ(seen[static_cast<std::size_t>(i)], 1e-6 + i * 1e-9);
}

TEST(Events, NoEventInThePast) {
  SimGridRuntime runtime(cloudmatrix());
  runtime.schedule_at(2, Priority::kArrival,
                      [&] { runtime.schedule_at(1, Priority::kArrival, [] {}); });
  EXPECT_THROW(runtime.run(), std::logic_error);
}

TEST(Events, StopEndsTheRunAfterTheCurrentCallback) {
  SimGridRuntime runtime(plain());
  int ran = 0;
  runtime.transfer(write(0, 16, 196'000'000'000),
                   [&](const coll::Outcome&) { ran += 100; });  // would end at 1 s
  runtime.schedule_at(0.5, Priority::kArrival, [&] {
    runtime.stop();
    ++ran;
  });
  runtime.schedule_at(0.5, Priority::kSample, [&] { ran += 10; });
  runtime.run();
  EXPECT_EQ(ran, 1);
  EXPECT_DOUBLE_EQ(runtime.now(), 0.5);
  EXPECT_NO_THROW(runtime.check_bytes_conserved());  // the cut-off flow counts as never begun
}

TEST(Events, ExceptionOfACallbackComesOutOfRun) {
  SimGridRuntime runtime(cloudmatrix());
  runtime.schedule_at(1, Priority::kArrival, [] { throw SimulationError("broken"); });
  runtime.schedule_at(2, Priority::kArrival, [] { FAIL() << "ran after a failure"; });
  EXPECT_THROW(runtime.run(), SimulationError);
}

TEST(Events, InterruptFlagEndsTheRun) {
  SimGridRuntime runtime(cloudmatrix());
  std::atomic<bool> flag{false};
  runtime.set_interrupt_flag(&flag);
  int ticks = 0;
  std::function<void()> tick = [&] {
    if (++ticks == 10) flag = true;
    runtime.schedule_at(runtime.now() + 1, Priority::kArrival, tick);  // for ever
  };
  runtime.schedule_at(1, Priority::kArrival, tick);
  runtime.run();
  EXPECT_TRUE(runtime.interrupted());
  EXPECT_EQ(ticks, 10);
}

TEST(Events, ATransferThatEndsAtTheDateOfAnEventComesFirst) {
  // Learn how long a transfer takes, then repeat it with an event at the date of its end.
  SimGridRuntime runtime(plain());
  const Seconds end = ends_of(runtime, {write(0, 16, 195'804'000)})[0];
  EXPECT_NEAR(end, 1e-3, 1e-14);  // 1 us + 195.804 MB / 196 GB/s
  std::string order;
  const Seconds start = runtime.now();
  runtime.transfer(write(0, 16, 195'804'000), [&](const coll::Outcome&) { order += 't'; });
  runtime.schedule_at(start + end, Priority::kArrival, [&] { order += 'a'; });
  runtime.run();
  EXPECT_EQ(order, "ta");
}

TEST(Transfers, ShareAPortEqually) {
  // Two writes of 196 MB into die 32: each gets 98 GB/s, so both end at 1 us + 196e6 / 98e9 = 2.001
  // ms.
  SimGridRuntime runtime(plain());
  const auto ends = ends_of(runtime, {write(0, 32, 196'000'000), write(16, 32, 196'000'000)});
  EXPECT_NEAR(ends[0], 2.001e-3, 1e-12);
  EXPECT_NEAR(ends[1], 2.001e-3, 1e-12);
}

TEST(Transfers, ShareIsIndependentOfLatency) {
  // As above with latencies 1 us (die 33 is in the node of die 32) and 100 us: the first has the
  // port alone for 99 us, 19.404 MB; then both share it. First: 1 us + 99 us + (196 - 19.404) MB /
  // 98 GB/s.
  hw::Platform p = plain();
  p.ub.npu_npu_write.inter_node_latency = 100e-6;
  SimGridRuntime runtime(p);
  const auto ends = ends_of(runtime, {write(34, 32, 196'000'000), write(16, 32, 196'000'000)});
  EXPECT_NEAR(ends[0], 100e-6 + (196e6 - 99e-6 * 196e9) / 98e9, 1e-10);
  // Second: 98 GB/s until then, alone afterwards; all 392 MB have gone through: 1 us + 2 ms.
  EXPECT_NEAR(ends[1], 1e-6 + 2e-3, 1e-10);
}

TEST(Transfers, DirectionsDoNotDisturbEachOther) {
  SimGridRuntime runtime(plain());
  const auto ends = ends_of(runtime, {write(0, 16, 196'000'000), write(16, 0, 196'000'000)});
  EXPECT_NEAR(ends[0], 1.001e-3, 1e-12);
  EXPECT_NEAR(ends[1], 1.001e-3, 1e-12);
}

TEST(Transfers, PlanesDoNotDisturbEachOther) {
  // The RDMA port carries 25 GB/s * 0.95 = 23.75 GB/s whatever the UB ports do.
  SimGridRuntime runtime(plain());
  const auto ends = ends_of(
      runtime, {write(0, 16, 196'000'000),
                {hw::die(0), hw::die(16), 23'750'000, coll::Plane::kRdma, coll::Op::kWrite}});
  EXPECT_NEAR(ends[0], 1.001e-3, 1e-12);
  EXPECT_NEAR(ends[1], 5e-6 + 1e-3, 1e-12);
}

TEST(Transfers, EfficiencyIsAShareOfTheWire) {
  // Two reads into die 0 from other nodes share the port; each moves 164/196 of its 98 GB/s of
  // wire.
  SimGridRuntime runtime(cloudmatrix());
  const auto read = [](int from) {
    return coll::Transfer{hw::die(0), hw::die(from), 82'000'000, coll::Plane::kUb, coll::Op::kRead};
  };
  const auto ends = ends_of(runtime, {read(16), read(32)});
  EXPECT_NEAR(ends[0], 1.9e-6 + 1e-3, 1e-11);  // 82 MB / 82 GB/s
  EXPECT_NEAR(ends[1], 1.9e-6 + 1e-3, 1e-11);
}

TEST(Transfers, VpcCardIsSharedByTheNode) {
  // Two CPUs of node 0 send through one card of 50 GB/s * 0.31: 7.75 GB/s each.
  SimGridRuntime runtime(cloudmatrix());
  const auto send = [](int from, int to) {
    return coll::Transfer{hw::cpu(from), hw::cpu(to), 7'750'000, coll::Plane::kVpc,
                          coll::Op::kWrite};
  };
  const auto ends = ends_of(runtime, {send(0, 4), send(1, 8)});
  EXPECT_NEAR(ends[0], 30e-6 + 1e-3, 1e-11);
  EXPECT_NEAR(ends[1], 30e-6 + 1e-3, 1e-11);
}

TEST(Transfers, NeedThePlaneThatTheRuntimeWasMadeWith) {
  RuntimeOptions options;
  options.planes = {coll::Plane::kRdma};
  SimGridRuntime runtime(plain(), options);
  EXPECT_THROW(runtime.transfer(write(0, 16, 1'000'000), kIgnore), std::logic_error);
}

TEST(Transfers, TakeAsLongWhenOtherPlanesHaveNoLinks) {
  // Latency and 28 MB over a RDMA port, alone.
  RuntimeOptions options;
  options.planes = {coll::Plane::kRdma};
  const coll::Fabric fabric(plain());
  const coll::Path path = fabric.path(hw::die(0), hw::die(16), coll::Plane::kRdma, coll::Op::kRead);
  const double capacity = fabric.ports()[static_cast<std::size_t>(path.ports.front())].capacity;
  SimGridRuntime runtime(fabric, options);
  const auto ends = ends_of(
      runtime, {{hw::die(0), hw::die(16), 28'000'000, coll::Plane::kRdma, coll::Op::kRead}});
  EXPECT_NEAR(ends[0], path.latency + 28e6 / path.efficiency / capacity, 1e-12);
}

TEST(Transfers, CanStartInTheCallbackOfAnother) {
  SimGridRuntime runtime(plain());
  Seconds end = 0;
  runtime.transfer(write(0, 16, 196'000'000), [&](const coll::Outcome&) {
    runtime.transfer(write(16, 32, 196'000'000), [&](const coll::Outcome& o) { end = o.at; });
  });
  runtime.run();
  EXPECT_NEAR(end, 2 * 1.001e-3, 1e-12);
}

TEST(Transfers, ThinUplinksBindWhenTheyAreInThePath) {
  // One L2 chip a sub-plane: a node has 7 * 28 = 196 GB/s of uplinks for its 16 dies. Two dies of
  // node 0 that write to two dies of node 1 share it: 98 GB/s each.
  hw::Platform p = plain();
  p.ub.fabric.l2_chips_per_plane = 1;
  SimGridRuntime runtime(p);
  EXPECT_TRUE(runtime.fabric().uplinks_in_paths());
  const auto ends = ends_of(runtime, {write(0, 16, 98'000'000), write(2, 18, 98'000'000)});
  EXPECT_NEAR(ends[0], 1.001e-3, 1e-12);
  EXPECT_NEAR(ends[1], 1.001e-3, 1e-12);
}

TEST(Transfers, UplinkPressureTellsWhetherLeavingUplinksOutWasExact) {
  // 16 dies (16 * 196 = 3,136 GB/s) fill the uplinks of a node exactly; with its 4 CPUs
  // (4 * 160 = 640) the demand is 3,776 / 3,136 = 1.204.
  SimGridRuntime runtime(cloudmatrix());
  EXPECT_FALSE(runtime.fabric().uplinks_in_paths());
  for (int i = 0; i < 16; ++i) runtime.transfer(write(i, 16 + i, 1'000'000), kIgnore);
  runtime.run();
  EXPECT_NEAR(runtime.uplink_pressure(), 1.0, 1e-12);
  for (int i = 0; i < 16; ++i) runtime.transfer(write(i, 16 + i, 1'000'000), kIgnore);
  for (int i = 0; i < 4; ++i) {
    runtime.transfer({hw::cpu(i), hw::die(32 + i), 1'000'000, coll::Plane::kUb, coll::Op::kWrite},
                     kIgnore);
  }
  runtime.run();
  EXPECT_NEAR(runtime.uplink_pressure(), 3776.0 / 3136.0, 1e-12);
}

TEST(Statistics, BytesInAreBytesOutAndUtilisationIsWireTime) {
  SimGridRuntime runtime(cloudmatrix());
  RandomStream random(7, "flows");
  Bytes sent = 0;
  for (int i = 0; i < 500; ++i) {
    const int from = static_cast<int>(random.uniform_int(0, 383)) * 2;
    const int to = (from + 2 * static_cast<int>(random.uniform_int(1, 300))) % 768;
    const Bytes bytes = random.uniform_int(1, 50'000'000);
    sent += bytes;
    runtime.transfer(write(from, to, bytes), kIgnore);
  }
  runtime.run();
  EXPECT_NO_THROW(runtime.check_bytes_conserved());
  EXPECT_EQ(runtime.open_flows(), 0);
  EXPECT_EQ(runtime.flows_started(), 500);
  Bytes out = 0;
  Bytes in = 0;
  for (const ClassUse& use : runtime.class_use()) {
    if (use.cls != "die_ub") continue;
    EXPECT_EQ(use.ports, 768);
    (use.direction == coll::Direction::kOut ? out : in) += use.bytes;
  }
  EXPECT_EQ(out, sent);
  EXPECT_EQ(in, sent);
  const std::vector<PortUse> busiest = runtime.busiest_ports(3, runtime.now());
  ASSERT_EQ(busiest.size(), 3u);
  EXPECT_GE(busiest[0].utilisation, busiest[1].utilisation);
  EXPECT_LE(busiest[0].utilisation, 1 + 1e-9);
  EXPECT_DOUBLE_EQ(busiest[0].utilisation, busiest[0].wire_bytes / (196e9 * runtime.now()));
}

TEST(Statistics, StripedBytesAreConserved) {
  hw::Platform p = cloudmatrix();
  p.ub.spread = hw::Spread::kStripe;
  SimGridRuntime runtime(p);
  runtime.transfer(write(0, 16, 1'000'003), kIgnore);  // does not divide by 7
  runtime.run();
  EXPECT_NO_THROW(runtime.check_bytes_conserved());
  Bytes out = 0;
  for (const PortUse& use : runtime.busiest_ports(100, runtime.now())) {
    if (use.direction == coll::Direction::kOut) out += use.bytes;
  }
  EXPECT_EQ(out, 1'000'003);
}

TEST(Statistics, OpenFlowsBreakConservation) {
  SimGridRuntime runtime(cloudmatrix());
  runtime.transfer(write(0, 16, 1000), kIgnore);
  EXPECT_THROW(runtime.check_bytes_conserved(), SimulationError);
  runtime.run();
  EXPECT_NO_THROW(runtime.check_bytes_conserved());
}

TEST(Provenance, SettingsNameTheVersionAndEveryOption) {
  SimGridRuntime runtime(cloudmatrix(), {.sharing = Sharing::kFull, .simgrid_options = {}});
  const std::vector<std::string> settings = runtime.settings();
  ASSERT_FALSE(settings.empty());
  EXPECT_EQ(settings[0].substr(0, 8), "SimGrid ");
  EXPECT_NE(std::find(settings.begin(), settings.end(), "network/model:CM02"), settings.end());
  EXPECT_NE(std::find(settings.begin(), settings.end(), "network/optim:Full"), settings.end());
}

TEST(Provenance, OtherOptionsInTheSameProcessAreRefused) {
  { SimGridRuntime first(cloudmatrix()); }
  EXPECT_THROW(SimGridRuntime(cloudmatrix(), {.sharing = Sharing::kFull, .simgrid_options = {}}),
               std::logic_error);
}

TEST(Provenance, TwoRuntimesAtOnceAreRefused) {
  SimGridRuntime first(cloudmatrix());
  EXPECT_THROW(SimGridRuntime{cloudmatrix()}, std::logic_error);
}

}  // namespace
}  // namespace cmsim::engine
