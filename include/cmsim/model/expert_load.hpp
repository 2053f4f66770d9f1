// How many rows the ranks of an EP group get: the fast interface of the step models. Popularity,
// placement and layout are resolved in the constructor; queries are table look-ups.
//
// A row is one token at one expert (a token-expert pair); the shared expert's rows count too.
// Invariant: straggler_rows(l, t) >= mean_rows(t); with placement `balanced` ranks of a kind are
// equal.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "cmsim/model/architecture.hpp"
#include "cmsim/model/expert_placement.hpp"
#include "cmsim/model/expert_popularity.hpp"
#include "cmsim/model/options.hpp"

namespace cmsim::model {

/// Experts whose weights a rank needs for a batch: those with at least one row.
struct ActiveExperts {
  double mean = 0;  // of all ranks
  double most = 0;  // expected of the rank with the most
};

/// Where a number of expected rows is in a table by octave, linear within each.
struct Octave {
  static constexpr int kCount = 20;
  static constexpr int kFirst = -3;  // the table begins with 1/8 row
  static Octave of(double mean);

  int index = 0;    // of its lower end
  double part = 0;  // of the way to the next
  double between(double low, double high) const { return low + (high - low) * part; }
};

class ActiveTable;

class ExpertLoad {
 public:
  ExpertLoad(const Architecture& architecture, const ExpertLayout& layout,
             const ExpertOptions& options, Phase phase, std::uint64_t seed,
             const PopularityParameters& popularity = fitted_popularity());

  /// MoE layers, then MTP layers.
  int layers() const { return static_cast<int>(layers_.size()); }
  const ExpertLayout& layout() const { return layout_; }
  /// Whether the ranks' loads follow from popularity and placement, and are not imposed.
  bool is_drawn() const { return is_drawn_; }

  /// Expected rows on the most loaded rank of `layer` when all ranks together dispatch `tokens`
  /// tokens, sampling noise of the finite batch included (none when `balanced`). The tokens come in
  /// sequences of `sequence_tokens`, whose routing is correlated: the noise is that of fewer,
  /// larger draws, tokens / (1 + (sequence_tokens - 1) * correlation) of them (the design effect of
  /// cluster sampling; Kish, Survey Sampling, 1965).
  double straggler_rows(int layer, double tokens, double sequence_tokens = 1) const;
  /// Experts that get a row when all ranks dispatch `tokens` tokens, mean of the layers. A copy of
  /// the shared expert always does; tokens of a sequence bring fewer the more they are alike.
  ActiveExperts active_experts(double tokens, double sequence_tokens = 1) const;
  /// Rows of a rank on average, the shared expert included.
  double mean_rows(double tokens) const { return tokens * rows_per_token_ / layout_.ranks; }
  /// By layer, the fraction of all rows on the way that each rank gets: those of dedicated shared
  /// ranks count, a shared expert that every rank has needs no way. Each sums to 1.
  std::vector<std::vector<double>> received_shares() const;
  /// Where the experts of each layer are; none where loads are imposed.
  const std::vector<SlotMap>& placements() const { return placements_; }
  /// Mean over the greatest share of the rows of the ranks that are not dedicated to the shared
  /// expert, each summed over the layers.
  double balancedness() const;
  /// Rows on the way of each token.
  double copies() const { return copies_; }
  /// Rows of the shared expert on each rank that has it.
  double shared_rows(double tokens) const { return tokens * shared_rows_per_token_; }

 private:
  // What depends on the mean rows of a draw varies slowly and is kept per octave of that mean.
  using ByOctave = std::array<double, Octave::kCount + 1>;

  // Routed rows of the most loaded of some ranks = mean * peak + noise(mean) * sqrt(mean) expected,
  // where `mean` is that of the ranks that are not dedicated to the shared expert.
  struct Spread {
    double share = 1;  // of the mean, on average
    double peak = 1;
    ByOctave noise{};
  };
  struct Layer {
    Spread routed, dedicated;    // ranks; the second where they hold redundant slots
    std::vector<double> shares;  // of the routed rows, by rank
  };
  double most_rows(const Spread& spread, double tokens, double draw, int slots) const;
  double draw_size(double sequence_tokens) const;
  void share_evenly(double peak);

  ExpertLayout layout_;
  double rows_per_token_ = 0;
  double routed_per_token_ = 0;
  double copies_ = 0;
  bool is_drawn_ = false;
  double correlation_ = 0;  // of the tokens of a sequence
  double shared_rows_per_token_ = 0;
  double routed_mean_per_token_ = 0;
  std::vector<Layer> layers_;
  std::vector<SlotMap> placements_;
  std::shared_ptr<const ActiveTable> active_;  // null without layers
};

/// The load of `ranks` ranks that run a phase with these options, the phase's own staleness
/// included. Costs some milliseconds, so the last few are kept.
std::shared_ptr<const ExpertLoad> make_expert_load(const Architecture& architecture,
                                                   const ModelOptions& options, Phase phase,
                                                   int ranks);

}  // namespace cmsim::model
