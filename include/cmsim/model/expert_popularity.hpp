// How often each routed expert of each MoE layer is chosen: a heavy-tailed law whose parameters are
// fitted to measured counts (workloads/models/expert-popularity.json), not the counts themselves.
//
// Units: shares, i.e. fractions of a layer's token-expert pairs. Invariant: the shares of a layer
// are finite, not negative, and sum to 1; the same (phase, skew, staleness, seed) gives the same
// shares everywhere.
#pragma once

#include <cstdint>
#include <vector>

#include "cmsim/base/config.hpp"

namespace cmsim::model {

enum class Phase { kPrefill, kDecode };

/// The law of one phase: ln(load) of an expert is sigma * (exp(tail * w) - 1) / tail, where
/// w = z / sqrt(1 + (z / bound)^2), z is standard normal, and ln(sigma) of a layer is normal.
/// Experts of one routing group share a part of z (their correlation is group_correlation), which
/// is what makes a contiguous placement bad. tail = 0, bound = infinity: the lognormal.
struct PopularityLaw {
  double log_spread_mean = 0;       // mean over layers of ln(sigma)
  double log_spread_deviation = 0;  // its standard deviation over layers
  double tail = 0;                  // > 0: hot experts stand out more than cold ones
  double bound = 6;                 // no score exceeds it: the very hottest are held back
  double group_correlation = 0;     // of the z of two experts of one routing group
  double stale_correlation = 1;     // of the z of two workloads (staleness 1)
  bool operator==(const PopularityLaw&) const = default;
};

/// Defaults are the fitted values of workloads/models/expert-popularity.json.
struct PopularityParameters {
  PopularityLaw prefill;
  PopularityLaw decode;
  // Of the routing of two tokens of one sequence (intraclass correlation of the rows that they
  // bring a rank): 0 = each token is routed for itself, 1 = all like the first.
  double sequence_correlation = 0;

  const PopularityLaw& law(Phase phase) const {
    return phase == Phase::kPrefill ? prefill : decode;
  }
  bool operator==(const PopularityParameters&) const = default;
};

/// The model_type on which they were measured; any other borrows them.
inline constexpr const char* kPopularityIsOf = "deepseek_v3";

/// The parameters compiled in: equal to workloads/models/expert-popularity.json.
PopularityParameters fitted_popularity();

/// Reads an object {prefill: {...}, decode: {...}}; absent keys keep their fitted values.
PopularityParameters read_popularity(const ConfigNode& node);

struct LayerPopularity {
  std::vector<double> placed;  // shares the placement was computed from
  std::vector<double> served;  // shares that arrive; equal to `placed` when staleness is 0
};

/// How many laws to draw.
struct PopularityShape {
  int layers = 0;
  int experts = 0;
  int groups = 1;  // routing groups of neighbouring experts, all of one size
};

/// Shares of the experts of each layer.
/// `skew` scales the spread of the logarithms (1 = measured, 0 = uniform). `staleness` in [0, 2]:
/// the scores behind the two shares are correlated with max(0, 1 - staleness * (1 -
/// stale_correlation)). Throws std::invalid_argument on a value out of range.
std::vector<LayerPopularity> draw_popularity(const PopularityLaw& law, Phase phase,
                                             PopularityShape shape, double skew, double staleness,
                                             std::uint64_t seed);

}  // namespace cmsim::model
