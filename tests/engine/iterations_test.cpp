// Iterations whose exchanges meet transfers and each other, by hand: one port, seconds of work on
// it.
#include <gtest/gtest.h>

#include <vector>

#include "cmsim/coll/group_routes.hpp"
#include "cmsim/engine/runtime.hpp"
#include "cmsim/hw/fault.hpp"
#include "tests/engine/plain.hpp"

namespace cmsim::engine {
namespace {

constexpr Seconds kNear = 1e-5;  // latencies of transfers, some microseconds

RuntimeOptions sharing() {
  RuntimeOptions options;
  options.contention = true;
  return options;
}

/// A machine, and what a byte puts on die 0's way out: itself, and in so many flows.
struct Machine {
  explicit Machine(double flows = 1)
      : fabric(hw::cloudmatrix()),
        path(fabric.path(hw::die(0), hw::die(700), hw::Plane::kUb, write)),
        port(path.ports.front()),
        capacity(fabric.ports()[place()].capacity),
        loads(coll::no_loads(fabric)),
        runtime(fabric, sharing()) {
    loads.bytes[place()] = loads.wire_bytes[place()] = 1;
    loads.flows[place()] = flows;
  }
  std::size_t place() const { return static_cast<std::size_t>(port); }

  /// An iteration of a second with so many exchanges, which keep the port busy for `busy` seconds
  /// in all when alone; with them twice as long on the wire it takes `twice`.
  void iterate(int exchanges, Seconds busy, Seconds twice) {
    iterate(exchanges, busy, twice, loads);
  }
  /// Of another instance, with loads of its own.
  void iterate(int exchanges, Seconds busy, Seconds twice, const coll::PortLoads& per_byte) {
    runtime.iterate({.duration = 1,
                     .exchanges = exchanges,
                     .loads = {coll::WireLoad{&per_byte, busy * capacity}, {}},
                     .stretched = [twice](double) { return twice; }},
                    [this] { ended.push_back(runtime.now()); });
  }
  /// A transfer over the port that takes so long when alone.
  void transfer(Seconds start, Seconds work) {
    runtime.schedule_at(start, coll::Priority::kArrival, [this, work] {
      const auto bytes = static_cast<Bytes>(work * capacity * path.efficiency);
      runtime.transfer({hw::die(0), hw::die(700), bytes, hw::Plane::kUb, write},
                       [this](const coll::Outcome& end) { transferred.push_back(end.at); });
    });
  }

