#include "cmsim/engine/p2p.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <stdexcept>
#include <string>

#include "cmsim/hw/platform.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::engine {
namespace {

using hw::cloudmatrix;

// P Table 1, per die and one way: GB/s of a large transfer, microseconds of 512 B. A node has dies
// 16n..16n+15 (two a package) and CPUs 4n..4n+3, so die 2 is in another package of the node of die
// 0, and die 16 and CPU 4 are in the next node.
struct Cell {
  const char* name;
  hw::Endpoint to;
  coll::Op op;
  double gigabytes_per_second;
  double microseconds;
};

void PrintTo(const Cell& cell, std::ostream* out) { *out << cell.name; }

class Table1 : public testing::TestWithParam<Cell> {};

TEST_P(Table1, BandwidthOfALargeTransfer) {
  const Cell& cell = GetParam();
  const P2pResult r = measure_p2p(cloudmatrix(), hw::die(0), cell.to, 10'000'000'000, cell.op);
  EXPECT_NEAR(r.bandwidth, cell.gigabytes_per_second * 1e9, 0.01 * cell.gigabytes_per_second * 1e9);
  EXPECT_DOUBLE_EQ(r.bandwidth, 1e10 / r.seconds);
}

TEST_P(Table1, LatencyAt512Bytes) {
  const Cell& cell = GetParam();
  const P2pResult r = measure_p2p(cloudmatrix(), hw::die(0), cell.to, 512, cell.op);
  EXPECT_NEAR(r.latency, cell.microseconds * 1e-6, 0.01 * cell.microseconds * 1e-6);
  // The wire time of 512 B, 512 / 164e9 = 3.1 ns, comes on top of the latency.
  EXPECT_NEAR(r.latency, cell.microseconds * 1e-6 + 512 / (cell.gigabytes_per_second * 1e9), 1e-12);
}

INSTANTIATE_TEST_SUITE_P(
    Cells, Table1,
    testing::Values(Cell{"NpuNpuReadInter", hw::die(16), coll::Op::kRead, 164, 1.9},
                    Cell{"NpuNpuReadIntra", hw::die(2), coll::Op::kRead, 167, 1.2},
                    Cell{"NpuNpuWriteInter", hw::die(16), coll::Op::kWrite, 135, 2.1},
                    Cell{"NpuNpuWriteIntra", hw::die(2), coll::Op::kWrite, 137, 1.3},
                    Cell{"NpuCpuReadInter", hw::cpu(4), coll::Op::kRead, 147, 1.7},
                    Cell{"NpuCpuReadIntra", hw::cpu(0), coll::Op::kRead, 151, 1.0},
                    Cell{"NpuCpuWriteInter", hw::cpu(4), coll::Op::kWrite, 107, 1.9},
                    Cell{"NpuCpuWriteIntra", hw::cpu(0), coll::Op::kWrite, 110, 1.1}),
    [](const auto& cell) { return std::string(cell.param.name); });

TEST(P2p, StripesReachTheSameBandwidthAsPooledPorts) {
  // Seven links of 28 GB/s side by side: 7 * 28 * 164/196 = 164 GB/s.
  hw::Platform platform = cloudmatrix();
  platform.ub.spread = hw::Spread::kStripe;
  const P2pResult r =
      measure_p2p(platform, hw::die(0), hw::die(16), 10'000'000'000, coll::Op::kRead);
  EXPECT_NEAR(r.bandwidth, 164e9, 1e-4 * 164e9);
}

TEST(P2p, HashedFlowHasOneSubPlane) {
  // One link of 28 GB/s: 28 * 164/196 = 23.43 GB/s.
  hw::Platform platform = cloudmatrix();
  platform.ub.spread = hw::Spread::kHash;
  const P2pResult r =
      measure_p2p(platform, hw::die(0), hw::die(16), 10'000'000'000, coll::Op::kRead);
  EXPECT_NEAR(r.bandwidth, 28e9 * 164 / 196, 1e-4 * 28e9);
}

TEST(P2p, FewerSubPlanesGiveProportionallyLess) {
  // 3 of 7 sub-planes: 3 * 28 * 164/196 = 70.29 GB/s.
  hw::Platform platform = cloudmatrix();
  platform.ub.fabric.sub_planes = 3;
  const P2pResult r =
      measure_p2p(platform, hw::die(0), hw::die(16), 10'000'000'000, coll::Op::kRead);
  EXPECT_NEAR(r.bandwidth, 3 * 28e9 * 164 / 196, 1e-4 * 70e9);
}

TEST(P2p, SiblingDiesUseTheDieToDieLink) {
  // 270 GB/s with the intra-node efficiency of a read: 270 * 167/196 = 230.1 GB/s.
  const P2pResult r =
      measure_p2p(cloudmatrix(), hw::die(0), hw::die(1), 10'000'000'000, coll::Op::kRead);
  EXPECT_NEAR(r.bandwidth, 270e9 * 167 / 196, 1e-4 * 230e9);
}

TEST(P2p, CopyInsideADieRunsAtHbmBandwidth) {
  // 16 GB / 1.6 TB/s = 10 ms, no latency of the fabric.
  const P2pResult r =
      measure_p2p(cloudmatrix(), hw::die(5), hw::die(5), 16'000'000'000, coll::Op::kWrite);
  EXPECT_DOUBLE_EQ(r.seconds, 16e9 / 1.6e12);
}

TEST(P2p, RdmaPlane) {
  // 25 GB/s at 95 %: 23.75 GB/s; 5 us + 512 / 23.75e9.
  const P2pResult r = measure_p2p(cloudmatrix(), hw::die(0), hw::die(700), 10'000'000'000,
                                  coll::Op::kRead, coll::Plane::kRdma);
  EXPECT_NEAR(r.bandwidth, 23.75e9, 1e-4 * 23.75e9);
  EXPECT_NEAR(r.latency, 5e-6 + 512 / 23.75e9, 1e-12);
}

TEST(P2p, NoBytesTakeTheLatency) {
  const P2pResult r = measure_p2p(cloudmatrix(), hw::die(0), hw::die(16), 0, coll::Op::kRead);
  EXPECT_NEAR(r.seconds, 1.9e-6, 1e-15);
  EXPECT_EQ(r.bandwidth, 0);
}

TEST(P2p, UnknownEndpointIsRefused) {
  const hw::Platform platform = cloudmatrix();
  EXPECT_THROW(measure_p2p(platform, hw::die(768), hw::die(0), 1, coll::Op::kRead),
               std::invalid_argument);
  EXPECT_THROW(
      measure_p2p(platform, hw::cpu(0), hw::die(0), 1, coll::Op::kRead, coll::Plane::kRdma),
      std::invalid_argument);
}

TEST(P2p, SeveralMeasurementsInOneProcess) {
  const hw::Platform platform = cloudmatrix();
  for (int i = 0; i < 3; ++i) {
    const P2pResult r =
        measure_p2p(platform, hw::die(0), hw::die(16), 10'000'000'000, coll::Op::kRead);
    EXPECT_NEAR(r.bandwidth, 164e9, 1e-4 * 164e9);
    EXPECT_NEAR(r.latency, 1.9e-6 + 512 / 164e9, 1e-12);
  }
}

}  // namespace
}  // namespace cmsim::engine
