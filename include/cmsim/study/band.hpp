// How sure the figures of a run are: what its headlines do while the constants that say between
// what they lie ("range" beside "value") move within that.
//
// It is a study of one scenario over a Latin hypercube: all constants move at once, the seed stays.
// Formulas and their sources: docs/statistics.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/metrics/result.hpp"
#include "cmsim/study/study.hpp"
#include "cmsim/study/tables.hpp"

namespace cmsim::study {

inline constexpr double kBandLow = 0.05, kBandHigh = 0.95;  // percentiles
inline constexpr std::size_t kFewestSamples = 16, kMostSamples = 10'000;

/// A constant and between what it lies.
struct UncertainConstant {
  std::string pointer;
  double low = 0, high = 0;  // in `unit`
  std::string unit;          // as written; "" of a plain number
  std::string low_text, high_text, source;

  /// Both ends above 0 and more than a factor of 2 apart: by ratios, not by differences.
  bool by_ratio() const { return low > 0 && high > 2 * low; }
  /// The value at a share of the range, 0 to 1.
  double at(double share) const;
  /// As --set takes it.
  std::string text(double value) const;
};

/// Those of a document whose range is more than a point, in the order of their pointers.
std::vector<UncertainConstant> uncertain_constants(const ConfigDocument& document);

/// For each name `samples` numbers in [0, 1), one in each of as many equal strata, in an order
/// drawn from a stream of its own: another name moves none.
std::vector<std::vector<double>> latin_hypercube(const std::vector<std::string>& names,
                                                 std::size_t samples, std::uint64_t seed);

/// Spearman's: Pearson's of the ranks, equal values sharing theirs. None when either has one value
/// only.
std::optional<double> rank_correlation(std::span<const double> x, std::span<const double> y);

/// A study of one dimension in which an axis for each constant advances with the others.
Study band_study(Study scenario, const std::vector<UncertainConstant>& constants,
                 std::size_t samples, std::uint64_t seed);

/// What bands are of: the headlines that are means or rates.
std::vector<Metric> band_metrics();

/// Of the metrics that the nominal result and the samples have; `table` is of band_study(). No
/// constant dominates a metric that may as well move with it by chance.
metrics::Uncertainty uncertainty(const Table& table,
                                 const std::vector<UncertainConstant>& constants,
                                 const nlohmann::json& nominal);

}  // namespace cmsim::study
