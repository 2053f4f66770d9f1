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

/// The ranks an interpolated percentile lies between, and how far beyond the first.
struct Between {
  std::size_t low, high;
  double beyond;
};

Between ranks_of(std::size_t count, double share) {
  const double rank = share * static_cast<double>(count - 1);
  const auto low = static_cast<std::size_t>(std::floor(rank));
  return {low, std::min(low + 1, count - 1), rank - static_cast<double>(low)};
}

/// Puts those samples in their places that the percentiles and the largest are read from: much
/// cheaper than sorting all.
void place(std::span<double> samples, std::span<const double> percents) {
  std::vector<std::size_t> ranks{samples.size() - 1};
  const auto add = [&](double share) {
    const Between between = ranks_of(samples.size(), share);
    ranks.insert(ranks.end(), {between.low, between.high});
  };
  add(0.5);
  add(0.99);
  for (const double percent : percents) add(percent / 100);
  std::ranges::sort(ranks);
  auto first = samples.begin();
  for (const std::size_t rank : ranks) {
    const auto at = samples.begin() + static_cast<std::ptrdiff_t>(rank);
    if (at < first) continue;  // said twice
    std::nth_element(first, at, samples.end());
    first = at + 1;
  }
}

}  // namespace

double percentile(std::span<const double> sorted, double share) {
  assert(!sorted.empty());
  const auto [low, high, beyond] = ranks_of(sorted.size(), share);
  return sorted[low] + (sorted[high] - sorted[low]) * beyond;
}

double nearest_rank(std::span<double> samples, double share) {
  assert(!samples.empty());
  const double rank = std::ceil(share * static_cast<double>(samples.size()) - 1e-9);
  const auto at = samples.begin() + static_cast<std::ptrdiff_t>(std::max(1.0, rank)) - 1;
  std::nth_element(samples.begin(), at, samples.end());
  return *at;
}

Distribution summarize(std::vector<double> samples, double scale,
                       std::span<const double> percents) {
  Distribution result;
  if (samples.empty()) return result;
  place(samples, percents);
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
