// ServeGen client profiles, and the requests drawn from them.
//
// A profile has, per window of a day (600 s), the rate of a client and how bursty it is (the
// coefficient of variation of its inter-arrival times and the family of their distribution), and
// per quarter of the day a histogram of prompt lengths and one of output lengths. Rates 1/s, times
// s, lengths tokens.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmsim/base/random.hpp"
#include "cmsim/base/units.hpp"

namespace cmsim::work {

enum class IatFamily { kExponential, kGamma, kWeibull };

struct RateWindow {
  Seconds start = 0;
  double rate = 0;
  double cv = 1;
  IatFamily family = IatFamily::kExponential;
};

/// Token counts with their probabilities, drawn by inverting the cumulative distribution.
class LengthHistogram {
 public:
  LengthHistogram() = default;
  /// Pairs of tokens and weight, in ascending order of tokens.
  explicit LengthHistogram(const std::vector<std::pair<std::int64_t, double>>& entries);
  bool empty() const { return cumulative_.empty(); }
  double mean() const;
  std::int64_t draw(RandomStream& random) const;

 private:
  std::vector<std::int64_t> tokens_;
  std::vector<double> cumulative_;
};

struct ServeGenClient {
  std::string source;  // for messages
  std::vector<RateWindow> windows;
  struct Lengths {
    LengthHistogram prompt, output;
  };
  std::map<std::int64_t, Lengths> lengths;  // by start of validity, s
};

/// Reads chunk-N-trace.csv: no header; start, rate, CV, family, shape, scale.
/// Shape and scale are not used: rate and CV say the same, and the rate is then met exactly.
std::vector<RateWindow> parse_rate_windows(std::string_view csv, const std::string& name);
/// Most periods of lengths in a profile, and lengths in a histogram.
constexpr std::size_t kMostPeriods = 1'000'000, kMostLengths = 1'000'000;

/// Reads chunk-N-dataset.json.
std::map<std::int64_t, ServeGenClient::Lengths> parse_length_histograms(std::string_view json,
                                                                        const std::string& name);

/// Arrivals within [start, start + length) of a stationary renewal process with the window's rate
/// and CV. The first is drawn from the forward recurrence time, so the expected count is rate *
/// length exactly.
std::vector<Seconds> draw_window(const RateWindow& window, Seconds length, RandomStream& random);

/// The shape k of the Weibull distribution with this coefficient of variation (0.01 to 100).
double weibull_shape(double cv);

}  // namespace cmsim::work
