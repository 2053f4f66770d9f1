// Summaries of samples: mean, deviation and percentiles, plain or weighted.
//
// Percentiles interpolate linearly between ranks (numpy's default, as vLLM reports them); an MLPerf
// verdict uses the nearest rank instead. A weighted sample counts as `weight` equal samples, so a
// weighted summary equals the plain one of the expanded list. Units are those of the samples.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cmsim/base/units.hpp"

namespace cmsim::metrics {

/// All zero when count is 0; printed as null then.
struct Distribution {
  std::int64_t count = 0;
  double mean = 0, median = 0, std = 0, p99 = 0, max = 0;  // std of the population (ddof 0)
  std::vector<double> percentiles;                         // those asked for, in their order
};

/// `sorted` ascending and not empty, `share` in [0, 1]: the value at rank share * (n - 1).
double percentile(std::span<const double> sorted, double share);
/// The ceil(share * n)-th smallest value, of samples in any order, which it changes.
double nearest_rank(std::span<double> samples, double share);

/// Scale multiplies every sample (1e3 turns seconds into ms).
/// `percents`: percentiles from 0 to 100 beside the fixed ones.
Distribution summarize(std::vector<double> samples, double scale = 1,
                       std::span<const double> percents = {});

struct WeightedSample {
  double value = 0;
  std::int64_t weight = 0;
};
Distribution summarize(std::vector<WeightedSample> samples, double scale = 1,
                       std::span<const double> percents = {});

}  // namespace cmsim::metrics
