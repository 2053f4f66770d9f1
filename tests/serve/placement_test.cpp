// Where instances sit, what is refused, and the published connection map.

#include "cmsim/serve/placement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "cmsim/base/error.hpp"

namespace cmsim::serve {
namespace {

using ::testing::HasSubstr;

hw::Platform supernode() {
  hw::Platform platform;
  platform.nodes = 48;
  platform.npus_per_node = 8;
  platform.dies_per_npu = 2;
  platform.cpus_per_node = 4;
  platform.dram_per_node = 1'500'000'000'000;
  platform.ub.cpu_bandwidth = 160e9;
  return platform;
}

std::string refusal(const DeploymentSpec& deployment, Role role = Role::kAll,
                    const hw::Platform& platform = supernode()) {
  try {
    check_deployment(deployment, platform, role);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Placement, OfThePublishedDeployment) {
  const Placement p = place({}, supernode(), Role::kAll).front();
  EXPECT_EQ(p.prefill[0].die(0), 0);
  EXPECT_EQ(p.prefill[5].die(31), 191);  // 6 x 16 NPUs x 2 dies = 192 dies
  EXPECT_EQ(p.decode[0].die(0), 192);
  EXPECT_EQ(p.decode[0].die(319), 511);  // + 160 NPUs x 2
  EXPECT_EQ(p.caches[0].cpus.size(), 192u);
  EXPECT_EQ(place({}, supernode(), Role::kDecodeOnly).front().decode[0].die(0), 0);
}

TEST(CheckDeployment, AcceptsThePublishedOne) { EXPECT_EQ(refusal({}), ""); }

TEST(CheckDeployment, RefusesMoreNpusThanThereAre) {
  DeploymentSpec d;
  d.decode = {2, 160, 320, 96};  // 96 + 320 = 416 > 384
  EXPECT_THAT(refusal(d), HasSubstr("need 416 NPUs"));
  EXPECT_THAT(refusal(d), HasSubstr("has 384"));
  EXPECT_EQ(refusal(d, Role::kDecodeOnly), "");  // 320 alone fit
}

TEST(CheckDeployment, RefusesAnEpDegreeThatDoesNotFit) {
  DeploymentSpec d;
  d.decode.ep = 128;
  EXPECT_THAT(refusal(d), HasSubstr("/deployment/decode/ep"));
  EXPECT_THAT(refusal(d), HasSubstr("= 320"));
  EXPECT_THAT(refusal(d), HasSubstr("npus_per_instance to 64"));
  d = {};
  d.prefill.npus_per_instance = 8;
  EXPECT_THAT(refusal(d), HasSubstr("/deployment/prefill/ep"));
}

TEST(CheckDeployment, TakesAnyNumberOfSequences) {
  DeploymentSpec d;
  for (const int sequences : {1, 95}) {
    d.decode.max_num_seqs = sequences;
    EXPECT_EQ(refusal(d), "");
  }
  d.decode.max_num_seqs = 0;
  EXPECT_THAT(refusal(d), HasSubstr("/deployment/decode/max_num_seqs"));
}

TEST(DecodeSpec, SpreadsTheSequencesOfAnNpuOverItsDies) {
  DecodeSpec spec{.instances = 1, .npus_per_instance = 3, .ep = 6, .max_num_seqs = 5};
  // 15 over 6 dies: 2 and 3 on each NPU.
  for (int rank = 0; rank < 6; ++rank) EXPECT_EQ(spec.slots_on(rank, 6), 2 + rank % 2);
  EXPECT_EQ(spec.most_slots_on_a_rank(), 3);
  spec.max_num_seqs = 1;
  for (int rank = 0; rank < 6; ++rank) EXPECT_EQ(spec.slots_on(rank, 6), rank % 2);
  EXPECT_EQ(spec.most_slots_on_a_rank(), 1);
}

TEST(CheckDeployment, RefusesMoreDramThanANodeHas) {
  DeploymentSpec d;
  d.cache.dram_per_node = 2'000'000'000'000;
  EXPECT_THAT(refusal(d), HasSubstr("/deployment/cache/dram_per_node"));
}

TEST(CheckDeployment, RefusesAPlaneThatJoinsNoCpus) {
  DeploymentSpec d;
  d.cache.plane = coll::Plane::kRdma;
  EXPECT_THAT(refusal(d), HasSubstr("/deployment/cache/plane: found \"rdma\", by which there is no "
                                    "way from die:0 to cpu:0 on this platform; allowed is \"ub\", "
                                    "\"vpc\""));
  EXPECT_EQ(refusal(d, Role::kDecodeOnly), "");
  hw::Platform with_cpus = supernode();
  with_cpus.rdma.cpu_bandwidth = 25e9;
  EXPECT_EQ(refusal(d, Role::kAll, with_cpus), "");
}

TEST(CheckDeployment, RefusesAPlaneThatEndsBetweenPrefillAndDecode) {
  hw::Platform two = supernode();
  two.supernodes = 2;  // of 384 dies; prefill has 0 to 191, decode 192 to 511
  two.rdma.fabric.scope = hw::Scope::kAll;
  DeploymentSpec d;
  d.cache.enabled = false;
  EXPECT_EQ(refusal(d, Role::kAll, two), "");
  d.kv.plane = coll::Plane::kUb;
  EXPECT_THAT(
      refusal(d, Role::kAll, two),
      HasSubstr("/deployment/kv/plane: found \"ub\", by which there is no way from die:0 to "
                "die:384 on this platform; allowed is \"rdma\""));
  EXPECT_EQ(refusal(d, Role::kPrefillOnly, two), "");  // nothing is pulled
  d.decode.npus_per_instance = 96;
  d.decode.ep = 192;
  EXPECT_EQ(refusal(d, Role::kAll, two), "");  // dies 0 to 383
}

TEST(CheckCacheBlocks, NeedsAMultipleOfTheTraceBlock) {
  work::Trace trace;
  trace.block_size = 512;
  trace.block_ids = {1};
  CacheSpec cache;
  EXPECT_NO_THROW(check_cache_blocks(cache, trace));
  cache.block_size = 1024;
  EXPECT_NO_THROW(check_cache_blocks(cache, trace));
  cache.block_size = 768;
  EXPECT_THROW(check_cache_blocks(cache, trace), ConfigError);
  cache.block_size = 128;
  EXPECT_THROW(check_cache_blocks(cache, trace), ConfigError);
  cache.enabled = false;
  EXPECT_NO_THROW(check_cache_blocks(cache, trace));
}

TEST(Placement, LeavesOutWhatTheFaultsTook) {
  hw::Platform platform = hw::load_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  // Die 5 takes NPU 2 with it, so that all that comes after moves up by one NPU; node 1 moves the
  // dies from 14 on by a node more.
  hw::add_faults(platform, {{.kind = hw::Fault::Kind::kDie, .at = 5}});
  DeploymentSpec deployment;
  deployment.cache.dram_per_node = 1'000'000'000'000;
  EXPECT_EQ(place(deployment, platform, Role::kAll).front().prefill[0].die(3), 3);
  EXPECT_EQ(place(deployment, platform, Role::kAll).front().prefill[0].die(4), 6);
  hw::add_faults(platform, {{.kind = hw::Fault::Kind::kNode, .at = 1}});
  const Placement p = place(deployment, platform, Role::kAll).front();
  EXPECT_EQ(p.prefill[0].die(13), 15);
  EXPECT_EQ(p.prefill[0].die(14), 32);
  EXPECT_EQ(p.caches[0].cpus.size(), 188u);
  EXPECT_EQ(p.caches[0].dram, 47 * deployment.cache.dram_per_node);
  // One of the four CPUs of node 2 takes a quarter of its share with it.
  hw::add_faults(platform, {{.kind = hw::Fault::Kind::kCpu, .at = 8}});
  const Bytes of_node = deployment.cache.dram_per_node;
  EXPECT_EQ(place(deployment, platform, Role::kAll).front().caches[0].dram,
            46 * of_node + 3 * of_node / 4);
  check_deployment(deployment, platform, Role::kAll);  // 375 NPUs are left for 256
  deployment.decode.npus_per_instance = 280;           // and 96 of prefill
  deployment.decode.ep = 560;
  try {
    check_deployment(deployment, platform, Role::kAll);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("384, of which the faults leave 375"),
              std::string::npos)
        << error.what();
  }
}

TEST(ConnectionMap, AsPublished) {
  // ratio = 32 / 1, group_size = 320 / 32 = 10: ranks 0-9 <- 0, 10-19 <- 1, ..., 310-319 <- 31.
  const ConnectionMap map{32, 1, 320};
  for (int rank = 0; rank < 320; ++rank) EXPECT_EQ(map.prefill_tp_rank(rank, 0), rank / 10);
}

TEST(ConnectionMap, WithDecodeTensorParallelism) {
  // ratio = 32 / 4 = 8, group_size = 16 / 8 = 2; rank 5 is in group 2: 2 * 4 + tp rank.
  const ConnectionMap map{32, 4, 16};
  EXPECT_EQ(map.prefill_tp_rank(5, 0), 8);
  EXPECT_EQ(map.prefill_tp_rank(5, 3), 11);
  EXPECT_EQ(map.prefill_tp_rank(15, 3), 31);
}

TEST(ConnectionMap, SpreadsEvenlyWhenNothingDivides) {
  // 100 ranks over 32: floor(rank * 32 / 100): groups of 3 or 4, every prefill rank used, none
  // beyond.
  const ConnectionMap uneven{32, 1, 100};
  std::vector<int> served(32);
  for (int rank = 0; rank < 100; ++rank) {
    ++served.at(static_cast<std::size_t>(uneven.prefill_tp_rank(rank, 0)));
  }
  for (const int count : served) EXPECT_TRUE(count == 3 || count == 4) << count;
  // Fewer decode ranks than prefill ranks: 8 ranks over 32 use every fourth.
  EXPECT_EQ((ConnectionMap{32, 1, 8}.prefill_tp_rank(3, 0)), 12);
  // Decode wider than prefill: ratio counts as 1.
  EXPECT_EQ((ConnectionMap{2, 4, 8}.prefill_tp_rank(7, 3)), 1);
}

TEST(Placement, ALocalCacheIsThatOfTheNodesOfItsInstance) {
  DeploymentSpec deployment;  // 6 instances of 16 NPUs, 8 a node
  deployment.cache.dram_per_node = 1000;
  deployment.cache.scope = CacheScope::kLocal;
  const Placement p = place(deployment, supernode(), Role::kAll).front();
  ASSERT_EQ(p.caches.size(), 6u);
  EXPECT_EQ(p.caches[1].dram, 2000);
  EXPECT_EQ(p.caches[1].cpus, (std::vector<std::int32_t>{8, 9, 10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(p.cache_of(3), 3u);
  deployment.prefill = {2, 4, 8, 1000};  // two on a node: a half each
  const Placement halves = place(deployment, supernode(), Role::kAll).front();
  EXPECT_EQ(halves.caches[1].dram, 500);
  EXPECT_EQ(halves.caches[1].cpus.size(), 4u);
  EXPECT_EQ(place(deployment, supernode(), Role::kDecodeOnly).front().caches.size(), 1u);
}

}  // namespace
}  // namespace cmsim::serve
