#include "cmsim/model/expert_load.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "published.hpp"

namespace cmsim::model {
namespace {

ExpertLoad load(int ranks, ExpertOptions options = {}, Phase phase = Phase::kDecode) {
  return ExpertLoad(deepseek_r1(), derive_layout(deepseek_r1(), ranks), options, phase, 1);
}

// Expected maximum over ranks of multinomial rows, by drawing them.
double drawn_maximum(const std::vector<double>& shares, std::int64_t pairs, int trials) {
  std::mt19937_64 engine(7);
  double sum = 0;
  for (int trial = 0; trial < trials; ++trial) {
    std::int64_t left = pairs, most = 0;
    double rest = 1;
    for (double share : shares) {
      if (share <= 0 || left == 0) continue;
      const double p = std::clamp(share / rest, 0.0, 1.0);
      const std::int64_t rows = std::binomial_distribution<std::int64_t>(left, p)(engine);
      most = std::max(most, rows);
      left -= rows;
      rest -= share;
    }
    sum += static_cast<double>(most);
  }
  return sum / trials;
}

struct Active {
  double mean = 0, most = 0;
};

// Slots that get a row, on average over the ranks and on the one with the most, by drawing the rows
// of every token that is not like an earlier one of its sequence. Layout and placement are taken
// anew, so that the slots of a rank are known.
Active drawn_active(const ExpertLayout& layout, int layer, int tokens, int sequence, int trials) {
  const PopularityParameters popularity = fitted_popularity();
  const LayerPopularity drawn =
      draw_popularity(popularity.law(Phase::kDecode), Phase::kDecode,
                      {.layers = 59, .experts = 256, .groups = 8}, 1, 0, 1)[layer];
  const double sum = std::accumulate(drawn.placed.begin(), drawn.placed.end(), 0.0);
  const double shared = layout.first_routed_rank() > 0 ? sum / 8 / layout.shared_copies : 0;
  const SlotMap slots = place_eplb(drawn.placed, layout.rooms(shared));
  const std::vector<double> shares = slot_shares(slots, drawn.served);
  const std::vector<int> slots_by_rank = layout.slots_by_rank();
  std::mt19937_64 engine(5);
  std::discrete_distribution<std::size_t> slot_of_row(shares.begin(), shares.end());
  Active active;
  for (int trial = 0; trial < trials; ++trial) {
    std::vector<int> has(shares.size(), 0);
    for (int token = 0; token < tokens; ++token) {
      const double old = token % sequence * popularity.sequence_correlation;
      const double fresh = 1 - popularity.sequence_correlation;
      if (std::bernoulli_distribution(old / (fresh + old))(engine)) continue;
      for (int row = 0; row < 8; ++row) has[slot_of_row(engine)] = 1;
    }
    auto slot = has.begin();
    int most = 0;
    for (const int here : slots_by_rank) {
      const int of_rank = std::accumulate(slot, slot + here, 0);
      slot += here;
      most = std::max(most, of_rank);
      active.mean += static_cast<double>(of_rank) / layout.ranks / trials;
    }
    active.most += static_cast<double>(most) / trials;
  }
  return active;
}

/// Of the rows that are not the shared expert's.
std::vector<double> routed_shares(const ExpertLoad& load, int layer) {
  std::vector<double> shares = load.received_shares()[static_cast<std::size_t>(layer)];
  const auto first_routed = shares.begin() + load.layout().first_routed_rank();
  std::fill(shares.begin(), first_routed, 0);
  const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) share /= all;
  return shares;
}

/// Routed rows of the most loaded rank over the mean of the routed ranks, without noise.
double peak(const ExpertLoad& load, int layer) {
  const std::vector<double> shares = routed_shares(load, layer);
  return *std::max_element(shares.begin(), shares.end()) * load.layout().routed_ranks;
}

// 96 tokens a die, EP320: 30720 tokens. Shared ranks 30720 / 32 = 960 rows; routed ranks
// 30720 * 8 / 288 = 853.3; over all ranks 30720 * 9 / 320 = 864.
TEST(ExpertLoad, BalancedIsTheMeanOfEachKindOfRank) {
  const ExpertLoad ep320 = load(320, {.placement = Placement::kBalanced});
  EXPECT_EQ(ep320.layers(), 59);
  EXPECT_DOUBLE_EQ(ep320.mean_rows(30720), 864);
  EXPECT_DOUBLE_EQ(ep320.shared_rows(30720), 960);
  EXPECT_DOUBLE_EQ(ep320.straggler_rows(0, 30720), 960);
  EXPECT_NEAR(peak(ep320, 58), 1, 1e-12);
  // Of nine rows of a token one goes to the shared ranks.
  EXPECT_DOUBLE_EQ(ep320.received_shares()[0][31], 1.0 / 9 / 32);
  EXPECT_DOUBLE_EQ(ep320.received_shares()[0][32], 8.0 / 9 / 288);
  // EP32: 3072 tokens, 3072 / 32 shared + 3072 * 8 / 32 routed = 96 + 768 on every rank.
  const ExpertLoad ep32 = load(32, {.placement = Placement::kBalanced});
  EXPECT_DOUBLE_EQ(ep32.straggler_rows(0, 3072), 864);
  EXPECT_DOUBLE_EQ(ep32.mean_rows(3072), 864);
  EXPECT_DOUBLE_EQ(ep32.received_shares()[58][0], 1.0 / 32);  // the shared rows stay
}

TEST(ExpertLoad, ExpectedMaximumAgreesWithDraws) {
  struct Case {
    int ranks;
    double tokens_per_rank, skew;
    Placement placement;
    double tolerance;
  };
  for (const Case& c :
       {Case{320, 96, 1, Placement::kEplb, 0.01}, Case{320, 8, 1, Placement::kEplb, 0.015},
        Case{320, 1, 1, Placement::kEplb, 0.02}, Case{320, 96, 0, Placement::kEplb, 0.01},
        Case{144, 16, 1, Placement::kEplb, 0.01}, Case{32, 512, 1, Placement::kEplb, 0.01},
        Case{32, 16, 1, Placement::kContiguous, 0.01}, Case{8, 64, 1, Placement::kEplb, 0.01},
        Case{2, 64, 0, Placement::kEplb, 0.01}}) {
    const ExpertLoad ours = load(c.ranks, {.placement = c.placement, .skew = c.skew});
    for (int layer : {0, 30}) {
      const double tokens = c.tokens_per_rank * c.ranks;
      const double routed =
          drawn_maximum(routed_shares(ours, layer), static_cast<std::int64_t>(8 * tokens), 600);
      const double shared = ours.shared_rows(tokens);
      const double drawn = c.ranks == 320 ? std::max(routed, shared) : routed + shared;
      EXPECT_NEAR(ours.straggler_rows(layer, tokens) / drawn, 1, c.tolerance)
          << "EP" << c.ranks << " " << c.tokens_per_rank << " tokens a rank, layer " << layer;
    }
  }
}

// The table is interpolated between octaves of the mean: nothing may jump or fall.
TEST(ExpertLoad, StragglerRisesWithTokensAndStaysAboveTheMean) {
  for (int ranks : {8, 32, 320}) {
    const ExpertLoad ours = load(ranks);
    double last = 0;
    for (double tokens = 1; tokens < 1e7; tokens *= 1.07) {
      const double rows = ours.straggler_rows(5, tokens);
      EXPECT_GE(rows, last) << ranks << " " << tokens;
      EXPECT_GE(rows, ours.mean_rows(tokens) * (1 - 1e-12)) << ranks << " " << tokens;
      last = rows;
    }
    EXPECT_EQ(ours.straggler_rows(5, 0), 0);
  }
}

// Tokens that are all routed like the first of their sequence are draws of a whole sequence:
// 64 sequences of 100 tokens load a rank 100 times as unevenly as 64 tokens do.
TEST(ExpertLoad, TokensOfASequenceRoutedAlikeAreOneDraw) {
  PopularityParameters alike = fitted_popularity();
  alike.sequence_correlation = 1;
  PopularityParameters each = alike;
  each.sequence_correlation = 0;
  const auto with = [](const PopularityParameters& popularity) {
    return ExpertLoad(deepseek_r1(), derive_layout(deepseek_r1(), 320), {}, Phase::kPrefill, 1,
                      popularity);
  };
  const ExpertLoad one_draw = with(alike), each_for_itself = with(each);
  EXPECT_NEAR(one_draw.straggler_rows(5, 6400, 100), 100 * each_for_itself.straggler_rows(5, 64),
              1e-9);
  EXPECT_EQ(each_for_itself.straggler_rows(5, 6400, 100), each_for_itself.straggler_rows(5, 6400));
  // In between: 1 + 99 * 0.1 = 10.9 tokens a draw.
  const ExpertLoad between = with(fitted_popularity());
  EXPECT_NEAR(between.straggler_rows(5, 6400, 100),
              10.9 * each_for_itself.straggler_rows(5, 6400 / 10.9), 1e-9);
}

// 1e9 tokens: the noise is gone (deviation / mean of 28e6 rows is 2e-4), the skew is left.
TEST(ExpertLoad, NoiseVanishesInALargeBatch) {
  const ExpertLoad ours = load(320);
  const double mean = 1e9 * 8 / 288;
  EXPECT_NEAR(ours.straggler_rows(3, 1e9) / (mean * peak(ours, 3)), 1, 1e-3);
}

TEST(ExpertLoad, EveryLayerSharesOutAllRows) {
  const ExpertLoad ours = load(320, {}, Phase::kPrefill);
  const auto received = ours.received_shares();
  EXPECT_EQ(static_cast<int>(received.size()), ours.layers());
  for (const std::vector<double>& shares : received) {
    EXPECT_EQ(shares.size(), 320u);
    EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-12);
    for (int rank = 0; rank < 32; ++rank) EXPECT_DOUBLE_EQ(shares[rank], 1.0 / 9 / 32);
  }
}

