#include "cmsim/coll/fabric.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "cmsim/coll/group_routes.hpp"
#include "cmsim/hw/fault.hpp"
#include "tests/hw/machines.hpp"
#include "tests/hw/small_machines.hpp"

namespace cmsim::coll {
namespace {

using hw::cloudmatrix;

std::vector<std::string> names(const Fabric& fabric, const Path& path) {
  std::vector<std::string> list;
  for (const PortId id : path.ports) {
    list.push_back(fabric.name_of(id));
  }
  return list;
}

using Names = std::vector<std::string>;

TEST(Fabric, PooledPortsOfTheAdaptiveSpread) {
  const Fabric fabric(cloudmatrix());
  // Both ways: UB and RDMA of 768 dies, 192 CPUs, uplinks and VPC cards of 48 nodes; one way: a die
  // to its sibling; and PCIe from and to the card, which binds nothing.
  EXPECT_EQ(fabric.ports().size(), 2u * (2 * 768 + 192 + 2 * 48) + 768 + 2 * (768 + 192));
  const Path path = fabric.path(hw::die(0), hw::die(16), Plane::kUb, Op::kWrite);
  EXPECT_EQ(names(fabric, path), (Names{"die:0 die_ub out", "die:16 die_ub in"}));
  EXPECT_DOUBLE_EQ(fabric.ports()[static_cast<std::size_t>(path.ports[0])].capacity, 196e9);
  EXPECT_DOUBLE_EQ(path.efficiency, 135.0 / 196);
  EXPECT_DOUBLE_EQ(path.latency, 2.1e-6);
}

TEST(Fabric, PathsByDistanceAndKind) {
  const Fabric fabric(cloudmatrix());
  const auto path = [&](hw::Endpoint a, hw::Endpoint b, Op op) {
    return fabric.path(a, b, Plane::kUb, op);
  };
  EXPECT_EQ(names(fabric, path(hw::die(2), hw::die(3), Op::kRead)),
            (Names{"die:2 die_to_die to die:3"}));
  EXPECT_DOUBLE_EQ(path(hw::die(0), hw::die(15), Op::kRead).latency, 1.2e-6);
  EXPECT_EQ(names(fabric, path(hw::cpu(3), hw::die(0), Op::kRead)),
            (Names{"cpu:3 cpu_ub out", "die:0 die_ub in"}));
  EXPECT_DOUBLE_EQ(path(hw::cpu(3), hw::die(0), Op::kRead).latency, 1.0e-6);  // same node
  EXPECT_DOUBLE_EQ(path(hw::cpu(4), hw::die(0), Op::kRead).latency, 1.7e-6);  // next node
  EXPECT_DOUBLE_EQ(path(hw::die(0), hw::cpu(4), Op::kWrite).latency, 1.9e-6);
  EXPECT_TRUE(path(hw::die(7), hw::die(7), Op::kWrite).ports.empty());
}

TEST(Fabric, OtherPlanes) {
  const Fabric fabric(cloudmatrix());
  EXPECT_EQ(names(fabric, fabric.path(hw::die(0), hw::die(1), Plane::kRdma, Op::kRead)),
            (Names{"die:0 rdma out", "die:1 rdma in"}));
  EXPECT_EQ(names(fabric, fabric.path(hw::cpu(0), hw::die(16), Plane::kVpc, Op::kWrite)),
            (Names{"node:0 vpc out", "node:1 vpc in"}));
  EXPECT_THROW(fabric.path(hw::cpu(0), hw::die(1), Plane::kRdma, Op::kRead), std::invalid_argument);
}

TEST(Fabric, CpusAreOnTheScaleOutPlaneWhereTheyHaveAPort) {
  hw::Platform platform = cloudmatrix();
  platform.rdma.cpu_bandwidth = 12.5e9;
  const Fabric fabric(platform);
  const Path path = fabric.path(hw::cpu(5), hw::die(0), Plane::kRdma, Op::kRead);
  EXPECT_EQ(names(fabric, path), (Names{"cpu:5 cpu_rdma out", "die:0 rdma in"}));
  EXPECT_DOUBLE_EQ(fabric.ports()[static_cast<std::size_t>(path.ports[0])].capacity, 12.5e9);
  EXPECT_DOUBLE_EQ(path.efficiency, platform.rdma.efficiency);
  EXPECT_DOUBLE_EQ(path.latency, platform.rdma.latency);
}

// In a ring of 16 dies, four of which share a CPU, the second next is two links away over the die
// between, and two over the CPU.
TEST(Fabric, CpusPassNothingOn) {
  const Fabric fabric(hw::of_small_nodes(4, R"({"builder": "torus", "dimensions": [
      {"size": 16, "bandwidth": "50GB/s"}]})"));
  const Path path = fabric.path(hw::die(0), hw::die(2), Plane::kUb, Op::kWrite);
  ASSERT_EQ(path.ports.size(), 2u);
  for (const PortId port : path.ports) {
    EXPECT_EQ(fabric.ports()[static_cast<std::size_t>(port)].kind, Port::Owner::kDie);
    EXPECT_EQ(fabric.classes()[fabric.ports()[static_cast<std::size_t>(port)].cls].name, "torus_1");
  }
}

// Two links on in each of three dimensions are 6! / (2! 2! 2!) = 90 ways, a third of which begins
// in each dimension.
TEST(Fabric, OfManyWaysSomeAreTakenEvenly) {
  const Fabric fabric(hw::of_small_nodes(54, R"({"builder": "torus", "dimensions": [
      {"size": 6, "bandwidth": "50GB/s"}, {"size": 6, "bandwidth": "50GB/s"},
      {"size": 6, "bandwidth": "50GB/s"}]})"));
  const Path path = fabric.path(hw::die(0), hw::die(2 + 2 * 6 + 2 * 36), Plane::kUb, Op::kWrite);
  EXPECT_EQ(path.stripes(), 24);
  EXPECT_EQ(path.ports.size(), 24u * 6);
  std::map<PortId, int> first, last;
  std::set<std::vector<PortId>> ways;
  for (std::size_t way = 0; way < 24; ++way) {
    const auto begin = path.ports.begin() + static_cast<std::ptrdiff_t>(way * 6);
    ways.emplace(begin, begin + 6);
    ++first[*begin];
    ++last[begin[5]];
  }
  EXPECT_EQ(ways.size(), 24u);
  ASSERT_EQ(first.size(), 3u);
  for (const auto& [port, count] : first) EXPECT_EQ(count, 8) << fabric.name_of(port);
  ASSERT_EQ(last.size(), 3u);
  for (const auto& [port, count] : last) EXPECT_NEAR(count, 8, 3) << fabric.name_of(port);
}

