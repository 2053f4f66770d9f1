#include "cmsim/coll/bottleneck.hpp"

#include <gtest/gtest.h>

#include "tests/coll/ranks.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::coll {
namespace {

Fabric every_port() { return Fabric(hw::cloudmatrix(), Uplinks::kAlways); }

const ClassLoad& class_of(const std::vector<ClassLoad>& classes, const std::string& name) {
  for (const ClassLoad& load : classes) {
    if (load.name == name) return load;
  }
  throw std::logic_error(name + " carries nothing");
}

TEST(ClassLoads, AreOfAllPortsAndOfTheBusiest) {
  const Fabric fabric = every_port();
  // Die 0 writes 135 MB to die 16, in the next node: 135/196 of the wire is payload.
  EndpointTraffic traffic;
  traffic.op = Op::kWrite;
  traffic.pairs = {{hw::die(0), hw::die(16), 135e6}};
  const auto classes = class_loads(fabric, port_loads(fabric, traffic));
  const ClassLoad& out = class_of(classes, "die_ub out");
  EXPECT_EQ(out.ports, 768);
  EXPECT_DOUBLE_EQ(out.mean_bytes, 135e6 / 768);
  EXPECT_DOUBLE_EQ(out.busiest_bytes, 135e6);
  EXPECT_NEAR(out.busiest_busy, 1e-3, 1e-12);
  EXPECT_EQ(fabric.name_of(out.busiest), "die:0 die_ub out");
  // The uplinks of a node are 16 times as wide.
  EXPECT_NEAR(class_of(classes, "uplink out").busiest_busy, 1e-3 / 16, 1e-12);
  EXPECT_NEAR(class_of(classes, "uplink in").busiest_busy, 1e-3 / 16, 1e-12);
  EXPECT_EQ(classes.size(), 4u);
}

TEST(ClassLoads, OfAProductAreThoseOfItsPairs) {
  // With every uplink in the paths, which coll/analytic_test.cpp leaves out.
  for (const hw::Spread spread : {hw::Spread::kAdaptive, hw::Spread::kStripe}) {
    const Fabric fabric(hw::cloudmatrix(spread), Uplinks::kAlways);
    const ProductTraffic traffic = dispatch({0, 1, 5, 16, 17, 40, 700}, 96, 8, 7680);
    const auto fast = class_loads(fabric, port_loads(fabric, traffic));
    const auto slow = class_loads(fabric, port_loads(fabric, expand(traffic)));
    ASSERT_EQ(fast.size(), slow.size());
    for (std::size_t i = 0; i < fast.size(); ++i) {
      EXPECT_EQ(fast[i].name, slow[i].name);
      EXPECT_NEAR(fast[i].busiest_busy, slow[i].busiest_busy, 1e-9 * slow[i].busiest_busy);
      EXPECT_NEAR(fast[i].mean_bytes, slow[i].mean_bytes, 1e-9 * slow[i].mean_bytes);
    }
  }
}

TEST(ClassLoads, KnowCpus) {
  const Fabric fabric = every_port();
  EndpointTraffic traffic;  // reads
  traffic.pairs = {{hw::cpu(4), hw::die(0), 147e6}};
  const auto classes = class_loads(fabric, port_loads(fabric, traffic));
  EXPECT_EQ(classes.front().name, "cpu_ub out");  // 160 GB/s, and 147/160 of it payload
  EXPECT_NEAR(classes.front().busiest_busy, 1e-3, 1e-12);
}

TEST(Relief, SaysWhatBindsNext) {
  const auto load = [](LinkClass cls, const char* name, Seconds busy) {
    ClassLoad one;
    one.cls = cls;
    one.name = name;
    one.cls_name = one.name.substr(0, one.name.find(' '));
    one.busiest_busy = busy;
    return one;
  };
  // 10 us; twice the width leaves 5 on it, so the other's 6 bind: (2 + 10) / (2 + 6).
  const auto relief = relief_of({load(0, "die_ub in", 10e-6), load(0, "die_ub out", 9e-6),
                                 load(1, "uplink out", 6e-6)},
                                2e-6)
                          .value();
  EXPECT_EQ(relief.bound_by, "die_ub in");
  ASSERT_EQ(relief.steps.size(), 2u);
  EXPECT_EQ(relief.steps[0].cls, "die_ub");
  EXPECT_NEAR(relief.steps[0].speedup, 12.0 / 8, 1e-12);
  EXPECT_EQ(relief.steps[0].next, "uplink out");
  // Both twice as wide: the 10 us are 5 again.
  EXPECT_EQ(relief.steps[1].cls, "uplink");
  EXPECT_NEAR(relief.steps[1].speedup, 12.0 / 7, 1e-12);
  EXPECT_EQ(relief.steps[1].next, "die_ub in");
  EXPECT_NEAR(relief.enough, 10.0 / 6, 1e-12);
  EXPECT_EQ(relief.then_by, "uplink out");
  // Far from any other it still binds: (2 + 10) / (2 + 5).
  const auto same = relief_of({load(0, "die_ub in", 10e-6), load(1, "uplink out", 1e-6)}, 2e-6);
  ASSERT_EQ(same.value().steps.size(), 1u);
  EXPECT_NEAR(same.value().steps[0].speedup, 12.0 / 7, 1e-12);
  EXPECT_EQ(same.value().steps[0].next, "die_ub in");
  EXPECT_NEAR(same.value().enough, 10, 1e-12);
  EXPECT_FALSE(relief_of({}, 1e-6).has_value());
  EXPECT_EQ(relief_of({load(0, "die_ub in", 1e-6)}, 0).value().enough, 0);
}

TEST(Relief, IsWhatAWiderMachineGives) {
  // The machine with links of twice the width: those of dies and those between chips.
  const Fabric fabric = every_port();
  const ProductTraffic traffic = all_to_all(consecutive_dies(0, 768), 1e4);
  const PortLoads loads = port_loads(fabric, traffic);
  hw::Platform wider = hw::cloudmatrix();
  wider.ub.fabric.link_bandwidth *= 2;
  const Fabric wide(wider, Uplinks::kAlways);
  const Seconds now = analytic_exchange(fabric, loads).duration;
  const Seconds then = analytic_exchange(wide, port_loads(wide, traffic)).duration;
  const auto relief = relief_of(class_loads(fabric, loads), loads.latency).value();
  ASSERT_EQ(relief.steps.size(), 2u);
  EXPECT_EQ(relief.steps[0].cls, "die_ub");
  EXPECT_EQ(relief.steps[1].cls, "uplink");
  EXPECT_NEAR(relief.steps[1].speedup, now / then, 1e-9);
  EXPECT_LT(relief.steps[0].speedup, relief.steps[1].speedup);
}

}  // namespace
}  // namespace cmsim::coll
