#include "cmsim/metrics/statistics.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace cmsim::metrics {
namespace {

/// Looks up ranks of the expanded list in ascending order of rank.
class ExpandedList {
 public:
  explicit ExpandedList(std::span<const WeightedSample> sorted) : sorted_(sorted) {}

  double at(std::int64_t rank) {
    while (rank >= before_ + sorted_[index_].weight) before_ += sorted_[index_++].weight;
    return sorted_[index_].value;
  }

 private:
  std::span<const WeightedSample> sorted_;
  std::size_t index_ = 0;
  std::int64_t before_ = 0;
};

double interpolated(std::span<const WeightedSample> sorted, std::int64_t count, double share) {
  const double rank = share * static_cast<double>(count - 1);
  const auto low = static_cast<std::int64_t>(std::floor(rank));
  ExpandedList list(sorted);
  const double below = list.at(low);
  const double above = list.at(std::min(low + 1, count - 1));
  return below + (above - below) * (rank - static_cast<double>(low));
}

}  // namespace

double percentile(std::span<const double> sorted, double share) {
  assert(!sorted.empty());
  const double rank = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(std::floor(rank));
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (rank - static_cast<double>(low));
}

double nearest_rank(std::span<const double> sorted, double share) {
  assert(!sorted.empty());
  const double rank = std::ceil(share * static_cast<double>(sorted.size()) - 1e-9);
  return sorted[static_cast<std::size_t>(std::max(1.0, rank)) - 1];
}

Distribution summarize(std::vector<double> samples, double scale,
                       std::span<const double> percents) {
  Distribution result;
  if (samples.empty()) return result;
  if (!std::is_sorted(samples.begin(), samples.end())) std::sort(samples.begin(), samples.end());
  const auto count = static_cast<double>(samples.size());
  const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / count;
  double squares = 0;
  for (const double sample : samples) squares += (sample - mean) * (sample - mean);
  result.count = static_cast<std::int64_t>(samples.size());
  result.mean = mean * scale;
  result.median = percentile(samples, 0.5) * scale;
  result.std = std::sqrt(squares / count) * scale;
  result.p99 = percentile(samples, 0.99) * scale;
  result.max = samples.back() * scale;
  for (const double percent : percents) {
    result.percentiles.push_back(percentile(samples, percent / 100) * scale);
  }
  return result;
}

Distribution summarize(std::vector<WeightedSample> samples, double scale,
                       std::span<const double> percents) {
  Distribution result;
  std::erase_if(samples, [](const WeightedSample& s) { return s.weight <= 0; });
  if (samples.empty()) return result;
  std::sort(samples.begin(), samples.end(), [](const WeightedSample& a, const WeightedSample& b) {
    return a.value < b.value || (a.value == b.value && a.weight < b.weight);
  });
  std::int64_t count = 0;
  double sum = 0;
  for (const auto& [value, weight] : samples) {
    count += weight;
    sum += value * static_cast<double>(weight);
  }
  const double mean = sum / static_cast<double>(count);
  double squares = 0;
  for (const auto& [value, weight] : samples) {
    squares += (value - mean) * (value - mean) * static_cast<double>(weight);
  }
  result.count = count;
  result.mean = mean * scale;
  result.median = interpolated(samples, count, 0.5) * scale;
  result.std = std::sqrt(squares / static_cast<double>(count)) * scale;
  result.p99 = interpolated(samples, count, 0.99) * scale;
  result.max = samples.back().value * scale;
  for (const double percent : percents) {
    result.percentiles.push_back(interpolated(samples, count, percent / 100) * scale);
  }
  return result;
}

}  // namespace cmsim::metrics
