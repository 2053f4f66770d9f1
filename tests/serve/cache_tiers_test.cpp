// The context cache on DRAM and SSD. Blocks of 100 tokens, 0.1 ms a token over UB; DRAM holds two.
// A volume reads a block in 10 ms and writes one in 20, after 1 ms; the wire to it takes 0.1 ms.

#include <gtest/gtest.h>

#include <algorithm>

#include "cmsim/serve/context_cache.hpp"
#include "tests/serve/harness.hpp"

namespace cmsim::serve::testing {
namespace {

Harness tiered(const PolicyChoices& choices = {}) {
  Harness h;
  h.config.role = Role::kPrefillOnly;
  CacheSpec& cache = h.config.deployment.cache;
  cache.enabled = true;
  cache.dram_per_node = 100'000;
  cache.ssd = {100'000'000, 1e7, 5e6, 1e-3, coll::Plane::kVpc};
  h.policies = policies_with(choices);
  return h;
}

SsdCounts counts(const Harness& h) { return h.seen.lookups.back().ssd; }

std::ptrdiff_t flows(const Harness& h, TransferKind kind) {
  return std::ranges::count(h.seen.transfers, kind, &TransferEvent::kind);
}

/// The node whose volume has a block that goes alone: half of the 4 CPUs away from its holder.
std::int32_t volume(BlockId block) { return (cpu_of_block(block, 4) + 2) % 4 / 2; }

/// Two prompts that fill DRAM one after the other, so that the blocks of the first, 1 and 2, are on
/// SSD from 1.26 s on: computed until 1.2, written until 1.21, demoted in 41 ms at most.
std::vector<Ask> demoting() { return {{0, 200, 1, {1, 2}}, {1, 200, 1, {3, 4}}}; }

TEST(CacheTiers, WhatDramGivesUpIsReadFromSsdAndThenByTheDies) {
  Harness h = tiered();
  std::vector<Ask> asks = demoting();
  asks.push_back({2, 300, 1, {1, 2, 5}});
  h.run(asks);
  const RequestRecord& r = h.record(2);
  EXPECT_EQ(r.cached_tokens, 200);
  EXPECT_EQ(r.ssd_tokens, 200);
  // Two blocks of one volume one after the other, then both over UB.
  const Seconds volumes = volume(1) == volume(2) ? 0.020 : 0.010;
  EXPECT_NEAR(r.cache_read_end, 2 + 0.001 + volumes + 0.010, kTiny);
  EXPECT_NEAR(r.prefill_end, r.cache_read_end + 0.100, kTiny);
  EXPECT_EQ(flows(h, TransferKind::kSsdRead), 2);
  EXPECT_EQ(counts(h).promoted, 2);
  // 1 to 4, each once: what goes when block 5 comes is on SSD already.
  EXPECT_EQ(counts(h).demoted, 4);
  EXPECT_EQ(counts(h).stored, 4);
}

TEST(CacheTiers, OfALookUpTheTiersAreTold) {
  Harness h = tiered();
  std::vector<Ask> asks = demoting();
  asks.push_back({2, 200, 1, {1, 6}});  // leaves 3 or 4 and 1 in DRAM, then 1 and 6
  asks.push_back({3, 300, 1, {1, 2, 5}});
  h.run(asks);
  EXPECT_EQ(h.record(3).cached_tokens, 200);
  EXPECT_EQ(h.record(3).ssd_tokens, 100);
  const auto last = std::ranges::find_if(h.seen.lookups, [](const CacheEvent& event) {
    return event.at == 3 && event.lookup_blocks > 0;
  });
  ASSERT_NE(last, h.seen.lookups.end());
  EXPECT_EQ(last->hit_blocks, 2);
  EXPECT_EQ(last->ssd_hit_blocks, 1);
  EXPECT_EQ(last->ssd_hit_tokens, 100);
}

TEST(CacheTiers, WithoutSsdNothingMoves) {
  Harness h = tiered();
  h.config.deployment.cache.ssd.capacity_per_node = 0;
  std::vector<Ask> asks = demoting();
  asks.push_back({2, 300, 1, {1, 2, 5}});
  h.run(asks);
  EXPECT_EQ(h.record(2).cached_tokens, 0);
  EXPECT_EQ(flows(h, TransferKind::kSsdWrite), 0);
  EXPECT_EQ(counts(h).demoted, 0);
}

TEST(CacheTiers, WithoutDramBlocksGoToSsdAndStayThere) {
  Harness h = tiered();
  h.config.deployment.cache.dram_per_node = 0;
  h.run({{0, 200, 1, {1, 2}}, {1, 300, 1, {1, 2, 5}}});
  EXPECT_EQ(h.record(1).ssd_tokens, 200);
  EXPECT_EQ(h.seen.lookups.back().stored_blocks, 0);
  EXPECT_EQ(counts(h).stored, 3);
  EXPECT_EQ(counts(h).promoted, 0);
}

TEST(CacheTiers, WhatIsOnItsWayIsNotReadTwice) {
  Harness h = tiered();
  std::vector<Ask> asks = demoting();
  asks.push_back({2, 300, 1, {1, 2, 5}});
  asks.push_back({2, 300, 1, {1, 2, 6}});
  h.run(asks);
  EXPECT_EQ(h.record(3).ssd_tokens, 200);
  EXPECT_EQ(flows(h, TransferKind::kSsdRead), 2);
}

TEST(CacheTiers, FullSsdsDropWhatIsLeastWorth) {
  Harness h = tiered();
  h.config.deployment.cache.ssd.capacity_per_node = 100'000;  // two blocks in all
  std::vector<Ask> asks = demoting();
  asks.push_back({2, 200, 1, {5, 6}});
  h.run(asks);
  EXPECT_EQ(counts(h).demoted, 4);
  EXPECT_EQ(counts(h).stored, 2);
  EXPECT_EQ(counts(h).evicted, 2);
}

TEST(CachePlacement, WhatWasUsedOnceCanBeDropped) {
  Harness h = tiered({{"cache_placement", {"dram_first", {{"demoted_uses", 2}}}}});
  h.run(demoting());
  EXPECT_EQ(counts(h).demoted, 0);
  EXPECT_EQ(h.seen.lookups.back().stored_blocks, 2);
}

TEST(CachePlacement, SecondUseKeepsNewBlocksOutOfDram) {
  const PolicyChoices second_use{{"cache_placement", {"second_use"}}};
  const std::vector<Ask> asks{{0, 200, 1, {1, 2}}, {1, 200, 1, {1, 2}}, {2, 200, 1, {1, 2}}};
  Harness without = tiered(second_use);
  without.config.deployment.cache.ssd.capacity_per_node = 0;
  without.run(asks);
  EXPECT_EQ(without.record(1).cached_tokens, 0);    // left out when it was first seen
  EXPECT_EQ(without.record(2).cached_tokens, 199);  // the last token is always computed

  Harness with = tiered(second_use);
  with.run(asks);
  EXPECT_EQ(with.record(1).ssd_tokens, 199);
  EXPECT_EQ(with.record(2).ssd_tokens, 0);  // in DRAM since it was found
  EXPECT_EQ(with.record(2).cached_tokens, 199);
  EXPECT_EQ(counts(with).placed, 2);
  EXPECT_EQ(counts(with).promoted, 2);
}

/// From 1.9 s on prompts that fill a batch each keep the instance busy for `seconds`; then comes
/// one whose prefix is on SSD.
std::vector<Ask> waiting(int seconds, std::vector<std::uint64_t> of_the_first = {}) {
  std::vector<Ask> asks = demoting();
  for (int i = 0; i < seconds; ++i) {
    asks.push_back({1.9, 1000, 1, i == 0 ? std::move(of_the_first) : std::vector<std::uint64_t>{}});
  }
  asks.push_back({2, 300, 1, {1, 2, 5}});
  return asks;
}

const PolicyChoices kOnArrival{{"cache_prefetch", {"on_arrival", {{"least_tokens", 1}}}}};

TEST(CachePrefetch, BringsWhatWaitsForToDram) {
  Harness h = tiered({{"cache_prefetch", {"on_arrival", {{"least_tokens", 200}}}}});
  h.run(waiting(2));
  EXPECT_EQ(h.record(4).cached_tokens, 200);
  EXPECT_EQ(h.record(4).ssd_tokens, 0);
  EXPECT_EQ(counts(h).prefetched, 2);
  EXPECT_EQ(counts(h).prefetch_used, 2);
  EXPECT_EQ(counts(h).prefetch_wasted, 0);

  Harness none = tiered();
  none.run(waiting(2));
  EXPECT_EQ(none.record(4).ssd_tokens, 200);
  EXPECT_EQ(counts(none).prefetched, 0);

  Harness few = tiered({{"cache_prefetch", {"on_arrival", {{"least_tokens", 201}}}}});
  few.run(waiting(2));
  EXPECT_EQ(counts(few).prefetched, 0);
}

TEST(CachePrefetch, IsWastedOnWhatIsGivenUpBefore) {
  // The first prompt, computed until 2.9 s, writes 10 blocks; the last is taken at 3.9 s.
  Harness h = tiered(kOnArrival);
  h.run(waiting(3, {11, 12, 13, 14, 15, 16, 17, 18, 19, 20}));
  EXPECT_EQ(counts(h).prefetched, 2);
  EXPECT_EQ(counts(h).prefetch_used, 0);
  EXPECT_EQ(counts(h).prefetch_wasted, 2);
  EXPECT_EQ(h.record(5).ssd_tokens, 200);
}

TEST(ContextCache, SaysWhatItEvictsAndRemembersEarlierUses) {
  ContextCache cache(
      1, [](const CacheEvictionView& view) { return view.uses; }, CacheTier::kSsd);
  EXPECT_FALSE(cache.insert(1, {.tokens_before = 100, .tokens = 50}, 4));
  EXPECT_EQ(cache.uses(1), 5);
  const auto gone = cache.insert(2, {});
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->block, 1u);
  EXPECT_EQ(gone->uses, 5);
  EXPECT_EQ(gone->tokens_before, 100);
  EXPECT_EQ(gone->tokens, 50);
}

}  // namespace
}  // namespace cmsim::serve::testing
