#include "cmsim/model/expert_placement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "published.hpp"

namespace cmsim::model {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using ::testing::ThrowsMessage;

// The worked example of DeepSeek's EPLB: 12 experts, 16 replicas, 4 groups, 2 nodes, 8 GPUs.
TEST(PlaceEplb, GivesThePublishedExample) {
  const std::vector<double> first = {90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86};
  const std::vector<double> second = {20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27};
  const PlacementGroups groups{.expert_groups = 4, .nodes = 2};
  EXPECT_THAT(place_eplb(first, 16, 8, groups),
              ElementsAre(5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1));
  EXPECT_THAT(place_eplb(second, 16, 8, groups),
              ElementsAre(7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1));
}

// Loads 8 4 2 2 in 6 slots: the fifth slot goes to expert 0 (8), the sixth to expert 0 or 1 (both 4
// a replica; the lower index). Replicas 0,1,2,3,0,0 weigh 8/3,4,2,2,8/3,8/3. Over 3 ranks, longest
// first: 1 (4) to rank 0, 0 to rank 1, 0 to rank 2, 0 to rank 1 (8/3 = rank 2, lower index; full),
// 2 to rank 2 (8/3 < 4), 3 to rank 0. Loads 6, 16/3, 14/3 of 16.
TEST(PlaceEplb, ReplicatesTheHottestAndPacksLongestFirst) {
  const std::vector<double> load = {8, 4, 2, 2};
  const SlotMap slots = place_eplb(load, 6, 3);
  EXPECT_THAT(slots, ElementsAre(1, 3, 0, 0, 0, 2));
  EXPECT_THAT(rank_shares(slots, load, 3),
              Pointwise(DoubleNear(1e-12), std::vector<double>{6, 16.0 / 3, 14.0 / 3}));
}

// Loads 9 5 4 3 2 in 5 slots over 3 ranks: 1, 2, 2 slots (floor((r+1) * 5/3) - floor(r * 5/3)). The
// two coldest lie where there is a slot more: 2 on rank 1, 3 on rank 2. Longest first: 9 to rank 0
// (empty; full), 5 to rank 1 (2 < 3), 4 to rank 2. Loads 9, 7, 7.
TEST(PlaceEplb, GivesTheColdestToRanksWithMoreSlots) {
  const std::vector<double> load = {9, 5, 4, 3, 2};
  const SlotMap slots = place_eplb(load, 5, 3);
  EXPECT_THAT(slots, ElementsAre(0, 4, 1, 3, 2));
  EXPECT_THAT(rank_shares(slots, load, 3), ElementsAre(9, 7, 7));
}

// Two ranks have a load of 3 of their own and one slot; two have none and two slots. Loads 4 3 2 2
// 1 1: 4 to rank 2, 3 to rank 3, 2 to rank 0 (3 is the least left, with rank 1 and 3: lowest
// index), 2 to rank 1, 1 to rank 3 (3 < 4), 1 to rank 2. All have 5 but rank 3 with 4.
TEST(PlaceEplb, CountsWhatARankHasAnyhow) {
  const std::vector<double> load = {4, 3, 2, 2, 1, 1};
  const std::vector<RankRoom> rooms{{1, 0, 3}, {1, 0, 3}, {2, 0, 0}, {2, 0, 0}};
  const SlotMap slots = place_eplb(load, rooms);
  EXPECT_THAT(slots, ElementsAre(2, 3, 0, 5, 1, 4));
  EXPECT_THAT(rank_shares(slots, load, std::vector<int>{1, 1, 2, 2}), ElementsAre(2, 2, 5, 4));
}

TEST(PlaceEplb, RefusesWhatCannotBe) {
  const std::vector<double> load = {8, 4, 2, 2};
  EXPECT_THROW(place_eplb(load, 3, 3), std::invalid_argument);  // an expert without a slot
  EXPECT_THROW(place_eplb(load, 4, 0), std::invalid_argument);
  EXPECT_THROW(place_eplb(load, 4, 4, {.expert_groups = 3, .nodes = 1}), std::invalid_argument);
  EXPECT_THROW(place_eplb(load, 5, 3, {.expert_groups = 2, .nodes = 2}), std::invalid_argument);
}

TEST(EvenParts, DifferByOneAtMost) {
  EXPECT_THAT(even_parts(7, 3), ElementsAre(2, 2, 3));  // 7/3, 14/3, 7
  EXPECT_THAT(even_parts(2, 4), ElementsAre(0, 1, 0, 1));
  EXPECT_TRUE(even_parts(0, 0).empty());
}

TEST(PlaceContiguous, KeepsNeighboursTogetherAndSpreadsReplicas) {
  EXPECT_THAT(place_contiguous(4, 4), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(place_contiguous(4, 6), ElementsAre(0, 0, 1, 2, 2, 3));  // floor(s * 4 / 6)
  // Two slots a rank; experts 0 and 2 have two replicas: 8, 4/1 + 2/2, 2/2 + 2.
  EXPECT_THAT(rank_shares(place_contiguous(4, 6), std::vector<double>{8, 4, 2, 2}, 3),
              ElementsAre(8, 5, 3));
}

struct Published {
  int ranks, shared_copies, redundant, least_slots, most_slots, experts_per_rank;
};

// The published ones, and what the same rule gives elsewhere.
TEST(DeriveLayout, FollowsThePublishedDeployments) {
  for (const Published& p : {Published{320, 32, 32, 1, 1, 1},      // 288 slots on 288 ranks
                             Published{32, 32, 32, 9, 9, 10},      // 288 / 32
                             Published{144, 144, 32, 2, 2, 3},     // 288 / 144
                             Published{288, 288, 32, 1, 1, 2},     // 288 / 288
                             Published{8, 8, 32, 36, 36, 37},      // 288 / 8
                             Published{48, 48, 32, 6, 6, 7},       // 288 / 48
                             Published{64, 64, 32, 4, 5, 6},       // 288 / 64 = 4.5
                             Published{256, 256, 32, 1, 2, 3},     // 288 / 256
                             Published{286, 286, 32, 1, 2, 3},     // 288 / 286
                             Published{290, 290, 34, 1, 1, 2},     // a slot each
                             Published{319, 319, 63, 1, 1, 2},     // 32 dedicated leave 287
                             Published{512, 52, 204, 1, 1, 1}}) {  // 460 ranks left
    const ExpertLayout l = derive_layout(deepseek_r1(), p.ranks);
    EXPECT_EQ(l.shared_copies, p.shared_copies) << p.ranks;
    EXPECT_EQ(l.redundant, p.redundant) << p.ranks;
    EXPECT_EQ(l.least_slots(), p.least_slots) << p.ranks;
    EXPECT_EQ(l.most_slots(), p.most_slots) << p.ranks;
    EXPECT_EQ(l.experts_per_rank(), p.experts_per_rank) << p.ranks;
  }
}

TEST(DeriveLayout, IsSmoothOverEveryDegree) {
  ExpertLayout before = derive_layout(deepseek_r1(), 7);
  for (int ranks = 8; ranks <= 768; ++ranks) {
    const ExpertLayout l = derive_layout(deepseek_r1(), ranks);
    EXPECT_EQ(l.routed_slots, 256 + l.redundant) << ranks;
    const std::vector<int> slots = l.slots_by_rank();
    EXPECT_EQ(std::accumulate(slots.begin(), slots.end(), 0), l.routed_slots) << ranks;
    EXPECT_EQ(l.redundant, std::max(32, l.routed_ranks - 256)) << ranks;
    EXPECT_LE(l.experts_per_rank(), before.experts_per_rank()) << ranks;
    EXPECT_EQ(l.first_routed_rank(),
              l.shared_hosting == SharedHosting::kDedicatedRanks ? l.shared_copies : 0)
        << ranks;
    EXPECT_EQ(l.shared_hosting == SharedHosting::kDedicatedRanks, ranks >= 320) << ranks;
    // Giving the derived numbers back changes nothing.
    EXPECT_EQ(derive_layout(deepseek_r1(), ranks, l.shared_copies, -1).redundant, l.redundant);
    EXPECT_EQ(derive_layout(deepseek_r1(), ranks, -1, l.redundant).shared_copies, l.shared_copies);
    before = l;
  }
}

TEST(DeriveLayout, TakesWhatTheUserGives) {
  // EP320 without redundancy: 256 single-expert ranks, so 64 are left for the shared expert.
  EXPECT_EQ(derive_layout(deepseek_r1(), 320, -1, 0).shared_copies, 64);
  EXPECT_EQ(derive_layout(deepseek_r1(), 32, -1, 0).most_slots(), 8);   // 256 / 32
  EXPECT_EQ(derive_layout(deepseek_r1(), 32, -1, 10).most_slots(), 9);  // 266 / 32 = 8.3
  EXPECT_EQ(derive_layout(deepseek_r1(), 32, -1, 10).least_slots(), 8);
  // A shared copy on each of 320 ranks leaves 320 slots: 64 redundant.
  EXPECT_EQ(derive_layout(deepseek_r1(), 320, 320, -1).redundant, 64);
  // 8 of 40 ranks dedicated: 288 slots on 32 ranks.
  const ExpertLayout l = derive_layout(deepseek_r1(), 40, 8, 32);
  EXPECT_EQ(l.routed_ranks, 32);
  EXPECT_EQ(l.most_slots(), 9);
  Architecture no_shared = deepseek_r1();
  no_shared.shared_experts = 0;
  EXPECT_EQ(derive_layout(no_shared, 320).routed_ranks, 320);
}

// arXiv:2508.02520: 288 dies, 32 with the shared expert, 256 with one routed and one redundant.
TEST(DeriveLayout, HasARoutedAndARedundantExpertADie) {
  const ExpertLayout l = derive_layout(deepseek_r1(), 288, 32, 256);
  EXPECT_EQ(l.shared_hosting, SharedHosting::kDedicatedRanks);
  EXPECT_EQ(l.first_routed_rank(), 32);
  EXPECT_EQ(l.least_slots(), 2);
  EXPECT_EQ(l.most_slots(), 2);
  EXPECT_EQ(l.experts_per_rank(), 2);
}

TEST(DeriveLayout, PutsReplicasBesideTheSharedExpert) {
  // 64 redundant on EP320: 320 slots on 288 ranks; beside the 32 shared experts all of the 32 that
  // leave no other rank empty; or (320 + 32) * 32/320 - 32 = 3.2, so that all hold about as many.
  const auto slots = [](RedundantOn on, int redundant) {
    return derive_layout(deepseek_r1(), 320, 32, redundant, on).shared_slots;
  };
  EXPECT_EQ(slots(RedundantOn::kRouted, 64), 0);
  EXPECT_EQ(slots(RedundantOn::kShared, 64), 32);
  EXPECT_EQ(slots(RedundantOn::kAny, 64), 3);
  EXPECT_EQ(slots(RedundantOn::kShared, 32), 0);  // 288 ranks are there to be filled
  EXPECT_EQ(slots(RedundantOn::kAny, 608), 57);   // (864 + 32) / 10 - 32
  const ExpertLayout l = derive_layout(deepseek_r1(), 320, 32, 64, RedundantOn::kShared);
  EXPECT_EQ(l.most_slots(), 1);
  EXPECT_EQ(l.most_shared_slots(), 1);
  EXPECT_EQ(l.experts_per_rank(), 2);  // a replica and the shared expert
  EXPECT_EQ(l.slots_by_rank(), std::vector<int>(320, 1));
}

TEST(DeriveLayout, PutsNoExpertOnARankTwice) {
  EXPECT_EQ(derive_layout(deepseek_r1(), 1).redundant, 0);
  EXPECT_EQ(derive_layout(deepseek_r1(), 2).redundant, 32);
  EXPECT_EQ(derive_layout(deepseek_r1(), 2, 1).redundant, 0);  // one of two is dedicated
}

TEST(DeriveLayout, SaysWhatFits) {
  // Every expert on every rank: 31 replicas of each beyond the first.
  EXPECT_NO_THROW(derive_layout(deepseek_r1(), 32, -1, 256 * 31));
  EXPECT_THAT([] { derive_layout(deepseek_r1(), 32, -1, 256 * 31 + 1); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("at most 7936")));
  EXPECT_THAT([] { derive_layout(deepseek_r1(), 32, 33, -1); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("1 to 31")));
  EXPECT_THROW(derive_layout(deepseek_r1(), 32, 0, -1), std::invalid_argument);
  EXPECT_THROW(derive_layout(deepseek_r1(), 0), std::invalid_argument);
}

}  // namespace
}  // namespace cmsim::model
