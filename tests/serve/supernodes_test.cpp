// Several supernodes behind a router, each with instances and caches of its own.
#include <gtest/gtest.h>

#include "cmsim/base/error.hpp"
#include "tests/serve/harness.hpp"

namespace cmsim::serve::testing {
namespace {

/// Two supernodes of one node each, of which each has a prefill and a decode instance.
struct TwoSupernodes : Harness {
  TwoSupernodes() {
    platform.supernodes = 2;
    config.deployment.supernodes = 2;
  }
  void route_by(const std::string& name, Parameters parameters = {}) {
    policies = policies_with({{"supernode_routing", {name, std::move(parameters)}}});
  }
};

TEST(Supernodes, HaveDiesAndCpusOfTheirOwn) {
  TwoSupernodes h;
  const std::vector<Placement> placed = place(h.config.deployment, h.platform, Role::kAll);
  ASSERT_EQ(placed.size(), 2u);
  EXPECT_EQ(placed[0].prefill[0].dies, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(placed[1].prefill[0].dies, (std::vector<std::int32_t>{8, 9}));  // 4 NPUs of 2 dies
  EXPECT_EQ(placed[1].decode[0].dies, (std::vector<std::int32_t>{10, 11}));
  EXPECT_EQ(placed[0].caches[0].cpus, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(placed[1].caches[0].cpus, (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(placed[1].caches[0].dram, 100'000'000);
}

TEST(Supernodes, ARequestStaysWhereItIsSent) {
  TwoSupernodes h;
  h.route_by("round_robin");
  h.run({{0, 100, 2}, {0, 100, 2}, {0, 100, 2}});
  for (const int id : {0, 1, 2}) {
    EXPECT_EQ(h.record(id).prefill_instance, id % 2) << id;
    EXPECT_EQ(h.record(id).decode_instance, id % 2) << id;
  }
  // Each pulls its KV from its own supernode's prefill dies.
  ASSERT_EQ(h.runtime.transfers.size(), 3u);
  for (const auto& one : h.runtime.transfers) {
    EXPECT_EQ(one.transfer.initiator.index / 8, one.transfer.target.index / 8);
  }
  EXPECT_EQ(h.totals.finished, 3);
}

TEST(Supernodes, TheRouterSeesWhatWaits) {
  TwoSupernodes h;
  h.route_by("least_waiting");
  h.run({{0, 400, 2}, {0.001, 100, 2}, {0.002, 100, 2}, {0.003, 100, 2}});
  EXPECT_EQ(h.record(0).prefill_instance, 0);
  for (const int id : {1, 2, 3}) EXPECT_EQ(h.record(id).prefill_instance, 1) << id;
}

// The blocks of request 0 are with supernode 0; request 1 keeps it busy with 50 tokens, of which
// 100 cached ones are worth the wait, and 40 % of them are not.
TEST(Supernodes, CachedTokensAreWeighedAgainstWhatWaits) {
  for (const double weight : {1.0, 0.4}) {
    TwoSupernodes h;
    h.config.deployment.cache.enabled = true;
    h.route_by("prefix_aware", {{"weight", weight}});
    h.run({{0, 100, 1, {7}}, {10, 50, 1}, {10.001, 200, 1, {7, 8}}});
    EXPECT_EQ(h.record(1).prefill_instance, 0);
    EXPECT_EQ(h.record(2).prefill_instance, weight == 1.0 ? 0 : 1);
    EXPECT_EQ(h.record(2).cached_tokens, weight == 1.0 ? 100 : 0);
  }
}

TEST(Supernodes, SessionsStay) {
  TwoSupernodes h;
  h.route_by("session_affinity");
  std::vector<Ask> asks;
  for (int i = 0; i < 12; ++i)
    asks.push_back({i * 1.0, 100, 1, {static_cast<std::uint64_t>(i % 3 + 1)}});
  h.run(asks);
  for (int i = 3; i < 12; ++i) {
    EXPECT_EQ(h.record(i).prefill_instance, h.record(i % 3).prefill_instance) << i;
  }
}

TEST(Supernodes, CachesAreCountedTogether) {
  TwoSupernodes h;
  h.config.deployment.cache.enabled = true;
  h.route_by("round_robin");
  h.run({{0, 100, 1, {1}}, {0, 100, 1, {2}}, {10, 100, 1, {3}}, {20, 100, 1, {4}}});
  EXPECT_EQ(h.seen.lookups.back().stored_blocks, 3);  // request 3 is looked up before it is stored
}

TEST(Supernodes, AWrongNumberIsTheRouters) {
  class Wrong : public Policy<SupernodeRouting> {
    std::int32_t decide(const View&) override { return 2; }
  };
  TwoSupernodes h;
  h.policies.get<SupernodeRouting>() = {"wrong", std::make_unique<Wrong>()};
  try {
    h.run({{0, 100, 1}});
    FAIL() << "went on";
  } catch (const SimulationError& error) {
    EXPECT_STREQ(
        error.what(),
        "the policy supernode_routing \"wrong\" chose supernode 2 of 2 at 0 s (request 0)");
  }
}

TEST(Supernodes, ADeploymentFitsEachOfThem) {
  TwoSupernodes h;
  h.config.deployment.decode = {1, 4, 8, 4};
  EXPECT_THROW(check_deployment(h.config.deployment, h.platform, Role::kAll), ConfigError);
  h.config.deployment.supernodes = h.platform.supernodes = 1;
  EXPECT_NO_THROW(check_deployment(h.config.deployment, h.platform, Role::kAll));
  h.config.deployment.supernodes = 2;
  EXPECT_THROW(check_deployment(h.config.deployment, h.platform, Role::kAll), ConfigError);
}

}  // namespace
}  // namespace cmsim::serve::testing
