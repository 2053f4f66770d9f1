#include "cmsim/model/expert_load.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <span>

namespace cmsim::model {
namespace {

// -ln Phi(t) of the standard normal, tabulated: 0 beyond +6, linear in the table's step of 1/64.
class LogTail {
 public:
  LogTail() {
    for (int i = 0; i <= kSteps; ++i) {
      const double t = kLow + static_cast<double>(i) / kPerUnit;
      values_[i] = -std::log(0.5 * std::erfc(-t / std::numbers::sqrt2));
    }
  }

  /// Adds the value and the slope at t; returns false where both are 0.
  bool add(double t, double& value, double& slope) const {
    if (t >= kHigh) return false;
    const double at = std::max(0.0, (t - kLow) * kPerUnit);
    const int i = std::min(static_cast<int>(at), kSteps - 1);
    const double step = values_[i + 1] - values_[i];
    value += values_[i] + step * (at - i);
    slope += step * kPerUnit;
    return true;
  }

 private:
  static constexpr double kLow = -6, kHigh = 6;
  static constexpr int kPerUnit = 64;
  static constexpr int kSteps = 12 * kPerUnit;
  std::array<double, kSteps + 1> values_{};
};

// Expected maximum of the binomial rows of ranks whose mean rows are mean_rows * ratio[r], ratios
// falling. X^(2/3) of a Poisson variable of mean m is normal to good accuracy, with mean
// m^(2/3) (1 - 1/(9m)) and deviation 2/3 m^(1/6) (Anscombe); (1 - p) turns Poisson into binomial.
// The ranks are taken as independent, so the maximum has -ln F(x) = sum of -ln Phi(t_r(x)), which
// is inverted at the three Gauss-Legendre nodes of F and averaged.
class ExpectedMaximum {
 public:
  explicit ExpectedMaximum(std::span<const double> ratios)
      : ratios_(ratios), centre_(ratios.size()), scale_(ratios.size()) {}

  double at(double mean_rows, const LogTail& tail) {
    const double ranks = static_cast<double>(ratios_.size());
    for (std::size_t r = 0; r < ratios_.size(); ++r) {
      const double m = std::max(mean_rows * ratios_[r], 1e-6);
      const double sixth = std::cbrt(std::sqrt(m));
      const double p = std::min(ratios_[r] / ranks, 1.0);
      centre_[r] = sixth * sixth * sixth * sixth - sixth * sixth * sixth * sixth / (9 * m);
      scale_[r] = 1.5 / (sixth * std::sqrt(std::max(1 - p, 1e-12)));
    }
    constexpr double kOuter = 0.11270166537925831;  // (1 - sqrt(3/5)) / 2
    double x = centre_[0];
    double expected = 0;
    for (const auto& [quantile, weight] :
         {std::pair{kOuter, 5.0 / 18}, {0.5, 8.0 / 18}, {1 - kOuter, 5.0 / 18}}) {
      x = invert(-std::log(quantile), x, tail);
      expected += weight * std::pow(std::max(x, 0.0), 1.5);
    }
    return expected;
  }

 private:
  // Newton on ln(sum), which is nearly straight in the upper tail.
  double invert(double target, double x, const LogTail& tail) const {
    for (int step = 0; step < 30; ++step) {
      double value = 0, slope = 0;
      for (std::size_t r = 0; r < centre_.size(); ++r) {
        double s = 0;
        if (!tail.add((x - centre_[r]) * scale_[r], value, s)) break;  // the rest is colder
        slope += s * scale_[r];
      }
      if (value <= 0) {  // beyond every rank: back towards the hottest
        x = centre_[0] + 0.5 * (x - centre_[0]);
        continue;
      }
      const double move = value * std::log(target / value) / slope;
      x += move;
      if (std::abs(move) * scale_[0] < 1e-4) break;
    }
    return x;
  }

  std::span<const double> ratios_;
  std::vector<double> centre_, scale_;
};

std::vector<double> shares_on_ranks(const ExpertLayout& layout, Placement placement,
                                    const LayerPopularity& popularity) {
  const int experts = static_cast<int>(popularity.served.size());
  const SlotMap slots =
      placement == Placement::kEplb
          ? place_eplb(popularity.placed, layout.routed_slots, layout.routed_ranks)
          : place_contiguous(experts, layout.routed_slots);
  return rank_shares(slots, popularity.served, layout.routed_ranks);
}

}  // namespace

ExpertLoad::ExpertLoad(const Architecture& architecture, const ExpertLayout& layout,
                       const ExpertOptions& options, Phase phase, std::uint64_t seed,
                       const PopularityParameters& popularity)
    : layout_(layout) {
  const int layers = architecture.moe_layers() + architecture.mtp_layers;
  rows_per_token_ = architecture.experts_per_token + architecture.shared_experts;
  shared_rows_per_token_ =
      layout.shared_copies == 0
          ? 0.0
          : static_cast<double>(architecture.shared_experts) / layout.shared_copies;
  routed_mean_per_token_ =
      static_cast<double>(architecture.experts_per_token) / layout.routed_ranks;
  most_routed_per_token_ = std::min(architecture.experts_per_token, layout.routed_slots_per_rank);
  layers_.resize(layers);

  const int routed = layout.routed_ranks;
  if (options.placement == Placement::kBalanced) {
    for (Layer& layer : layers_) {
      layer.shares.assign(layout.ranks, 0.0);
      std::fill(layer.shares.begin() + layout.first_routed_rank(), layer.shares.end(),
                1.0 / routed);
    }
    return;
  }
  const auto drawn =
      draw_popularity(popularity.law(phase), phase, layers, architecture.routed_experts,
                      options.skew, options.staleness, seed);
  const LogTail tail;
  for (int l = 0; l < layers; ++l) {
    Layer& layer = layers_[l];
    std::vector<double> ratios = shares_on_ranks(layout, options.placement, drawn[l]);
    layer.shares.assign(layout.first_routed_rank(), 0.0);
    layer.shares.insert(layer.shares.end(), ratios.begin(), ratios.end());
    for (double& ratio : ratios) ratio *= routed;
    std::sort(ratios.begin(), ratios.end(), std::greater<>());
    layer.peak = ratios.front();
    ExpectedMaximum maximum(ratios);
    for (int i = 0; i <= kOctaves; ++i) {
      const double mean = std::ldexp(1.0, kFirstOctave + i);
      layer.noise[i] = (maximum.at(mean, tail) - mean * layer.peak) / std::sqrt(mean);
    }
  }
}

double ExpertLoad::straggler_rows(int layer, double tokens) const {
  if (!(tokens > 0)) return 0;
  const Layer& of = layers_[layer];
  const double mean = tokens * routed_mean_per_token_;
  // Octave and place within it, without a logarithm.
  int exponent = 0;
  const double fraction = std::frexp(mean, &exponent);  // mean = fraction * 2^exponent, [1/2, 1)
  double at = exponent - 1 - kFirstOctave + (2 * fraction - 1);
  at = std::clamp(at, 0.0, static_cast<double>(kOctaves));
  const int i = std::min(static_cast<int>(at), kOctaves - 1);
  const double noise = of.noise[i] + (of.noise[i + 1] - of.noise[i]) * (at - i);
  const double routed = std::clamp(mean * of.peak + noise * std::sqrt(mean), mean,
                                   std::max(mean, tokens * most_routed_per_token_));
  const double shared = tokens * shared_rows_per_token_;
  return layout_.shared_hosting == SharedHosting::kDedicatedRanks ? std::max(routed, shared)
                                                                  : routed + shared;
}

}  // namespace cmsim::model
