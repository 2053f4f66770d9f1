#include "cmsim/study/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

namespace cmsim::study {
namespace {

double mean_of(std::span<const double> samples) {
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

/// What is left of a difference of equal numbers by rounding.
bool negligible(double deviation, double scale) { return deviation <= 1e-12 * std::fabs(scale); }

}  // namespace

Estimate estimate(std::span<const double> samples) {
  Estimate result;
  result.samples = samples.size();
  if (samples.empty()) return result;
  const auto count = static_cast<double>(samples.size());
  result.mean = mean_of(samples);
  if (samples.size() < 2) return result;
  double squares = 0;
  for (const double x : samples) squares += (x - result.mean) * (x - result.mean);
  result.deviation = std::sqrt(squares / (count - 1));
  if (negligible(result.deviation, result.mean)) result.deviation = 0;
  const boost::math::students_t t(count - 1);
  const double quantile = boost::math::quantile(t, (1 + kConfidence) / 2);
  result.half = quantile * result.deviation / std::sqrt(count);
  return result;
}

Difference paired_difference(std::span<const double> first, std::span<const double> second) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
    differences.push_back(second[i] - first[i]);
  }
  Difference result;
  result.of = estimate(differences);
  if (differences.empty()) return result;
  const double base = mean_of(first.first(differences.size()));
  if (base != 0) result.relative = result.of.mean / std::fabs(base);
  if (differences.size() < 2) return result;
  if (negligible(result.of.deviation, std::max(std::fabs(base), std::fabs(result.of.mean)))) {
    const bool none = negligible(result.of.mean, base);
    result.exact = true;
    result.p = none ? 1 : 0;
    return result;
  }
  const double error = result.of.deviation / std::sqrt(static_cast<double>(differences.size()));
  const boost::math::students_t t(static_cast<double>(differences.size()) - 1);
  result.p = 2 * boost::math::cdf(boost::math::complement(t, std::fabs(result.of.mean) / error));
  return result;
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double highest = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const auto left = static_cast<double>(p.size() - rank);
    highest = std::max(highest, std::min(1.0, left * p[order[rank]]));
    adjusted[order[rank]] = highest;
  }
  return adjusted;
}

std::optional<double> log_slope(std::span<const double> x, std::span<const double> y) {
  std::vector<double> u, v;
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (x[i] <= 0 || y[i] <= 0) return std::nullopt;
    u.push_back(std::log(x[i]));
    v.push_back(std::log(y[i]));
  }
  if (u.size() < 2) return std::nullopt;
  const double u_mean = mean_of(u), v_mean = mean_of(v);
  double numerator = 0, denominator = 0;
  for (std::size_t i = 0; i < u.size(); ++i) {
    numerator += (u[i] - u_mean) * (v[i] - v_mean);
    denominator += (u[i] - u_mean) * (u[i] - u_mean);
  }
  if (denominator <= 0) return std::nullopt;
  return numerator / denominator;
}

}  // namespace cmsim::study