// In an exchange of all with all, all ports of a torus carry alike.
TEST(Fabric, ManyWaysLoadATorusEvenly) {
  const Fabric fabric(hw::of_small_nodes(54, R"({"builder": "torus", "dimensions": [
      {"size": 6, "bandwidth": "50GB/s"}, {"size": 6, "bandwidth": "50GB/s"},
      {"size": 6, "bandwidth": "50GB/s"}]})"));
  PortLoads loads = no_loads(fabric);
  double all = 0;
  for (int from = 0; from < 216; ++from) {
    for (int to = 0; to < 216; ++to) {
      if (from == to) continue;
      const Path path = fabric.path(hw::die(from), hw::die(to), Plane::kUb, Op::kWrite);
      add_path(loads, path, path.efficiency);
    }
  }
  int ports = 0;
  double most = 0;
  for (std::size_t port = 0; port < loads.wire_bytes.size(); ++port) {
    if (loads.wire_bytes[port] == 0) continue;
    ++ports;
    all += loads.wire_bytes[port];
    most = std::max(most, loads.wire_bytes[port]);
  }
  EXPECT_EQ(ports, 216 * 6);
  // A pair is 1.5 links apart in each dimension: (1 + 2 + 3 + 2 + 1) / 6.
  EXPECT_NEAR(all, 216 * 216 * 3 * 1.5, 1e-6);
  EXPECT_LT(most, 1.03 * all / ports) << most * ports / all;
}

TEST(Fabric, RefusesEndpointsItHasNot) {
  const Fabric fabric(cloudmatrix());
  for (const hw::Endpoint bad : {hw::die(768), hw::die(-1), hw::cpu(192)}) {
    EXPECT_THROW(fabric.path(hw::die(0), bad, Plane::kUb, Op::kRead), std::invalid_argument);
    EXPECT_THROW(fabric.path(bad, hw::die(0), Plane::kUb, Op::kRead), std::invalid_argument);
  }
}

TEST(Fabric, StripeUsesEverySubPlane) {
  const Fabric fabric(cloudmatrix(hw::Spread::kStripe));
  const Path path = fabric.path(hw::die(0), hw::die(16), Plane::kUb, Op::kRead);
  EXPECT_EQ(path.ports.size(), 14u);  // 7 out, 7 in
  EXPECT_EQ(path.stripes(), 7);
  EXPECT_EQ(names(fabric, path).front(), "die:0 die_ub out plane 0");
  EXPECT_EQ(names(fabric, path).back(), "die:16 die_ub in plane 6");
}