  static constexpr coll::Op write = coll::Op::kWrite;
  coll::Fabric fabric;
  coll::Path path;
  coll::PortId port;
  BytesPerSecond capacity;
  coll::PortLoads loads;
  SimGridRuntime runtime;
  std::vector<Seconds> ended, transferred;
};

TEST(Iterations, TakeTheirDurationToTheBitWhereNothingMeets) {
  Machine machine;
  machine.runtime.schedule_at(0.1, coll::Priority::kArrival, [&] { machine.iterate(10, 0.5, 2); });
  machine.runtime.run();
  EXPECT_EQ(machine.ended, std::vector<Seconds>{0.1 + 1});
}

// The transfer needs 0.2 s, bursts of 0.05 s begin every 0.1 s. The first burst shares half of the
// port and takes 0.1 s; the transfer has 0.15 s left, and 0.1 s when the next burst begins at 0.15.
// That one takes 0.1 s too, and at 0.25 the transfer has 0.05 s left: it ends at 0.3.
TEST(Iterations, MeetATransferInTurns) {
  Machine machine;
  machine.iterate(10, 0.5, 1.5);  // a second on the wire is a second of the iteration
  machine.transfer(0, 0.2);
  machine.runtime.run();
  ASSERT_EQ(machine.transferred.size(), 1u);
  EXPECT_NEAR(machine.transferred[0], 0.3, kNear);
  ASSERT_EQ(machine.ended.size(), 1u);
  EXPECT_NEAR(machine.ended[0], 1.1, kNear);
}

// A storm: four transfers of 0.1 s against exchanges of four flows. Each of eight gets an eighth,
// and a burst of 0.25 s half of the port: 0.5 s until it is through, when 0.25 s of work are done
// for 0.4 s of transfers. One flow against four would have had a fifth.
TEST(Iterations, AStormOfTransfersSlowsThemByTheNumberOfFlows) {
  const auto late = [](double flows) {
    Machine machine(flows);
    machine.iterate(1, 0.25, 1.25);
    for (int i = 0; i < 4; ++i) machine.transfer(0, 0.1);
    machine.runtime.run();
    return machine.ended.at(0) - 1;
  };
  EXPECT_NEAR(late(4), 0.25, kNear);
  // 0.4 s of transfers are through at 0.5, with 0.1 s of the burst; its other 0.15 s end at 0.65.
  EXPECT_NEAR(late(1), 0.4, kNear);
}

// At 0.15 a burst of 0.25 s has 0.1 s left, and so has the transfer: both end at 0.35. The
// exchange is 0.1 s late, of which the model says that half delays the rest.
TEST(Iterations, MeetATransferThatComesInTheMiddle) {
  Machine machine;
  machine.iterate(2, 0.5, 1.25);
  machine.transfer(0.15, 0.1);
  machine.runtime.run();
  EXPECT_NEAR(machine.transferred.at(0), 0.35, kNear);
  EXPECT_NEAR(machine.ended.at(0), 1.05, kNear);
}

TEST(Iterations, PassATransferBetweenTwoExchanges) {
  Machine machine;
  machine.iterate(2, 0.5, 1.25);
  machine.transfer(0.3, 0.1);
  machine.runtime.run();
  EXPECT_NEAR(machine.transferred.at(0), 0.4, kNear);
  EXPECT_EQ(machine.ended.at(0), 1);
}

// Nothing of an iteration hangs on the wire: the transfer is slowed, the iteration is not, unless
// an exchange ends after the next should have begun.
TEST(Iterations, HiddenExchangesDelayNothing) {
  Machine machine;
  machine.iterate(4, 0.4, 1);
  machine.transfer(0, 0.05);
  machine.runtime.run();
  EXPECT_NEAR(machine.transferred.at(0), 0.1, kNear);
  EXPECT_EQ(machine.ended.at(0), 1);
}

// Two instances on one port: their bursts of 0.2 s come together and take 0.4 s, 0.2 s late.
TEST(Iterations, MeetEachOther) {
  Machine machine;
  const coll::PortLoads others = machine.loads;
  machine.iterate(1, 0.2, 1.2);
  machine.iterate(1, 0.2, 1.2, others);
  machine.runtime.run();
  ASSERT_EQ(machine.ended.size(), 2u);
  EXPECT_NEAR(machine.ended[0], 1.2, kNear);
  EXPECT_NEAR(machine.ended[1], 1.2, kNear);
}

// Two that load the same 70 ports: too many for their exchanges to meet, and it says so.
TEST(Iterations, AreKeptApartWhereTheyShareTooManyPorts) {
  Machine machine;
  coll::PortLoads many = coll::no_loads(machine.fabric);
  for (int die = 0; die < 70; ++die) {
    const coll::Path path =
        machine.fabric.path(hw::die(die), hw::die(700), hw::Plane::kUb, coll::Op::kWrite);
    const auto port = static_cast<std::size_t>(path.ports.front());
    many.bytes[port] = many.wire_bytes[port] = many.flows[port] = 1;
  }
  const coll::PortLoads others = many;
  machine.iterate(1, 0.2, 1.2, many);
  machine.iterate(1, 0.2, 1.2, others);
  machine.runtime.run();
  EXPECT_EQ(machine.ended, (std::vector<Seconds>{1, 1}));
  EXPECT_TRUE(machine.runtime.keeps_instances_apart());
}

// What exchanges carry is no transfer's.
TEST(Iterations, AreNotCountedAsTransfers) {
  Machine machine;
  machine.iterate(10, 0.5, 1.5);
  machine.transfer(0, 0.2);
  machine.runtime.run();
  machine.runtime.check_bytes_conserved();
  const auto bytes = static_cast<Bytes>(0.2 * machine.capacity * machine.path.efficiency);
  for (const ClassUse& use : machine.runtime.class_use()) {
    if (use.cls == "die_ub") {
      EXPECT_EQ(use.bytes, bytes);
    }
  }
}

TEST(Iterations, MeetNothingWithoutContention) {
  SimGridRuntime runtime(hw::cloudmatrix());
  Seconds ended = -1;
  coll::PortLoads loads = coll::no_loads(runtime.fabric());
  loads.wire_bytes[0] = loads.bytes[0] = loads.flows[0] = 1;
  runtime.iterate({.duration = 1,
                   .exchanges = 1,
                   .loads = {coll::WireLoad{&loads, 1e12}, {}},
                   .stretched = nullptr},
                  [&] { ended = runtime.now(); });
  runtime.transfer({hw::die(0), hw::die(700), 1 << 30, hw::Plane::kUb, coll::Op::kWrite},
                   [](const coll::Outcome&) {});
  runtime.run();
  EXPECT_EQ(ended, 1);
}

// The port is lost in the middle of a burst: what was on it is gone, and the iteration goes on.
TEST(Iterations, OutliveALostPort) {
  Machine machine;
  machine.iterate(2, 0.5, 1.5);
  machine.transfer(0, 0.4);
  machine.runtime.schedule_at(0.1, coll::Priority::kArrival, [&] {
    machine.runtime.apply({.kind = hw::Fault::Kind::kDie, .at = 0});
  });
  machine.runtime.run();
  ASSERT_EQ(machine.ended.size(), 1u);
  EXPECT_GE(machine.ended[0], 1);
}

TEST(Iterations, EndWithAStop) {
  Machine machine;
  machine.iterate(2, 0.5, 1.5);
  machine.transfer(0, 0.4);
  machine.runtime.schedule_at(0.1, coll::Priority::kArrival, [&] { machine.runtime.stop(); });
  machine.runtime.run();
  EXPECT_TRUE(machine.ended.empty());
}

}  // namespace
}  // namespace cmsim::engine
