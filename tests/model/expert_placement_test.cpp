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

TEST(PlaceEplb, RefusesCountsThatDoNotDivide) {
  const std::vector<double> load = {8, 4, 2, 2};
  EXPECT_THROW(place_eplb(load, 5, 3), std::invalid_argument);
  EXPECT_THROW(place_eplb(load, 3, 3), std::invalid_argument);
  EXPECT_THROW(place_eplb(load, 4, 4, {.expert_groups = 3, .nodes = 1}), std::invalid_argument);
}

TEST(PlaceContiguous, KeepsNeighboursTogetherAndSpreadsReplicas) {
  EXPECT_THAT(place_contiguous(4, 4), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(place_contiguous(4, 6), ElementsAre(0, 0, 1, 2, 2, 3));  // floor(s * 4 / 6)
  // Two slots a rank; experts 0 and 2 have two replicas: 8, 4/1 + 2/2, 2/2 + 2.
  EXPECT_THAT(rank_shares(place_contiguous(4, 6), std::vector<double>{8, 4, 2, 2}, 3),
              ElementsAre(8, 5, 3));
}

struct Published {
  int ranks, shared_copies, redundant, slots_per_rank, experts_per_rank;
};

// The published two, and what the same rule gives elsewhere.
TEST(DeriveLayout, FollowsThePublishedDeployments) {
  for (const Published& p : {Published{320, 32, 32, 1, 1},      // 288 slots on 288 ranks
                             Published{32, 32, 32, 9, 10},      // 288 / 32
                             Published{8, 8, 32, 36, 37},       // 288 / 8
                             Published{144, 144, 32, 2, 3},     // 288 / 144
                             Published{288, 288, 32, 1, 2},     // 288 / 288
                             Published{256, 256, 256, 2, 3},    // r >= 32: 512 / 256
                             Published{48, 48, 32, 6, 7},       // 288 / 48
                             Published{64, 64, 64, 5, 6},       // 320 / 64
                             Published{300, 30, 14, 1, 1},      // 270 ranks left
                             Published{512, 51, 205, 1, 1}}) {  // 461 ranks left
    const ExpertLayout l = derive_layout(deepseek_r1(), p.ranks);
    EXPECT_EQ(l.shared_copies, p.shared_copies) << p.ranks;
    EXPECT_EQ(l.redundant, p.redundant) << p.ranks;
    EXPECT_EQ(l.routed_slots_per_rank, p.slots_per_rank) << p.ranks;
    EXPECT_EQ(l.experts_per_rank(), p.experts_per_rank) << p.ranks;
  }
}

TEST(DeriveLayout, FillsEveryDegreeEvenly) {
  for (int ranks = 8; ranks <= 768; ++ranks) {
    const ExpertLayout l = derive_layout(deepseek_r1(), ranks);
    EXPECT_EQ(l.routed_slots, 256 + l.redundant) << ranks;
    EXPECT_EQ(l.routed_slots_per_rank * l.routed_ranks, l.routed_slots) << ranks;
    EXPECT_GE(l.redundant, 0) << ranks;
    EXPECT_EQ(l.first_routed_rank(),
              l.shared_hosting == SharedHosting::kDedicatedRanks ? l.shared_copies : 0)
        << ranks;
    // Giving the derived numbers back changes nothing.
    EXPECT_EQ(derive_layout(deepseek_r1(), ranks, l.shared_copies, -1).redundant, l.redundant);
    EXPECT_EQ(derive_layout(deepseek_r1(), ranks, -1, l.redundant).shared_copies, l.shared_copies);
  }
}

TEST(DeriveLayout, TakesWhatTheUserGives) {
  // EP320 without redundancy: 256 single-expert ranks, so 64 are left for the shared expert.
  EXPECT_EQ(derive_layout(deepseek_r1(), 320, -1, 0).shared_copies, 64);
  EXPECT_EQ(derive_layout(deepseek_r1(), 32, -1, 0).routed_slots_per_rank, 8);  // 256 / 32
  // A shared copy on each of 320 ranks leaves 320 slots: 64 redundant.
  EXPECT_EQ(derive_layout(deepseek_r1(), 320, 320, -1).redundant, 64);
  // 8 of 40 ranks dedicated: 288 slots on 32 ranks.
  const ExpertLayout l = derive_layout(deepseek_r1(), 40, 8, 32);
  EXPECT_EQ(l.routed_ranks, 32);
  EXPECT_EQ(l.routed_slots_per_rank, 9);
  Architecture no_shared = deepseek_r1();
  no_shared.shared_experts = 0;
  EXPECT_EQ(derive_layout(no_shared, 320).routed_ranks, 320);
}

TEST(DeriveLayout, SaysWhatFits) {
  // 256 + 10 over 32 ranks; 0, 32, 64 ... would fit.
  EXPECT_THAT([] { derive_layout(deepseek_r1(), 32, -1, 10); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("redundant = k * 32 - 256")));
  EXPECT_THAT([] { derive_layout(deepseek_r1(), 32, 33, -1); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("1 to 31")));
  EXPECT_THROW(derive_layout(deepseek_r1(), 32, 0, -1), std::invalid_argument);
  EXPECT_THROW(derive_layout(deepseek_r1(), 0), std::invalid_argument);
}

}  // namespace
}  // namespace cmsim::model
