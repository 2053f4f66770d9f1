// The same trace and seed tell the same story twice; random loads keep every promise of finish().

#include <gtest/gtest.h>

#include <sstream>

#include "cmsim/base/random.hpp"
#include "tests/serve/harness.hpp"

namespace cmsim::serve::testing {
namespace {

std::vector<Ask> random_asks(std::uint64_t seed, int count) {
  RandomStream random(seed, "test/asks");
  std::vector<Ask> asks;
  Seconds now = 0;
  for (int i = 0; i < count; ++i) {
    now += random.exponential(0.02);
    Ask ask{now, static_cast<int>(random.uniform_int(1, 400)),
            static_cast<int>(random.uniform_int(1, 120))};
    const std::uint64_t family = static_cast<std::uint64_t>(random.uniform_int(0, 9));
    for (int b = 0; b * 100 < ask.prompt; ++b) {
      const bool shared = b < 2;
      ask.blocks.push_back((shared ? family : 100 + static_cast<std::uint64_t>(i)) * 100 +
                           static_cast<std::uint64_t>(b));
    }
    asks.push_back(ask);
  }
  return asks;
}

std::string story(std::uint64_t seed) {
  Harness h;
  h.config.seed = seed;
  h.config.mtp = {1, 0.7};
  h.config.deployment.cache.enabled = true;
  h.run(random_asks(1, 200));
  std::ostringstream out;
  out.precision(17);
  for (const auto& [id, r] : h.seen.records) {
    out << id << ' ' << r.finished << ' ' << r.first_token << ' ' << r.decode_rank << ' '
        << r.cached_tokens << ' ' << r.iterations << '\n';
  }
  for (const auto& q : h.seen.queues) out << q.at << ' ' << q.decode_kv_reserved << '\n';
  return out.str();
}

TEST(Determinism, SameSeedSameStory) {
  EXPECT_EQ(story(1), story(1));
  EXPECT_NE(story(1), story(2));
}

struct Load {
  const char* name;
  Role role;
  std::int64_t concurrency;
  Tokens die_kv, prefill_kv;
  bool preempts;
  int supernodes = 1;
  bool switches = false;  // roles, all the time
  Bytes swap = 0;         // DRAM for KV of a node
};

/// Another number of decode blocks every half second.
class Restless : public Policy<ProportionChoice> {
 public:
  Proportion decide(const View&) override { return {1 + next_++ % 3, 0.5}; }

 private:
  std::int32_t next_ = 0;
};

class RandomLoad : public ::testing::TestWithParam<Load> {};

TEST_P(RandomLoad, EveryRequestEndsAndEveryTokenIsReleased) {
  const Load& load = GetParam();
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Harness h;
    h.config.seed = seed;
    h.config.role = load.role;
    h.config.concurrency = load.concurrency;
    h.config.mtp = {2, 0.6};
    h.config.deployment.prefill = {2, 1, 2, 300};
    h.config.deployment.decode = {2, 1, 2, 8};
    if (load.role == Role::kMixed) h.config.deployment.decode.max_num_batched_tokens = 300;
    h.config.deployment.supernodes = h.platform.supernodes = load.supernodes;
    h.config.deployment.swap.dram_per_node = load.swap;
    if (load.switches) {
      h.config.deployment.role_switch = RoleSwitchSpec{.load = 0.2, .rebuild = 0.1, .drain = 2};
      h.policies.get<ProportionChoice>() = {"restless", std::make_unique<Restless>()};
    }
    h.config.deployment.cache.enabled = true;
    h.config.deployment.cache.dram_per_node = 500'000;  // 5 blocks a node
    h.decode.capacity = load.die_kv;
    h.decode.keep = false;
    h.prefill.capacity = load.prefill_kv;
    h.run(random_asks(seed, 300));  // finish() throws on a broken promise
    ASSERT_EQ(h.seen.records.size(), 300u);
    Tokens asked = 0, emitted = 0;
    for (const auto& [id, r] : h.seen.records) {
      EXPECT_NE(r.outcome, Outcome::kUnfinished);
      if (r.outcome == Outcome::kFinished) asked += r.output_tokens - r.initial_tokens;
    }
    for (const auto& step : h.seen.steps) emitted += step.tokens;
    if (load.role != Role::kPrefillOnly && h.totals.failed == 0) {
      EXPECT_EQ(emitted, asked);
    }
    EXPECT_EQ(h.totals.preemptions > 0, load.preempts) << h.totals.preemptions;
    EXPECT_EQ(h.totals.swaps > 0, load.swap > 0) << h.totals.swaps;
    EXPECT_LE(h.seen.lookups.empty() ? 0 : h.seen.lookups.back().stored_blocks, 10);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Loads, RandomLoad,
    ::testing::Values(Load{"plenty", Role::kAll, 0, 100'000, 100'000, false},
                      Load{"closed", Role::kAll, 10, 100'000, 100'000, false},
                      Load{"tight", Role::kAll, 0, 600, 700, true},
                      Load{"tightest", Role::kAll, 16, 450, 420, true},
                      Load{"decode", Role::kDecodeOnly, 12, 700, 0, true},
                      Load{"decode_open", Role::kDecodeOnly, 0, 500, 0, true},
                      Load{"prefill", Role::kPrefillOnly, 0, 0, 500, false},
                      Load{"mixed", Role::kMixed, 0, 100'000, 0, false},
                      Load{"mixed_tight", Role::kMixed, 0, 600, 0, true},
                      Load{"swap", Role::kAll, 0, 600, 700, true, 1, false, 100'000'000},
                      Load{"swap_little", Role::kAll, 16, 450, 420, true, 2, false, 400'000},
                      Load{"swap_mixed", Role::kMixed, 0, 600, 0, true, 1, false, 100'000'000},
                      Load{"swap_decode", Role::kDecodeOnly, 0, 500, 0, true, 1, false, 1'000'000},
                      Load{"swap_switching", Role::kAll, 16, 450, 420, true, 2, true, 900'000},
                      Load{"supernodes", Role::kAll, 0, 600, 700, true, 2},
                      Load{"switching", Role::kAll, 0, 100'000, 100'000, true, 1, true},
                      Load{"switching_tight", Role::kAll, 16, 450, 420, true, 2, true}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace cmsim::serve::testing