// Mean over maximum 0.8: the busiest of 288 routed ranks has 1.25 x 8 / 288 rows a token in every
// layer, whatever the batch.
TEST(ExpertLoad, AnImposedBalancednessIsThatOfEveryLayer) {
  const ExpertLoad imposed = load(320, {.balancedness = 0.8});
  for (const double tokens : {3'200.0, 1e6}) {
    EXPECT_DOUBLE_EQ(imposed.straggler_rows(0, tokens), tokens * 1.25 * 8 / 288);
    EXPECT_EQ(imposed.straggler_rows(0, tokens), imposed.straggler_rows(57, tokens));
  }
  const std::vector<double> shares = imposed.received_shares().front();
  EXPECT_DOUBLE_EQ(shares[32], 1.25 / 288 * 8 / 9);
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-12);
  const ExpertLoad perfect = load(320, {.balancedness = 1}),
                   balanced = load(320, {.placement = Placement::kBalanced});
  EXPECT_EQ(perfect.straggler_rows(0, 1e6), balanced.straggler_rows(0, 1e6));
  EXPECT_EQ(perfect.received_shares(), balanced.received_shares());
}

// Uniform popularity, EP32, 64 tokens: 512 rows over 288 slots, 9 and the shared copy a rank. A
// slot has 512 / 288 = 1.78 rows and is active with 1 - exp(-1.78) = 0.831.
TEST(ExpertLoad, CountsExpertsThatGetARow) {
  const ExpertLoad ep32 = load(32, {.placement = Placement::kBalanced});
  EXPECT_NEAR(ep32.active_experts(64).mean, 1 + 9 * (1 - std::exp(-512.0 / 288)), 1e-3);
  // One token: 8 rows, 8/288 each. All: nothing is left idle.
  EXPECT_NEAR(ep32.active_experts(1).mean, 1 + 9 * (1 - std::exp(-8.0 / 288)), 2e-3);
  EXPECT_DOUBLE_EQ(ep32.active_experts(1e6).mean, 10);
  EXPECT_DOUBLE_EQ(ep32.active_experts(1e6).most, 10);
  EXPECT_EQ(ep32.active_experts(0).mean, 0);
  // Of equally popular experts 224 have 2 rows in their slot, 32 one in each of two. In sequences
  // of 2 tokens with a correlation c the second brings 1 - c of a draw.
  const ExpertLoad equal = load(32, {.skew = 0});
  const auto active = [](double part) {
    return 1 + (224 * (1 - std::exp(-2 * part)) + 64 * (1 - std::exp(-part))) / 32;
  };
  EXPECT_NEAR(equal.active_experts(64).mean, active(1), 0.02);
  EXPECT_NEAR(equal.active_experts(64, 2).mean,
              active(1 - fitted_popularity().sequence_correlation / 2), 0.02);
  // Dedicated ranks have the shared expert alone, which always gets rows.
  const ExpertLoad ep320 = load(320);
  EXPECT_DOUBLE_EQ(ep320.active_experts(8).most, 1);
  EXPECT_DOUBLE_EQ(ep320.active_experts(30720).most, 1);
}

