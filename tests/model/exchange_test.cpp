#include "cmsim/model/exchange.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "cmsim/model/expert_load.hpp"
#include "cmsim/model/relay.hpp"
#include "tests/model/places.hpp"
#include "tests/model/published.hpp"

namespace cmsim::model {
namespace {

constexpr double kLine = 196e9;  // 7 x 28 GB/s
// P Table 1, write: 137 GB/s inside a node, 135 GB/s between nodes.
constexpr double kNode = 137e9, kRemote = 135e9;

std::unique_ptr<TokenExchange> exchange(ExchangeKind kind, int ranks,
                                        const hw::Platform& platform = cloudmatrix()) {
  return make_exchange(kind, platform, OperatorList(deepseek_r1(), {}), ranks);
}

/// Uniform: the busiest rank receives what each sends.
ExchangeLoad uniform(double tokens, double copies = 8, double aiv_cores = 48) {
  return {tokens, copies, tokens * copies, aiv_cores};
}

void expect_shares(int ranks, double package, double node, double remote) {
  const PeerShares shares = peer_shares(cloudmatrix(), first_dies(ranks), first_dies(ranks));
  EXPECT_DOUBLE_EQ(shares.package, package) << "EP" << ranks;
  EXPECT_NEAR(shares.node, node, 1e-15) << "EP" << ranks;
  EXPECT_NEAR(shares.remote, remote, 1e-15) << "EP" << ranks;
}

TEST(PeerShares, FollowPackagesOfTwoAndNodesOfSixteen) {
  expect_shares(1, 1, 0, 0);
  expect_shares(2, 1, 0, 0);
  expect_shares(8, 2.0 / 8, 6.0 / 8, 0);
  expect_shares(16, 2.0 / 16, 14.0 / 16, 0);
  // A whole node and half a node: 16 ranks have 14 peers there and 8 elsewhere, 8 have 6 and 16.
  expect_shares(24, 2.0 / 24, (16 * 14 + 8 * 6) / 576.0, 2 * 16 * 8 / 576.0);
  expect_shares(320, 2.0 / 320, 14.0 / 320, 304.0 / 320);
}

TEST(ExchangeCosts, TakeTheLatencyOfTheFarthestPeer) {
  const auto latency = [&](int ranks) {
    return exchange(ExchangeKind::kFused, ranks)->costs().latency();
  };
  EXPECT_EQ(latency(1), 0);
  EXPECT_DOUBLE_EQ(latency(2), 1.3e-6);  // the sibling die: as within the node
  EXPECT_DOUBLE_EQ(latency(16), 1.3e-6);
  EXPECT_DOUBLE_EQ(latency(32), 2.1e-6);
}

/// Rows of the busiest rank when `ranks` x 128 tokens go to 8 of 256 equally popular experts, and
/// no expert is shared: the mean of 1,024 and the noise of the draw.
double busiest_of_the_benchmark(int ranks) {
  Architecture architecture = deepseek_r1();
  architecture.shared_experts = 0;
  ExpertOptions options;
  options.placement = Placement::kContiguous;
  options.skew = 0;
  const ExpertLoad load(architecture, derive_layout(architecture, ranks, 0, 0), options,
                        Phase::kDecode, 1);
  return load.straggler_rows(0, 128.0 * ranks);
}

// P Table 7, 128 tokens a rank, top 8: two fitted parameters put every row within 5 %.
TEST(FusedExchange, FitsTheMeasuredLatencies) {
  struct Row {
    int ranks;
    double dispatch, combine;
  };
  for (const Row& row :
       {Row{8, 116e-6, 118e-6}, Row{16, 131e-6, 132e-6}, Row{32, 133e-6, 146e-6},
        Row{64, 141e-6, 150e-6}, Row{128, 152e-6, 150e-6}, Row{256, 152e-6, 149e-6}}) {
    const auto fused = exchange(ExchangeKind::kFused, row.ranks);
    const ExchangeLoad load{128, 8, busiest_of_the_benchmark(row.ranks), 48};
    EXPECT_NEAR(fused->dispatch(load).total() / row.dispatch, 1, 0.05) << row.ranks;
    EXPECT_NEAR(fused->combine(load).total() / row.combine, 1, 0.05) << row.ranks;
  }
}

// EP320, 48 tokens to 9 ranks: 432 rows, of which 14/320 stay in the node and 304/320 leave it.
TEST(FusedExchange, DispatchIsIssueOrWire) {
  const auto fused = exchange(ExchangeKind::kFused, 320);
  const double seconds_a_byte = 14.0 / 320 / kNode + 304.0 / 320 / kRemote;
  ExchangeLoad load = uniform(48, 9, 16);
  const ExchangeTime even = fused->dispatch(load);
  EXPECT_NEAR(even.startup, 23.1e-6, 1e-12);  // 21 us and 2.1 us of path
  // An inter-node message every 0.1215 us, an intra-node one faster by 135/137.
  EXPECT_NEAR(even.issue, 432 * 0.1215e-6 * (14.0 / 320 * 135 / 137 + 304.0 / 320), 1e-12);
  EXPECT_NEAR(even.wire, 432 * 7680 * seconds_a_byte, 1e-12);
  EXPECT_GT(even.issue, even.wire);
  EXPECT_NEAR(even.total(), even.startup + even.issue, 1e-15);
  // 1000 rows at the busiest rank fill its port for longer than the senders issue.
  load.straggler_rows = 1000;
  const ExchangeTime uneven = fused->dispatch(load);
  EXPECT_NEAR(uneven.wire, 1000 * 7680 * seconds_a_byte, 1e-12);
  EXPECT_NEAR(uneven.total(), uneven.startup + uneven.wire, 1e-15);
}

TEST(FusedExchange, FewerAivCoresIssueSlowerInProportion) {
  const auto fused = exchange(ExchangeKind::kFused, 320);
  const double at16 = fused->dispatch(uniform(48, 9, 16)).issue;
  EXPECT_DOUBLE_EQ(fused->dispatch(uniform(48, 9, 48)).issue, at16);  // saturated
  EXPECT_NEAR(fused->dispatch(uniform(48, 9, 4)).issue, 4 * at16, 1e-12);
  const ExchangeTime combine = fused->combine(uniform(48, 9, 8));
  EXPECT_DOUBLE_EQ(combine.issue, 2 * combine.wire);
}

// The rank with the most tokens gets all its rows back even when no expert rank has as many.
TEST(FusedExchange, CombineWaitsForTheFullerOfBothEnds) {
  const auto fused = exchange(ExchangeKind::kFused, 320);
  ExchangeLoad load = uniform(48, 9);
  const double own = fused->combine(load).wire;
  load.straggler_rows = 1;
  EXPECT_DOUBLE_EQ(fused->combine(load).wire, own);
  load.straggler_rows = 2 * 432;
  EXPECT_NEAR(fused->combine(load).wire, 2 * own, 1e-15);
  // Reading 432 rows and writing 48 of 14,336 B at 1.6 TB/s x 0.841
  EXPECT_NEAR(fused->combine(load).local, 480 * 14336 / (1.6e12 * 0.841), 1e-15);
}

TEST(FusedExchange, BuffersHaveThePublishedSize) {
  // 320 ranks x 96 tokens x (7.5 KiB + 14 KiB) = 225 MiB + 420 MiB
  const OperatorList operators(deepseek_r1(), {});
  const auto bytes = [&](ExchangeKind kind, int ranks) {
    return exchange_buffer_bytes(kind, cloudmatrix(), operators, ranks, 96);
  };
  EXPECT_EQ(bytes(ExchangeKind::kFused, 320), 645.0 * 1024 * 1024);
  EXPECT_EQ(bytes(ExchangeKind::kTwoLevel, 320), 2 * 645.0 * 1024 * 1024);
  EXPECT_EQ(bytes(ExchangeKind::kTwoLevel, 16), bytes(ExchangeKind::kFused, 16));
}

TEST(FusedExchange, BytesOverUbLeaveOutThePackage) {
  // 10 tokens x 8 rows x 318/320 off the package x (7,680 + 14,336) B
  EXPECT_NEAR(exchange(ExchangeKind::kFused, 320)->ub_bytes(10, 8), 80 * 318.0 / 320 * 22'016,
              1e-6);
  EXPECT_EQ(exchange(ExchangeKind::kFused, 2)->ub_bytes(10, 8), 0);
}

TEST(FusedExchange, OfOneDieHasNoWire) {
  const auto fused = exchange(ExchangeKind::kFused, 1);
  const ExchangeTime time = fused->dispatch(uniform(128));
  EXPECT_EQ(time.wire, 0);
  EXPECT_EQ(time.issue, 0);
  EXPECT_DOUBLE_EQ(time.startup, 21e-6);
}

// 270 GB/s between the dies of a package, at the 137/196 that writes inside a node reach.
constexpr double kSibling = 270e9 * 137 / 196;

// Half of the rows stay on the die, half go to its sibling: 500 tokens x 8 rows / 2.
TEST(FusedExchange, OfOnePackageTakesTheDieToDieLink) {
  const auto fused = exchange(ExchangeKind::kFused, 2);
  const ExchangeTime dispatch = fused->dispatch(uniform(500));
  EXPECT_NEAR(dispatch.wire, 500 * 8 / 2 * 7680 / kSibling, 1e-12);  // 81.4 us
  EXPECT_EQ(dispatch.issue, 0);
  EXPECT_NEAR(dispatch.total(), 22.3e-6 + dispatch.wire, 1e-12);
  EXPECT_NEAR(fused->combine(uniform(500)).wire, 500 * 8 / 2 * 14336 / kSibling, 1e-12);
}

// EP8: 1/8 of the rows to the sibling, 6/8 over UB, at the same time. With 7 sub-planes UB is the
// busier; a die-to-die link of 30 GB/s takes longer: (1/8)/30 > (6/8)/196.
TEST(ExchangeCosts, TheBusierOfBothPortsCounts) {
  const auto per_byte = [](const hw::Platform& platform) {
    const coll::ExchangeCost cost =
        exchange(ExchangeKind::kFused, 8, platform)->costs().dispatch(ExchangeCosts::kEven);
    EXPECT_DOUBLE_EQ(cost.per_mean, cost.per_rank);
    return cost.per_rank;
  };
  hw::Platform platform = cloudmatrix();
  EXPECT_DOUBLE_EQ(per_byte(platform), 6.0 / 8 / kNode);
  platform.die.die_to_die_bandwidth = 30e9;
  EXPECT_DOUBLE_EQ(per_byte(platform), 1.0 / 8 / (30e9 * 137 / 196));
  // Packages of four dies have a link to each sibling: 3/8 of the rows over three links.
  platform.dies_per_npu = 4;
  EXPECT_DOUBLE_EQ(per_byte(platform), 3.0 / 8 / (3 * 30e9 * 137 / 196));
  platform.dies_per_npu = 1;  // no siblings
  EXPECT_DOUBLE_EQ(per_byte(platform), 7.0 / 8 / kNode);
}

// 64 ranks in four nodes send 48 rows each; thin uplinks (4 of 16 L2 chips) carry 784 GB/s *
// 135/196. Alike, the 16 ranks of a node get 16 * 48 * 3/4 = 576 rows through theirs, longer than a
// rank's own port needs for 48. When one rank gets half of all 3,072 rows, its port is the busier
// again.
TEST(ExchangeCosts, SharedLinksCarryTheExpectedLoadOfAllRanks) {
  hw::Platform platform = cloudmatrix();
  platform.ub.fabric.l2_chips_per_plane = 4;
  const std::vector<double> alike(64, 1.0 / 64);
  std::vector<double> hot(64, 0.5 / 63);
  hot.front() = 0.5;
  const auto thin = make_exchange(ExchangeKind::kFused, platform, OperatorList(deepseek_r1(), {}),
                                  64, {alike, hot});
  const Seconds own = 14.0 / 64 / kNode + 48.0 / 64 / kRemote;  // a byte
  ExchangeLoad load{.tokens = 6, .copies = 8, .straggler_rows = 48, .aiv_cores = 48};
  EXPECT_NEAR(thin->dispatch(load).wire, 48 * 7680 * own, 1e-12);  // of one rank alone
  load.mean_tokens = 6;
  load.layer = 0;
  const Seconds uplink = 576 * 7680 / (784e9 * 135 / 196);
  EXPECT_GT(uplink, 3 * 48 * 7680 * own);
  EXPECT_NEAR(thin->dispatch(load).wire, uplink, 1e-12);
  EXPECT_NEAR(thin->combine(load).wire, uplink * 14'336 / 7680, 1e-12);
  load.layer = 1;
  EXPECT_NEAR(thin->dispatch(load).wire, 1536 * 7680 * own, 1e-12);
  EXPECT_NEAR(thin->combine(load).wire, 1536 * 14'336 * own, 1e-12);
}

TEST(BasicExchange, SendsBf16InAllToAllsThatEachStart) {
  const auto basic = exchange(ExchangeKind::kBasic, 320);
  const ExchangeTime dispatch = basic->dispatch(uniform(48, 9));
  // Counts, then tokens: 2 x (21 + 2.1 + 10 us)
  EXPECT_NEAR(dispatch.startup, 66.2e-6, 1e-12);
  // 432 rows of 14,336 B and 320 counts of 8 B
  EXPECT_NEAR(dispatch.wire, (432 * 14336 + 320 * 8) * (14.0 / 320 / kNode + 304.0 / 320 / kRemote),
              1e-12);
  // Packed and unpacked: 432 rows read and written at either end
  EXPECT_NEAR(dispatch.local, 4 * 432 * 14336 / (1.6e12 * 0.841), 1e-12);
  EXPECT_NEAR(basic->combine(uniform(48, 9)).startup, 33.1e-6, 1e-12);
}

TEST(TwoLevelExchange, SendsATokenOnceToANodeAndForwardsItThere) {
  const auto relayed = exchange(ExchangeKind::kTwoLevel, 320);
  // Of the 4 groups that are chosen of 8, eight experts are in 4 x (1 - 0.75^8) = 3.600; each group
  // is on 2.5 nodes, of which the 2.223 experts in it are on 2.5 x (1 - 0.6^2.223) = 1.697:
  // of 6.107 nodes 19 in 20 are others. Of the 8 rows 14/16 are forwarded out of the relay's
  // package.
  const double groups = 4 * (1 - std::pow(0.75, 8));
  const double nodes = 0.95 * groups * 2.5 * (1 - std::pow(0.6, 8 / groups));
  EXPECT_NEAR(nodes, 5.802, 1e-3);
  const double forwarded = 8 * 14.0 / 16;
  EXPECT_NEAR(relayed->ub_bytes(10, 8), 10 * (nodes + forwarded) * 22'016, 1e-3);
  const ExchangeTime dispatch = relayed->dispatch(uniform(48));
  EXPECT_NEAR(dispatch.startup, 2 * 23.1e-6, 1e-12);
  EXPECT_NEAR(dispatch.wire, 48 * 7680 * (nodes / kRemote + forwarded / kNode), 1e-11);
}

// Kimi-K2 routes over one group: its 8 rows go to any of 20 nodes.
TEST(TwoLevelExchange, WithoutRoutingGroupsATokenGoesToAnyNode) {
  const OperatorList kimi(load_architecture(CMSIM_SOURCE_DIR "/workloads/models/kimi-k2.json"), {});
  const auto relayed = make_exchange(ExchangeKind::kTwoLevel, cloudmatrix(), kimi, 320);
  const double nodes = 19 * (1 - std::pow(0.95, 8)), forwarded = 8 * 14.0 / 16;
  EXPECT_NEAR(relayed->ub_bytes(10, 8), 10 * (nodes + forwarded) * 22'016, 1e-3);
}

// Four domains hold two of eight groups each. By drawing: with j of a domain's groups among the 4
// that are chosen, which C(2, j) C(6, 4 - j) of C(8, 4) = 70 choices are, eight experts that spread
// over the four miss it with (1 - j / 4)^8: 15, 40 x 0.1001 and 15 x 0.0039 of 70.
TEST(TwoLevelExchange, CountsTheDomainsOfAToken) {
  const Architecture r1 = deepseek_r1();
  const double missed = (15 + 40 * std::pow(0.75, 8) + 15 * std::pow(0.5, 8)) / 70;
  EXPECT_NEAR(expected_domains(r1, 8, 4), 4 * (1 - missed), 0.03);
  EXPECT_EQ(expected_domains(r1, 8, 1), 1);
  const double chosen = 4 * (1 - std::pow(0.75, 8));
  EXPECT_NEAR(expected_domains(r1, 8, 8), chosen, 1e-9);  // one group each
  double before = 1;
  for (int domains = 2; domains <= 96; ++domains) {
    const double now = expected_domains(r1, 8, domains);
    EXPECT_GE(now, before) << domains;
    EXPECT_LE(now, 8) << domains;
    before = now;
  }
}

TEST(TwoLevelExchange, IsOneHopInsideANode) {
  const auto relayed = exchange(ExchangeKind::kTwoLevel, 16);
  const auto fused = exchange(ExchangeKind::kFused, 16);
  EXPECT_DOUBLE_EQ(relayed->dispatch(uniform(48)).total(), fused->dispatch(uniform(48)).total());
  EXPECT_DOUBLE_EQ(relayed->combine(uniform(48)).total(), fused->combine(uniform(48)).total());
  EXPECT_DOUBLE_EQ(relayed->ub_bytes(10, 8), fused->ub_bytes(10, 8));
}

class AnyExchange : public testing::TestWithParam<ExchangeKind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, AnyExchange,
                         testing::Values(ExchangeKind::kFused, ExchangeKind::kBasic,
                                         ExchangeKind::kTwoLevel));

TEST_P(AnyExchange, IsNeverFasterWithMoreTokensOrRowsOrFewerCores) {
  for (const int ranks : {2, 8, 16, 24, 48, 100, 144, 288, 320, 768}) {
    const auto of = exchange(GetParam(), ranks);
    double dispatch = 0, combine = 0;
    for (const double tokens : {0.0, 1.0, 2.0, 16.0, 128.0, 512.0}) {
      const ExchangeLoad load = uniform(tokens);
      EXPECT_GE(of->dispatch(load).total(), dispatch);
      EXPECT_GE(of->combine(load).total(), combine);
      dispatch = of->dispatch(load).total();
      combine = of->combine(load).total();
      ExchangeLoad hot = load, starved = load;
      hot.straggler_rows *= 3;
      starved.aiv_cores = 4;
      EXPECT_GE(of->dispatch(hot).total(), dispatch);
      EXPECT_GE(of->combine(hot).total(), combine);
      EXPECT_GE(of->dispatch(starved).total(), dispatch);
      EXPECT_GE(of->combine(starved).total(), combine);
    }
  }
}

TEST_P(AnyExchange, IsNotSlowerOnFasterLinks) {
  hw::Platform fast = cloudmatrix();
  ASSERT_DOUBLE_EQ(hw::bandwidth_per_die(fast.ub.fabric), kLine);
  fast.ub.fabric.link_bandwidth *= 2;
  const OperatorList operators(deepseek_r1(), {});
  const auto before = exchange(GetParam(), 320);
  const auto after = make_exchange(GetParam(), fast, operators, 320);
  EXPECT_LE(after->dispatch(uniform(48)).total(), before->dispatch(uniform(48)).total());
  EXPECT_LT(after->combine(uniform(48)).total(), before->combine(uniform(48)).total());
}

}  // namespace
}  // namespace cmsim::model
