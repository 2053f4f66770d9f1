// Means over seeds, their doubt, and what differences between them are worth.
//
// Intervals are Student's, two-sided, at 95 %. Formulas and their sources: docs/statistics.md.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace cmsim::study {

inline constexpr double kConfidence = 0.95;

/// A mean and half the width of its interval; none from fewer than two samples.
struct Estimate {
  std::size_t samples = 0;
  double mean = 0;
  double deviation = 0;        // of a sample, n - 1 in the divisor
  std::optional<double> half;  // mean - half to mean + half
};
Estimate estimate(std::span<const double> samples);

/// The difference of two lists that have the same seed at the same place: common random numbers.
struct Difference {
  Estimate of;                   // second - first, pair by pair
  double relative = 0;           // of / mean of the first; 0 when that is 0
  std::optional<double> p = {};  // two-sided, of no difference; none from fewer than two pairs
  bool exact = false;            // every pair differs by the same: nothing random is in it
};
Difference paired_difference(std::span<const double> first, std::span<const double> second);

/// Holm's adjustment of p-values of one family, in their order: below 1 - kConfidence is
/// significant, whatever else was tested.
std::vector<double> holm(std::span<const double> p);

/// d ln y / d ln x by least squares; none when a value is not above 0 or all x are equal.
std::optional<double> log_slope(std::span<const double> x, std::span<const double> y);

}  // namespace cmsim::study
