// The context cache: index, look-ups, reads and writes. Blocks of 100 tokens, 0.1 ms a token over
// UB.

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "cmsim/serve/context_cache.hpp"
#include "tests/serve/harness.hpp"

namespace cmsim::serve::testing {
namespace {

double latest(const CacheEvictionView& view) { return static_cast<double>(view.use); }

TEST(ContextCache, EvictsTheLeastWorth) {
  ContextCache cache(2, latest);
  cache.insert(1, {});
  cache.insert(2, {});
  cache.touch(1, {});
  cache.insert(3, {});  // 2 is the oldest
  EXPECT_TRUE(cache.contains(1));
  EXPECT_FALSE(cache.contains(2));
  EXPECT_TRUE(cache.contains(3));
  cache.insert(1, {});  // already there: only touched
  cache.insert(4, {});  // 3 is the oldest
  EXPECT_FALSE(cache.contains(3));
  EXPECT_EQ(cache.size(), 2);
  EXPECT_EQ(cache.evicted(), 2);
}

TEST(ContextCache, OfEqualWorthTheOneNotUsedForLongestGoes) {
  ContextCache cache(2, [](const CacheEvictionView& view) { return view.uses; });
  cache.insert(1, {});
  cache.insert(2, {});
  cache.touch(2, {});
  cache.touch(1, {});  // both used twice, 1 later
  cache.insert(3, {});
  EXPECT_FALSE(cache.contains(2));
  cache.insert(4, {});  // 3 is used once, 1 twice
  EXPECT_TRUE(cache.contains(1));
  EXPECT_FALSE(cache.contains(3));
}

TEST(ContextCache, ShowsWhatAPolicyIsToldOfAUse) {
  std::vector<CacheEvictionView> seen;
  ContextCache cache(1, [&](const CacheEvictionView& view) {
    seen.push_back(view);
    return 7.0;
  });
  cache.insert(1, {.now = 2, .tokens_before = 100, .tokens = 50});
  cache.touch(1, {.now = 3, .tokens_before = 100, .tokens = 50});
  cache.insert(2, {});  // evicts 1, worth 7
  EXPECT_EQ(seen[1].now, 3);
  EXPECT_EQ(seen[1].tokens_before, 100);
  EXPECT_EQ(seen[1].tokens, 50);
  EXPECT_EQ(seen[1].uses, 2);
  EXPECT_EQ(seen[2].use, 3u);
  EXPECT_EQ(seen[2].uses, 1);
  EXPECT_EQ(seen[2].last_evicted, 7);
}

TEST(ContextCache, OfNoCapacityHoldsNothing) {
  ContextCache cache(0, latest);
  cache.insert(1, {});
  EXPECT_FALSE(cache.contains(1));
}

TEST(ContextCache, HoldersAreEvenAndMoveLittle) {
  // Of 10,000 blocks on 10 CPUs each holds 1,000 +- 5 sigma (sigma = sqrt(10,000 x 0.1 x 0.9) =
  // 30); an eleventh CPU takes over 1/11 = 909 of them (sigma 29) and no block moves between the
  // old ones.
  std::vector<int> held(10);
  int moved = 0;
  for (BlockId block = 0; block < 10'000; ++block) {
    const int before = cpu_of_block(block, 10), after = cpu_of_block(block, 11);
    ++held[static_cast<std::size_t>(before)];
    if (before != after) {
      ++moved;
      EXPECT_EQ(after, 10);
    }
  }
  for (const int count : held) EXPECT_NEAR(count, 1000, 150);
  EXPECT_NEAR(moved, 909, 145);
}

Harness cached() {
  Harness h;
  h.config.role = Role::kPrefillOnly;
  h.config.deployment.cache.enabled = true;
  return h;
}

TEST(Cache, ADieHasSoManyCopiesOnTheWireAndTheOthersWaitInTurn) {
  // A request of 4 blocks writes 4 flows of 100 tokens, 10 ms each, dealt to 2 dies in turn: 2 a
  // die. With one copy at a time a die's second flow begins when its first has ended.
  const auto written = [](int copies_per_die) {
    Harness h = cached();
    h.config.deployment.copies_per_die = copies_per_die;
    h.run({{0, 400, 1, {1, 2, 3, 4}}});
    std::vector<Seconds> starts;
    for (const auto& t : h.seen.transfers) {
      EXPECT_NEAR(t.end - t.start, 0.010, kTiny);
      starts.push_back(t.start - 0.400);  // prefill takes 1 ms a token
    }
    return starts;
  };
  const std::vector<Seconds> serial = written(1), parallel = written(2);
  ASSERT_EQ(serial.size(), 4u);
  ASSERT_EQ(parallel.size(), 4u);
  for (int flow = 0; flow < 4; ++flow) {
    EXPECT_NEAR(serial[flow], flow < 2 ? 0 : 0.010, kTiny) << flow;
    EXPECT_NEAR(parallel[flow], 0, kTiny) << flow;
  }
}

TEST(Cache, LeadingBlocksAreReadInsteadOfComputed) {
  Harness h = cached();
  h.run({{0, 250, 1, {1, 2, 3}}, {1, 400, 1, {1, 2, 7, 8}}});
  // Request 0: nothing held; 250 ms; writes 3 blocks in 3 flows of 100, 100, 50 tokens.
  // Request 1: 2 of 4 blocks, 200 tokens, read as 2 flows of 100 tokens = 10 ms; 200 ms to compute.
  const RequestRecord& r = h.record(1);
  EXPECT_EQ(r.cached_tokens, 200);
  EXPECT_NEAR(r.cache_read_start, 1.0, kTiny);
  EXPECT_NEAR(r.prefill_start, 1.01, kTiny);
  EXPECT_NEAR(r.prefill_end, 1.21, kTiny);
  EXPECT_EQ(h.prefill.batches[1][0].cached_tokens, 200);
  EXPECT_EQ(h.prefill.batches[1][0].new_tokens, 200);
  Bytes read = 0, written = 0;
  for (const auto& t : h.seen.transfers) {
    (t.kind == TransferKind::kCacheRead ? read : written) += t.bytes;
  }
  EXPECT_EQ(read, 200'000);
  EXPECT_EQ(written, 250'000 + 200'000);
  ASSERT_EQ(h.seen.lookups.size(), 2u);
  EXPECT_EQ(h.seen.lookups[1].lookup_blocks, 4);
  EXPECT_EQ(h.seen.lookups[1].hit_blocks, 2);
  EXPECT_EQ(h.seen.lookups[1].stored_blocks, 3);
}

TEST(Cache, BlocksLieOnTheirCpuAndSpreadOverTheDies) {
  Harness h = cached();
  h.run({{0, 100, 1, {1}}, {1, 200, 1, {1, 2}}});
  const coll::Transfer& write = h.runtime.transfers[0].transfer;
  const coll::Transfer& read = h.runtime.transfers[1].transfer;
  EXPECT_EQ(write.op, coll::Op::kWrite);
  EXPECT_EQ(write.plane, coll::Plane::kUb);
  EXPECT_EQ(write.target, hw::cpu(cpu_of_block(1, 4)));  // 4 CPUs in all
  EXPECT_EQ(read.op, coll::Op::kRead);
  EXPECT_EQ(read.target, write.target);
  EXPECT_EQ(write.initiator, hw::die(0));
  EXPECT_EQ(read.initiator, hw::die(1));
}

TEST(Cache, AnEqualPromptStillComputesItsLastToken) {
  Harness h = cached();
  h.run({{0, 250, 1, {1, 2, 3}}, {1, 250, 1, {1, 2, 3}}});
  EXPECT_EQ(h.record(1).cached_tokens, 249);
  EXPECT_NEAR(h.record(1).prefill_end - h.record(1).prefill_start, 0.001, kTiny);
}

TEST(Cache, WhatIsStillBeingComputedIsNoHit) {
  Harness h = cached();
  // Request 1 is taken at 0.05, while 0 computes until 0.1 and writes until 0.11. Request 2 is
  // taken at 0.105, while 0 is still being written. Request 3 comes at 0.5.
  h.run({{0, 100, 1, {1}}, {0.05, 100, 1, {1}}, {0.105, 100, 1, {1}}, {0.5, 100, 1, {1}}});
  EXPECT_EQ(h.record(1).cached_tokens, 0);
  EXPECT_EQ(h.record(2).cached_tokens, 0);
  EXPECT_EQ(h.record(3).cached_tokens, 99);
}

TEST(Cache, ReadsOfTheNextBatchOverlapTheRunningOne) {
  Harness h = cached();
  // Block 1 is held from 0.11 on. Request 1 runs from 0.2 to 0.7; request 2 is taken at 0.3 and its
  // block is there at 0.31, long before the instance is free.
  h.run({{0, 100, 1, {1}}, {0.2, 500, 1}, {0.3, 200, 1, {1, 2}}});
  EXPECT_NEAR(h.record(2).cache_read_start, 0.3, kTiny);
  EXPECT_NEAR(h.record(2).prefill_start, 0.7, kTiny);
  EXPECT_NEAR(h.record(2).prefill_end, 0.8, kTiny);
}

TEST(Cache, ABatchThatWaitsForItsReadsTakesNoMore) {
  Harness h = cached();
  // Request 1 reads from 1.0 to 1.01; request 2 arrives at 1.005 and goes to the batch after.
  h.run({{0, 100, 1, {1}}, {1.0, 200, 1, {1, 2}}, {1.005, 10, 1}});
  EXPECT_NEAR(h.record(1).prefill_start, 1.01, kTiny);
  EXPECT_NEAR(h.record(2).prefill_start, 1.11, kTiny);
}

TEST(Cache, TheBudgetCountsOnlyWhatIsComputed) {
  Harness h = cached();
  // At 1.0 two prompts of 600: 500 of each are held, so 2 x 100 computed tokens share a batch, and
  // a third of 800 still fits the budget of 1,000.
  h.run({{0, 500, 1, {1, 2, 3, 4, 5}},
         {1, 600, 1, {1, 2, 3, 4, 5, 6}},
         {1, 600, 1, {1, 2, 3, 4, 5, 7}},
         {1, 800, 1}});
  ASSERT_EQ(h.seen.batches.size(), 2u);
  EXPECT_EQ(h.seen.batches[1].new_tokens, 1000);
  EXPECT_EQ(h.seen.batches[1].cached_tokens, 1000);
}

// A prompt of 2,300 tokens in three chunks: its two blocks are read once, for the first of them.
TEST(Cache, ABlockIsReadForOneBatch) {
  Harness h = cached();
  std::vector<std::uint64_t> blocks(23);
  std::iota(blocks.begin(), blocks.end(), 1);
  h.run({{0, 200, 1, {1, 2}}, {1, 2300, 1, blocks}});
  std::vector<std::int64_t> read;
  for (const PrefillBatchEvent& batch : h.seen.batches) read.push_back(batch.cached_blocks);
  EXPECT_EQ(read, (std::vector<std::int64_t>{0, 2, 0, 0}));
}

TEST(Cache, CapacityIsTheDramOfAllNodes) {
  Harness h = cached();
  h.config.deployment.cache.dram_per_node = 100'000;  // 1 block of 100 tokens x 1,000 B; 2 nodes
  // Request 0 leaves {1, 2} of its 3 blocks: a chain is stored from its end, so its head survives.
  h.run({{0, 300, 1, {1, 2, 3}}, {1, 300, 1, {1, 2, 3}}});
  EXPECT_EQ(h.record(1).cached_tokens, 200);
  EXPECT_EQ(h.seen.lookups[1].stored_blocks, 2);
  EXPECT_EQ(h.seen.lookups[1].evicted_blocks, 1);
}

TEST(Cache, SmallerBlocksOfTheTraceAreCombined) {
  Harness h = cached();
  h.trace_block_size = 50;
  // Blocks of 100 = pairs of the trace's 50. The first pair is shared, the second differs in its
  // half: 250 tokens = {(1 2), (3 4), (5)}, and (3 6) != (3 4).
  h.run({{0, 250, 1, {1, 2, 3, 4, 5}}, {1, 250, 1, {1, 2, 3, 6, 7}}, {2, 250, 1, {1, 2, 3, 4, 5}}});
  EXPECT_EQ(h.record(1).cached_tokens, 100);
  EXPECT_EQ(h.record(2).cached_tokens, 249);
  EXPECT_EQ(h.seen.lookups[1].lookup_blocks, 3);
}

TEST(Cache, AnImposedHitRateNeedsNoBlocks) {
  Harness h = cached();
  h.config.deployment.cache.reuse = 0.5;
  h.run({{0, 201, 1}});
  // floor(0.5 x 201) = 100 tokens of one block: 10 ms to read, 101 ms to compute.
  EXPECT_EQ(h.record(0).cached_tokens, 100);
  EXPECT_NEAR(h.record(0).prefill_start, 0.01, kTiny);
  EXPECT_NEAR(h.record(0).prefill_end, 0.111, kTiny);
}

TEST(Cache, SwitchedOffMovesNothing) {
  Harness h = cached();
  h.config.deployment.cache.enabled = false;
  h.run({{0, 100, 1, {1}}, {1, 100, 1, {1}}});
  EXPECT_EQ(h.record(1).cached_tokens, 0);
  EXPECT_TRUE(h.seen.transfers.empty());
  EXPECT_TRUE(h.seen.lookups.empty());
}

TEST(Cache, FlowsOfARequestAreBoundedAndCarryEveryByte) {
  Harness h = cached();
  std::vector<std::uint64_t> blocks;
  for (std::uint64_t b = 1; b <= 10; ++b) blocks.push_back(b);
  h.run({{0, 950, 1, blocks}});
  // 10 blocks in 4 flows: blocks 1 5 9 | 2 6 10 | 3 7 | 4 8; the last block has 50 tokens.
  ASSERT_EQ(h.runtime.transfers.size(), 4u);
  EXPECT_EQ(h.runtime.transfers[0].transfer.bytes, 300'000);
  EXPECT_EQ(h.runtime.transfers[1].transfer.bytes, 250'000);
  EXPECT_EQ(h.runtime.transfers[2].transfer.bytes, 200'000);
  EXPECT_EQ(h.runtime.transfers[3].transfer.bytes, 200'000);
}

/// The second request repeats the first, 5 s later, and goes to the other of two instances.
Harness other_instance(CacheScope scope) {
  Harness h;
  h.config.role = Role::kPrefillOnly;
  h.config.deployment.prefill = {2, 1, 2, 1000};
  h.config.deployment.cache.enabled = true;
  h.config.deployment.cache.scope = scope;
  h.policies = policies_with({{"prefill_routing", {"round_robin"}}});
  h.run({{0, 250, 1, {1, 2, 3}}, {5, 250, 1, {1, 2, 3}}, {10, 250, 1, {1, 2, 3}}});
  return h;
}

TEST(CacheScope, ALocalCacheKnowsWhatItsInstanceComputed) {
  EXPECT_EQ(other_instance(CacheScope::kPooled).record(1).cached_tokens, 249);
  const Harness local = other_instance(CacheScope::kLocal);
  EXPECT_EQ(local.record(1).cached_tokens, 0);
  EXPECT_EQ(local.record(2).cached_tokens, 249);  // of its own first
}

}  // namespace
}  // namespace cmsim::serve::testing