TEST(ExpertLoad, ActiveExpertsAgreeWithDraws) {
  struct Case {
    int ranks, tokens, sequence = 1;
  };
  for (const Case& c :
       {Case{8, 8}, Case{8, 64}, Case{16, 16}, Case{16, 100}, Case{16, 100, 2}, Case{32, 64},
        Case{32, 400, 40}, Case{64, 64}, Case{144, 144}, Case{286, 286}, Case{320, 40}}) {
    const ExpertLoad ours = load(c.ranks);
    Active sum;
    for (int layer = 0; layer < ours.layers(); ++layer) {
      const Active drawn = drawn_active(ours.layout(), layer, c.tokens, c.sequence, 60);
      sum.mean += drawn.mean / ours.layers();
      sum.most += drawn.most / ours.layers();
    }
    const bool dedicated = c.ranks == 320;
    const double shared_mean = dedicated ? 0.1 : 1;
    const ActiveExperts active = ours.active_experts(c.tokens, c.sequence);
    EXPECT_NEAR(active.mean / (sum.mean + shared_mean), 1, 0.02)
        << "EP" << c.ranks << " " << c.tokens;
    EXPECT_NEAR(active.most / (dedicated ? 1 : sum.most + 1), 1, 0.06)
        << "EP" << c.ranks << " " << c.tokens;
  }
}

