#include "cmsim/model/expert_popularity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "cmsim/base/random.hpp"

namespace cmsim::model {
namespace {

std::string stream_name(Phase phase, std::string_view what) {
  return fmt::format("model/experts/{}/{}", phase == Phase::kPrefill ? "prefill" : "decode", what);
}

// The spread of each layer: the quantiles (i + 1/2) / layers of the fitted law in random order, so
// that the average over layers does not depend on the seed.
std::vector<double> draw_spreads(const PopularityLaw& law, Phase phase, int layers,
                                 std::uint64_t seed) {
  std::vector<double> spreads;
  for (int i = 0; i < layers; ++i) {
    const double probability = (i + 0.5) / layers;
    const double z = std::numbers::sqrt2 * boost::math::erf_inv(2 * probability - 1);
    spreads.push_back(std::exp(law.log_spread_mean + law.log_spread_deviation * z));
  }
  RandomStream order(seed, stream_name(phase, "spread"));
  for (int i = layers - 1; i > 0; --i) {
    std::swap(spreads[i], spreads[order.uniform_int(0, i)]);
  }
  return spreads;
}

std::vector<double> draw_scores(Phase phase, std::string_view what, int layer, int experts,
                                std::uint64_t seed) {
  RandomStream stream(seed, stream_name(phase, fmt::format("{}/{}", what, layer)));
  std::vector<double> scores(experts);
  for (double& score : scores) score = stream.normal(0, 1);
  return scores;
}

std::vector<double> to_shares(const PopularityLaw& law, double spread,
                              const std::vector<double>& scores) {
  std::vector<double> shares;
  shares.reserve(scores.size());
  for (double z : scores) {
    const double w = z / std::sqrt(1 + (z / law.bound) * (z / law.bound));
    const double y = law.tail == 0 ? w : std::expm1(law.tail * w) / law.tail;
    shares.push_back(std::exp(spread * y));
  }
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) share /= sum;
  return shares;
}

PopularityLaw read_law(const ConfigNode& node, const PopularityLaw& fitted) {
  PopularityLaw law;
  law.log_spread_mean = node.number_or("log_spread_mean", fitted.log_spread_mean, -5, 2);
  law.log_spread_deviation =
      node.number_or("log_spread_deviation", fitted.log_spread_deviation, 0, 2);
  law.tail = node.number_or("tail", fitted.tail, 0, 1);
  law.bound = node.number_or("bound", fitted.bound, 1, 1e6);
  law.stale_correlation = node.number_or("stale_correlation", fitted.stale_correlation, 0, 1);
  node.close();
  return law;
}

}  // namespace

PopularityParameters fitted_popularity() {
  PopularityParameters fitted;
  fitted.prefill = {.log_spread_mean = -0.113,
                    .log_spread_deviation = 0.175,
                    .tail = 0.053,
                    .bound = 5.9,
                    .stale_correlation = 0.75};
  fitted.decode = {.log_spread_mean = -0.394,
                   .log_spread_deviation = 0.170,
                   .tail = 0.125,
                   .bound = 5.25,
                   .stale_correlation = 0.75};
  return fitted;
}

PopularityParameters read_popularity(const ConfigNode& node) {
  const PopularityParameters fitted = fitted_popularity();
  node.ignore("comment");
  PopularityParameters parameters{read_law(node.child_or_empty("prefill"), fitted.prefill),
                                  read_law(node.child_or_empty("decode"), fitted.decode)};
  node.close();
  return parameters;
}

std::vector<LayerPopularity> draw_popularity(const PopularityLaw& law, Phase phase, int layers,
                                             int experts, double skew, double staleness,
                                             std::uint64_t seed) {
  if (layers < 1 || experts < 1) {
    throw std::invalid_argument(
        fmt::format("expert popularity: {} layers of {} experts; allowed: at least 1 of each",
                    layers, experts));
  }
  if (!(skew >= 0 && skew <= 10)) {
    throw std::invalid_argument(fmt::format("expert skew: {}; allowed: 0 to 10", skew));
  }
  if (!(staleness >= 0 && staleness <= 2)) {
    throw std::invalid_argument(fmt::format("expert staleness: {}; allowed: 0 to 2", staleness));
  }
  const double correlation = std::max(0.0, 1 - staleness * (1 - law.stale_correlation));
  const double rest = std::sqrt(1 - correlation * correlation);
  const std::vector<double> spreads = draw_spreads(law, phase, layers, seed);

  std::vector<LayerPopularity> popularity;
  popularity.reserve(layers);
  for (int layer = 0; layer < layers; ++layer) {
    const double spread = skew * spreads[layer];
    std::vector<double> scores = draw_scores(phase, "served", layer, experts, seed);
    LayerPopularity shares;
    shares.served = to_shares(law, spread, scores);
    if (correlation < 1) {
      const auto other = draw_scores(phase, "placed", layer, experts, seed);
      for (int e = 0; e < experts; ++e) scores[e] = correlation * scores[e] + rest * other[e];
      shares.placed = to_shares(law, spread, scores);
    } else {
      shares.placed = shares.served;
    }
    popularity.push_back(std::move(shares));
  }
  return popularity;
}

}  // namespace cmsim::model
