// Blocks of NPUs that change their role while a run goes on.
#include <gtest/gtest.h>

#include <limits>

#include "cmsim/base/error.hpp"
#include "tests/serve/harness.hpp"

namespace cmsim::serve::testing {
namespace {

constexpr Seconds kNever = std::numeric_limits<Seconds>::infinity();

/// Says what a script of (date, decode blocks) has.
class Scripted : public Policy<ProportionChoice> {
 public:
  Scripted(std::vector<std::pair<Seconds, std::int32_t>> script, std::vector<View>& seen)
      : script_(std::move(script)), seen_(seen) {}
  Proportion decide(const View& view) override {
    seen_.push_back(view);
    std::int32_t blocks = view.decode_blocks;
    Seconds next = kNever;
    for (const auto& [date, wanted] : script_) {
      if (date <= view.now + kTiny) blocks = wanted;
      if (date > view.now + kTiny) next = std::min(next, date - view.now);
    }
    return {blocks, next};
  }

 private:
  std::vector<std::pair<Seconds, std::int32_t>> script_;
  std::vector<View>& seen_;
};

class Roles : public Listener {
 public:
  void on_role(const RoleEvent& event) override { events.push_back(event); }
  std::vector<RoleEvent> events;
};

/// Four blocks of one NPU, two of each role; a change takes 3 + 4 s. 1 ms a prompt token, 50 ms a
/// step.
struct Changing : Harness {
  Changing() {
    config.deployment.prefill.instances = config.deployment.decode.instances = 2;
    config.deployment.role_switch = RoleSwitchSpec{.load = 3, .rebuild = 4};
    listeners.push_back(&roles);
  }
  void follow(std::vector<std::pair<Seconds, std::int32_t>> script) {
    policies.get<ProportionChoice>() = {"scripted",
                                        std::make_unique<Scripted>(std::move(script), asked)};
  }
  Roles roles;
  std::vector<ProportionView> asked;
};

TEST(RoleSwitching, EveryPlaceMayHaveEitherRole) {
  Changing h;
  const Placement p = place(h.config.deployment, h.platform, Role::kAll).front();
  ASSERT_EQ(p.prefill.size(), 4u);
  ASSERT_EQ(p.decode.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(p.prefill[i].dies, p.decode[i].dies);
    EXPECT_EQ(p.prefill[i].serves, i < 2);
    EXPECT_EQ(p.decode[i].serves, i >= 2);
  }
}

TEST(RoleSwitching, ABlockDrainsLoadsAndServesInTheOtherRole) {
  Changing h;
  h.follow({{0, 2}, {1, 1}});
  // The first two decode on the two dies of block 2.
  h.run({{0, 100, 100}, {0, 100, 100}, {2, 100, 2}, {14, 100, 2}, {14, 100, 2}, {14, 100, 2}});
  std::vector<RoleEvent> of_block;
  for (const RoleEvent& event : h.roles.events) {
    if (event.block == 2) of_block.push_back(event);
  }
  ASSERT_EQ(of_block.size(), 4u);
  EXPECT_TRUE(of_block[0].decodes);
  EXPECT_EQ(of_block[1].state, InstanceState::kDraining);
  EXPECT_NEAR(of_block[1].at, 1, kTiny);
  EXPECT_EQ(of_block[2].state, InstanceState::kLoading);
  EXPECT_NEAR(of_block[2].at, 5.2, kTiny);  // prefilled at 0.1, pulled at 0.2, 100 steps
  EXPECT_FALSE(of_block[2].decodes);
  EXPECT_EQ(of_block[3].state, InstanceState::kServing);
  EXPECT_NEAR(of_block[3].at, 12.2, kTiny);
  EXPECT_EQ(h.record(2).decode_instance, 3);  // block 2 takes no more
  // Three prefill instances have one of the last three each.
  std::vector<std::int32_t> instances;
  for (const int id : {3, 4, 5}) instances.push_back(h.record(id).prefill_instance);
  std::ranges::sort(instances);
  EXPECT_EQ(instances, (std::vector<std::int32_t>{0, 1, 2}));
  for (const int id : {3, 4, 5}) EXPECT_EQ(h.record(id).decode_instance, 3) << id;
}

TEST(RoleSwitching, APrefillInstanceEndsWhatItHas) {
  Changing h;
  h.follow({{0, 2}, {0.05, 3}});
  h.run({{0, 100, 2}, {0, 100, 2}, {0.06, 100, 2}, {20, 100, 2}, {20, 100, 2}, {20, 100, 2}});
  EXPECT_EQ(h.record(2).prefill_instance, 1);  // block 0 is draining
  EXPECT_NEAR(h.record(0).prefill_end, 0.1, kTiny);
  std::vector<std::int32_t> instances;
  for (const int id : {3, 4, 5}) instances.push_back(h.record(id).decode_instance);
  std::ranges::sort(instances);
  EXPECT_EQ(instances, (std::vector<std::int32_t>{0, 0, 2}));  // a die of its own each
}

TEST(RoleSwitching, WhoStaysTooLongIsPreempted) {
  Changing h;
  h.config.deployment.role_switch->drain = 1;
  h.follow({{0, 2}, {1, 1}});
  h.run({{0, 100, 100}, {0, 100, 100}});
  for (const int id : {0, 1}) {
    EXPECT_EQ(h.record(id).preemptions, 1);
    EXPECT_EQ(h.record(id).outcome, Outcome::kFinished);
    EXPECT_EQ(h.record(id).decode_instance, 3);
  }
  EXPECT_NEAR(h.roles.events[5].at, 2, kTiny);  // four begin to serve, one drains, and loads
}

TEST(RoleSwitching, TheLastOfARoleStays) {
  Changing h;
  h.follow({{0, 3}, {1, 1}});
  // From two of each: block 0 goes to decode at once and comes at 7; two are to leave it at 1.
  h.run({{0.5, 100, 2}, {30, 100, 2}});
  for (const ProportionView& view : h.asked) {
    EXPECT_GE(view.prefill.blocks, 1);
    EXPECT_GE(view.decode.blocks, 1);
  }
  EXPECT_EQ(h.totals.finished, 2);
}

TEST(RoleSwitching, ThePolicySeesLoad) {
  Changing h;
  h.follow({{0, 2}, {0.1, 2}});
  // At 0.1 s: of two prefill instances one computes 100 of 400 tokens; nothing decodes yet.
  h.run({{0, 400, 2}});
  ASSERT_EQ(h.asked.size(), 2u);
  const ProportionView& view = h.asked[1];
  EXPECT_EQ(view.npus_of_block, 1);
  EXPECT_NEAR(view.backlog, 0.3 / 2, kTiny);
  EXPECT_EQ(view.prefill.blocks, 2);
  EXPECT_EQ(view.decode.waiting, 0);
  EXPECT_EQ(view.decode.occupancy, 0);
}

TEST(RoleSwitching, ARunEndsWithItsLastRequest) {
  for (const double interval : {0.01, 600.0}) {
    Changing h;
    h.policies = policies_with({{"proportion", {"latency_pressure", {{"interval", interval}}}}});
    h.run({{0, 100, 2}});
    EXPECT_NEAR(h.runtime.now(), h.record(0).finished, kTiny);
  }
}

TEST(RoleSwitching, APolicyThatLetsRequestsWaitForEverIsToldOf) {
  class Never : public Policy<PrefillBatching> {
    std::optional<std::size_t> decide(const View&) override { return std::nullopt; }
  };
  Changing h;
  h.policies = policies_with({{"proportion", {"latency_pressure"}}});
  h.policies.get<PrefillBatching>() = {"never", std::make_unique<Never>()};
  EXPECT_THROW(h.run({{0, 100, 2}}), SimulationError);
}

TEST(RoleSwitching, WrongDecisionsAreThePolicys) {
  for (const std::int32_t blocks : {0, 4}) {
    Changing h;
    h.follow({{0, blocks}});
    EXPECT_THROW(h.run({{0, 100, 1}}), SimulationError);
  }
}

// A backlog of nine tenths of the limit while decode is idle, and the other way round.
TEST(LatencyPressure, MovesABlockToWhoIsNearItsLimit) {
  const Policies policies = policies_with({{"proportion", {"latency_pressure"}}});
  ProportionView view{.prefill = {.blocks = 3}, .decode = {.blocks = 3}, .limits = {2, 0.05}};
  view.decode_blocks = 3;
  const auto decided = [&] { return policies.get<ProportionChoice>()->decide(view).decode_blocks; };
  EXPECT_EQ(decided(), 3);
  view.backlog = 1.9;
  view.tpot = 0.03;
  EXPECT_EQ(decided(), 2);
  view.changing = 1;
  EXPECT_EQ(decided(), 3);
  view.changing = 0;
  view.tpot = 0.049;
  EXPECT_EQ(decided(), 3);  // both are near
  view.backlog = 0;
  EXPECT_EQ(decided(), 4);
  view.tpot = 0;
  view.decode.occupancy = 1;
  view.backlog = 10;
  view.decode.waiting = 5;  // prefill is held up by decode
  EXPECT_EQ(decided(), 4);
}

TEST(CheckDeployment, BlocksHoldWholeInstancesOfEitherRole) {
  Changing h;
  DeploymentSpec& deployment = h.config.deployment;
  EXPECT_NO_THROW(check_deployment(deployment, h.platform, Role::kAll));
  EXPECT_THROW(check_deployment(deployment, h.platform, Role::kPrefillOnly), ConfigError);
  deployment.decode.npus_per_instance = 2;  // a block is two NPUs: two prefill instances are one
  deployment.decode.ep = 4;
  EXPECT_NO_THROW(check_deployment(deployment, h.platform, Role::kAll));
  deployment.prefill.instances = 3;
  EXPECT_THROW(check_deployment(deployment, h.platform, Role::kAll), ConfigError);
}

}  // namespace
}  // namespace cmsim::serve::testing