TEST(ExpertLoad, ActiveExpertsRiseWithTokensToAll) {
  for (int ranks : {8, 64, 286, 320}) {
    const ExpertLoad ours = load(ranks);
    ActiveExperts last;
    for (double tokens = 1; tokens < 1e7; tokens *= 1.07) {
      const ActiveExperts now = ours.active_experts(tokens);
      EXPECT_GE(now.mean, last.mean) << ranks << " " << tokens;
      EXPECT_GE(now.most, last.most) << ranks << " " << tokens;
      EXPECT_GE(now.most, now.mean * (1 - 1e-12)) << ranks << " " << tokens;
      last = now;
    }
    EXPECT_DOUBLE_EQ(last.most, ours.layout().experts_per_rank()) << ranks;
  }
}

// 64 dedicated ranks of 320 have 1/64 of the tokens each, less than the 8/256 of another rank, and
// hold 64 replicas.
TEST(ExpertLoad, ReplicasBesideTheSharedExpertTakeRows) {
  ExpertOptions options{.shared_copies = 64, .redundant = 64};
  options.redundant_on = RedundantOn::kShared;
  const auto with = [](const ExpertOptions& o) {
    return ExpertLoad(deepseek_r1(), derive_layout(deepseek_r1(), 320, o), o, Phase::kDecode, 1);
  };
  const ExpertLoad beside = with(options);
  EXPECT_EQ(beside.layout().shared_slots, 64);
  const auto shares = beside.received_shares()[0];
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-12);
  for (int rank = 0; rank < 64; ++rank) EXPECT_GT(shares[rank], 1.0 / 9 / 64);
  const double tokens = 1e8;  // without noise
  const double most = *std::max_element(shares.begin(), shares.end()) * 9 * tokens;
  EXPECT_NEAR(beside.straggler_rows(0, tokens) / most, 1, 1e-3);
  // Without replicas the hottest expert waits longer.
  options.redundant = 0;
  const ExpertLoad none = with(options);
  EXPECT_LT(beside.straggler_rows(0, tokens), 0.8 * none.straggler_rows(0, tokens));
  // Balanced: all ranks have the mean.
  options = {.placement = Placement::kBalanced, .shared_copies = 64, .redundant = 64};
  options.redundant_on = RedundantOn::kShared;
  const ExpertLoad even = with(options);
  EXPECT_NEAR(even.straggler_rows(0, tokens) / even.mean_rows(tokens), 1, 1e-9);
}

TEST(ExpertLoad, WorsePlacementsWaitLonger) {
  double eplb = 0, stale = 0, contiguous = 0, flatter = 0;
  const ExpertLoad a = load(32), b = load(32, {.staleness = 1}),
                   c = load(32, {.placement = Placement::kContiguous}),
                   d = load(32, {.placement = Placement::kContiguous, .skew = 0.5});
  for (int l = 0; l < a.layers(); ++l) {
    eplb += peak(a, l);
    stale += peak(b, l);
    contiguous += peak(c, l);
    flatter += peak(d, l);
  }
  EXPECT_LT(eplb, stale);
  EXPECT_LT(stale, flatter);
  EXPECT_LT(flatter, contiguous);
}

TEST(ExpertLoad, ActiveExpertsDoNotHangOnWhatWasAskedBefore) {
  const std::vector<double> tokens{1e-3, 1, 40, 3000, 30'720, 1e6, 1e9};
  const ExpertLoad rising = load(320), falling = load(320);
  std::vector<ActiveExperts> found;
  for (const double t : tokens) found.push_back(rising.active_experts(t));
  for (std::size_t i = tokens.size(); i-- > 0;) {
    const ActiveExperts again = falling.active_experts(tokens[i]);
    EXPECT_EQ(again.mean, found[i].mean) << tokens[i];
    EXPECT_EQ(again.most, found[i].most) << tokens[i];
  }
}

TEST(ExpertLoad, IsMadeOnceForWhatItIsAFunctionOf) {
  ModelOptions options;
  const auto make = [&](int ranks, Phase phase = Phase::kDecode) {
    return make_expert_load(deepseek_r1(), options, phase, ranks);
  };
  const auto first = make(32);
  options.decode.acceptance = 0.9;  // of no concern to it
  EXPECT_EQ(make(32), first);
  EXPECT_NE(make(64), first);
  EXPECT_NE(make(32, Phase::kPrefill), first);
  options.decode.staleness = 0.5;
  const auto stale = make(32);
  EXPECT_NE(stale, first);
  EXPECT_NE(stale->straggler_rows(0, 1000), first->straggler_rows(0, 1000));
}

}  // namespace
}  // namespace cmsim::model
