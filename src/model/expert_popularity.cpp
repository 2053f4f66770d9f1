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

// Standard normal scores; those of one group have a part in common.
std::vector<double> draw_scores(const PopularityLaw& law, RandomStream stream,
                                PopularityShape shape) {
  const double common = std::sqrt(law.group_correlation);
  const double own = std::sqrt(1 - law.group_correlation);
  const int group_size = shape.experts / shape.groups;
  std::vector<double> scores;
  scores.reserve(shape.experts);
  for (int group = 0; group < shape.groups; ++group) {
    const double of_group = common * stream.normal(0, 1);
    for (int i = 0; i < group_size; ++i) scores.push_back(of_group + own * stream.normal(0, 1));
  }
  return scores;
}

std::vector<double> to_shares(const PopularityLaw& law, double spread,
                              const std::vector<double>& scores) {
  std::vector<double> shares;
  shares.reserve(scores.size());
  double top = 0;
  for (double z : scores) {
    const double w = z / std::sqrt(1 + (z / law.bound) * (z / law.bound));
    const double y = law.tail == 0 ? w : std::expm1(law.tail * w) / law.tail;
    shares.push_back(spread * y);
    top = std::max(top, shares.back());
  }
  constexpr double kLargestLog = 600;  // exp() of it, times any number of experts, is finite
  const double excess = std::max(0.0, top - kLargestLog);  // a common factor that cancels
  for (double& share : shares) share = std::exp(share - excess);
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
  law.group_correlation = node.number_or("group_correlation", fitted.group_correlation, 0, 1);
  law.stale_correlation = node.number_or("stale_correlation", fitted.stale_correlation, 0, 1);
  node.close();
  return law;
}

}  // namespace

PopularityParameters fitted_popularity() {
  PopularityParameters fitted;
  fitted.prefill = {.log_spread_mean = -0.088,
                    .log_spread_deviation = 0.100,
                    .tail = 0.072,
                    .bound = 10.0,
                    .group_correlation = 0.556,
                    .stale_correlation = 0.875};
  fitted.decode = {.log_spread_mean = -0.372,
                   .log_spread_deviation = 0.052,
                   .tail = 0.163,
                   .bound = 9.4,
                   .group_correlation = 0.641,
                   .stale_correlation = 0.85};
  fitted.sequence_correlation = 0.1;
  return fitted;
}

PopularityParameters read_popularity(const ConfigNode& node) {
  const PopularityParameters fitted = fitted_popularity();
  node.ignore("comment");
  PopularityParameters parameters{
      read_law(node.child_or_empty("prefill"), fitted.prefill),
      read_law(node.child_or_empty("decode"), fitted.decode),
      node.number_or("sequence_correlation", fitted.sequence_correlation, 0, 1)};
  node.close();
  return parameters;
}

std::vector<LayerPopularity> draw_popularity(const PopularityLaw& law, Phase phase,
                                             PopularityShape shape, double skew, double staleness,
                                             std::uint64_t seed) {
  if (shape.layers < 1 || shape.experts < 1 || shape.groups < 1 ||
      shape.experts % shape.groups != 0) {
    throw std::invalid_argument(fmt::format(
        "expert popularity: {} layers of {} experts in {} groups; allowed: at least 1 of each, and "
        "groups | experts",
        shape.layers, shape.experts, shape.groups));
  }
  if (!(skew >= 0 && skew <= 10)) {
    throw std::invalid_argument(fmt::format("expert skew: {}; allowed: 0 to 10", skew));
  }
  if (!(staleness >= 0 && staleness <= 2)) {
    throw std::invalid_argument(fmt::format("expert staleness: {}; allowed: 0 to 2", staleness));
  }
  const double correlation = std::max(0.0, 1 - staleness * (1 - law.stale_correlation));
  const double rest = std::sqrt(1 - correlation * correlation);
  const std::vector<double> spreads = draw_spreads(law, phase, shape.layers, seed);
  const auto stream = [&](std::string_view load, int layer) {
    return RandomStream(seed, stream_name(phase, fmt::format("{}/{}", load, layer)));
  };

  std::vector<LayerPopularity> popularity(shape.layers);
  for (int layer = 0; layer < shape.layers; ++layer) {
    const double spread = skew * spreads[layer];
    std::vector<double> scores = draw_scores(law, stream("served", layer), shape);
    auto& [placed, served] = popularity[layer];
    served = to_shares(law, spread, scores);
    if (correlation < 1) {
      const auto other = draw_scores(law, stream("placed", layer), shape);
      for (int e = 0; e < shape.experts; ++e) scores[e] = correlation * scores[e] + rest * other[e];
    }
    placed = to_shares(law, spread, scores);
  }
  return popularity;
}

}  // namespace cmsim::model