TEST(Fabric, HashTakesOneWayPerPairAndUsesThemAll) {
  const Fabric fabric(cloudmatrix(hw::Spread::kHash));
  std::set<PortId> uplinks;
  for (int from = 0; from < 64; ++from) {
    for (int to = 64; to < 128; ++to) {
      const Path path = fabric.path(hw::die(from), hw::die(to), Plane::kUb, Op::kRead);
      ASSERT_EQ(path.ports.size(), 4u);  // die out, uplink out, uplink in, die in
      const Port& out = fabric.ports()[static_cast<std::size_t>(path.ports[1])];
      const Port& in = fabric.ports()[static_cast<std::size_t>(path.ports[2])];
      EXPECT_EQ(out.lane, in.lane);  // sub-planes are independent
      EXPECT_EQ(out.chip, in.chip);  // through one L2 chip
      uplinks.insert(path.ports[1]);
      EXPECT_EQ(path.ports, fabric.path(hw::die(from), hw::die(to), Plane::kUb, Op::kWrite).ports);
    }
  }
  EXPECT_EQ(uplinks.size(), 4u * 7 * 16);  // all uplinks of the four sending nodes
}

TEST(Fabric, UplinksJoinThePathsWhenDiesAloneCanFillThem) {
  hw::Platform p = cloudmatrix();
  EXPECT_FALSE(Fabric(p).uplinks_in_paths());
  EXPECT_TRUE(Fabric(p, Uplinks::kAlways).uplinks_in_paths());
  p.ub.fabric.l2_chips_per_plane = 15;
  const Fabric thin(p);
  EXPECT_TRUE(thin.uplinks_in_paths());
  EXPECT_NEAR(thin.node_uplink_capacity(), 15 * 7 * 28e9, 1);
  EXPECT_EQ(
      names(thin, thin.path(hw::die(0), hw::die(16), Plane::kUb, Op::kRead)),
      (Names{"die:0 die_ub out", "node:0 uplink out", "node:1 uplink in", "die:16 die_ub in"}));
  // Inside a node they are not used.
  EXPECT_EQ(thin.path(hw::die(0), hw::die(2), Plane::kUb, Op::kRead).ports.size(), 2u);
}

TEST(Fabric, WithoutLostPortsItIsTheMachineThatNeverHadThem) {
  hw::Fault fault;
  fault.kind = hw::Fault::Kind::kL1;
  fault.at = 1;
  fault.part = 3;
  for (const hw::Spread spread : {hw::Spread::kAdaptive, hw::Spread::kStripe}) {
    hw::Platform platform = cloudmatrix(spread);
    const Fabric whole(platform, Uplinks::kAlways);
    const std::vector<BytesPerSecond> capacities = whole.capacities_under({&fault, 1});
    const Fabric now = whole.avoiding_lost(capacities);
    platform.faults.push_back(fault);
    const Fabric always(platform, Uplinks::kAlways);
    EXPECT_EQ(now.ports().size(), whole.ports().size());
    for (const hw::Endpoint to : {hw::die(16), hw::die(18), hw::die(700), hw::cpu(5)}) {
      const Path a = now.path(hw::die(17), to, Plane::kUb, Op::kWrite);
      const Path b = always.path(hw::die(17), to, Plane::kUb, Op::kWrite);
      EXPECT_EQ(a.later_ways, b.later_ways);
      EXPECT_EQ(names(now, a), names(always, b));
      for (std::size_t i = 0; i < a.ports.size(); ++i) {
        EXPECT_DOUBLE_EQ(capacities[static_cast<std::size_t>(a.ports[i])],
                         always.ports()[static_cast<std::size_t>(b.ports[i])].capacity);
      }
    }
  }
}

TEST(Fabric, CapacitiesUnderFaultsAreThoseOfTheMachineWithThem) {
  const Fabric fabric(cloudmatrix(), Uplinks::kAlways);
  hw::Fault half, chip;
  half.at = 3;  // sub-plane 3
  half.left = 0.5;
  chip.kind = hw::Fault::Kind::kL2;
  chip.at = 3;
  chip.part = 5;
  const auto of = [&](const std::vector<BytesPerSecond>& capacities, const char* name) {
    for (std::size_t i = 0; i < capacities.size(); ++i) {
      if (fabric.name_of(static_cast<PortId>(i)) == name) return capacities[i];
    }
    return -1.0;
  };
  const std::vector<hw::Fault> both = {half, chip};
  const std::vector<BytesPerSecond> capacities = fabric.capacities_under(both);
  EXPECT_NEAR(of(capacities, "die:17 die_ub in"), 6.5 * 28e9, 1);
  EXPECT_NEAR(of(capacities, "node:7 uplink out"), (6 * 16 + 15 * 0.5) * 28e9, 10);
  EXPECT_NEAR(of(capacities, "die:17 rdma out"), 25e9, 1);
}

TEST(Fabric, SourceAndDestinationFollowTheOperation) {
  const Transfer read{hw::die(1), hw::die(2), 1, Plane::kUb, Op::kRead};
  EXPECT_EQ(source_of(read), hw::die(2));
  EXPECT_EQ(destination_of(read), hw::die(1));
  const Transfer write{hw::die(1), hw::die(2), 1, Plane::kUb, Op::kWrite};
  EXPECT_EQ(source_of(write), hw::die(1));
  EXPECT_EQ(destination_of(write), hw::die(2));
}

}  // namespace
}  // namespace cmsim::coll
