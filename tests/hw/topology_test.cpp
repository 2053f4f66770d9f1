#include "cmsim/hw/topology.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "cmsim/hw/capacities.hpp"

namespace cmsim::hw {
namespace {

Platform cloudmatrix(int nodes = 48) {
  Platform p = load_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  p.nodes = nodes;
  return p;
}

TEST(Topology, CountsOfTheSupernode) {
  const Topology t(cloudmatrix());
  EXPECT_EQ(t.count(VertexKind::kDie), 768);     // 48 * 8 * 2
  EXPECT_EQ(t.count(VertexKind::kCpu), 192);     // 48 * 4
  EXPECT_EQ(t.count(VertexKind::kL1Chip), 336);  // 48 * 7
  EXPECT_EQ(t.count(VertexKind::kL2Chip), 112);  // 7 * 16
  EXPECT_EQ(t.count(VertexKind::kVpcCard), 48);
  EXPECT_EQ(t.count(LinkClass::kDieUb), 10752);   // 768 * 7 both ways
  EXPECT_EQ(t.count(LinkClass::kUplink), 10752);  // 48 * 7 * 16 both ways
  EXPECT_EQ(t.npu_fabric_links(), 21504);
  EXPECT_EQ(t.count(LinkClass::kCpuUb), 2688);    // 192 * 7 both ways
  EXPECT_EQ(t.count(LinkClass::kDieToDie), 768);  // 384 packages both ways
  EXPECT_EQ(t.count(LinkClass::kRdma), 1536);     // 768 both ways
  EXPECT_EQ(t.count(LinkClass::kVpc), 96);        // 48 both ways
}

TEST(Topology, EverySwitchChipHasItsPorts) {
  const Topology t(cloudmatrix());
  const Graph& g = t.graph();
  std::vector<unsigned> entering(boost::num_vertices(g));
  const auto [first_link, last_link] = boost::edges(g);
  for (auto e = first_link; e != last_link; ++e) ++entering[boost::target(*e, g)];
  const auto [begin, end] = boost::vertices(g);
  for (auto v = begin; v != end; ++v) {
    const auto ports = boost::out_degree(*v, g);
    EXPECT_EQ(ports, entering[*v]);
    if (g[*v].kind == VertexKind::kL2Chip) {
      EXPECT_EQ(ports, 48u);  // one per node
    } else if (g[*v].kind == VertexKind::kL1Chip) {
      EXPECT_EQ(ports, 16u + 4 + 16);  // dies, CPUs, uplinks
    } else if (g[*v].kind == VertexKind::kDie) {
      EXPECT_EQ(ports, 7u + 1 + 1);  // UB, sibling, RDMA
    }
  }
}

TEST(Topology, SubPlanesAreIndependent) {
  // No link joins chips of different sub-planes, and L1 uplinks stay in their sub-plane.
  const Topology t(cloudmatrix(4));
  const Graph& g = t.graph();
  const auto [begin, end] = boost::edges(g);
  for (auto e = begin; e != end; ++e) {
    if (g[*e].cls != LinkClass::kUplink) continue;
    EXPECT_EQ(g[boost::source(*e, g)].plane, g[boost::target(*e, g)].plane);
    EXPECT_EQ(g[*e].plane, g[boost::source(*e, g)].plane);
  }
}

TEST(Topology, OversubscriptionIsOneForNpusAnd120WithCpus) {
  const Topology t(cloudmatrix());
  // A node: 16 dies * 196 = 3,136 GB/s up, and 7 * 16 * 28 = 3,136 GB/s of uplinks.
  EXPECT_DOUBLE_EQ(t.npu_oversubscription(), 1.0);
  // With 4 CPUs of 160 GB/s: 3,776 / 3,136 = 1.204.
  EXPECT_NEAR(t.oversubscription_with_cpus(), 3776.0 / 3136.0, 1e-12);
}

TEST(Topology, BisectionIsHalfTheUplinks) {
  // 24 nodes * 3,136 GB/s = 75.264 TB/s one way.
  EXPECT_NEAR(Topology(cloudmatrix()).bisection(), 75.264e12, 1);
  // Three nodes: one on one side and two on the other; the single node's 3,136 GB/s is the cut.
  EXPECT_NEAR(Topology(cloudmatrix(3)).bisection(), 3.136e12, 1);
}

TEST(Topology, HalfTheL2ChipsHalveTheUplinks) {
  Platform p = cloudmatrix();
  p.ub.l2_chips_per_plane = 8;
  const Topology t(p);
  EXPECT_DOUBLE_EQ(t.npu_oversubscription(), 2.0);
  EXPECT_NEAR(t.bisection(), 75.264e12 / 2, 1);
}

TEST(Topology, SmallerSupernodesScale) {
  for (const int nodes : {1, 24, 32, 36, 44}) {
    const Topology t(cloudmatrix(nodes));
    EXPECT_EQ(t.count(VertexKind::kDie), nodes * 16);
    EXPECT_EQ(t.count(VertexKind::kL2Chip), 112);  // some ports of each stay empty
    EXPECT_EQ(t.npu_fabric_links(), nodes * (16 * 7 + 7 * 16) * 2);
    EXPECT_DOUBLE_EQ(t.npu_oversubscription(), 1.0);
  }
}

TEST(SwitchPlan, IsPublishedTable11) {
  // NPUs, nodes, logical switches (two chips of 48 ports), port utilisation in per cent.
  struct Row {
    int nodes, switches, utilisation;
  };
  for (const Row row :
       {Row{48, 56, 100}, Row{44, 56, 92}, Row{36, 42, 100}, Row{32, 42, 89}, Row{24, 28, 100}}) {
    // E.g. 32 nodes: 32 * 16 = 512 ports a sub-plane, 6 switches of 96 = 576 ports, 512 / 576 = 89
    // %.
    const SwitchPlan plan = plan_switches(cloudmatrix(row.nodes));
    EXPECT_EQ(plan.total, row.switches) << row.nodes << " nodes";
    EXPECT_NEAR(plan.port_utilisation * 100, row.utilisation, 0.5) << row.nodes << " nodes";
  }
}

TEST(Capacities, AreWhatLeavesEachOwner) {
  const PortCapacities c = read_capacities(cloudmatrix());
  ASSERT_EQ(c.die_ub.size(), 768u * 7);
  ASSERT_EQ(c.uplink.size(), 48u * 7 * 16);
  for (const double link : c.die_ub) EXPECT_DOUBLE_EQ(link, 28e9);
  for (const double link : c.uplink) EXPECT_DOUBLE_EQ(link, 28e9);
  EXPECT_NEAR(std::accumulate(c.cpu_ub.begin(), c.cpu_ub.begin() + 7, 0.0), 160e9, 1);
  for (const double link : c.die_to_die) EXPECT_DOUBLE_EQ(link, 270e9);
  for (const double link : c.rdma) EXPECT_DOUBLE_EQ(link, 25e9);
  for (const double link : c.vpc) EXPECT_DOUBLE_EQ(link, 50e9);
}

TEST(Capacities, ADieAloneInItsPackageHasNoSibling) {
  Platform p = cloudmatrix();
  p.dies_per_npu = 1;
  for (const double link : read_capacities(p).die_to_die) EXPECT_EQ(link, 0);
}

}  // namespace
}  // namespace cmsim::hw
