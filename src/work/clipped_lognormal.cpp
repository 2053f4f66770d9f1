#include "clipped_lognormal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cmsim/base/error.hpp"
#include "cmsim/work/trace.hpp"

namespace cmsim::work {
namespace {

constexpr double kLeastSigma = 1e-4, kMostSigma = 8;

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

}  // namespace

ClippedLognormal::ClippedLognormal(const LengthSpec& spec, const std::string& where) : spec_(spec) {
  const auto fail = [&](const char* field, const std::string& message) {
    throw ConfigError({.file = "", .line = 0, .pointer = where + field}, message);
  };
  if (spec.minimum < 1 || spec.minimum > kMostTokens) {
    fail("/minimum", fmt::format("found {}, allowed is 1 to {}", spec.minimum, kMostTokens));
  }
  if (spec.maximum < spec.minimum || spec.maximum > kMostTokens) {
    fail("/maximum",
         fmt::format("found {}, allowed is {} to {}", spec.maximum, spec.minimum, kMostTokens));
  }
  const auto least = static_cast<double>(spec.minimum), most = static_cast<double>(spec.maximum);
  if (!(spec.mean >= least && spec.mean <= most)) {
    fail("/mean", fmt::format("found {}, allowed is {} to {}", spec.mean, least, most));
  }
  if (!(spec.cv >= 0 && std::isfinite(spec.cv))) {
    fail("/cv", fmt::format("found {}, allowed is at least 0", spec.cv));
  }
  if (spec.cv == 0) return;

  const auto cv = [&] {
    return std::sqrt(std::max(0.0, moment(2) - spec_.mean * spec_.mean)) / spec_.mean;
  };
  double low = kLeastSigma, high = kMostSigma;
  for (int i = 0; i < 80; ++i) {
    sigma_ = 0.5 * (low + high);
    fit_mu();
    (cv() < spec.cv ? low : high) = sigma_;
  }
  if (std::fabs(cv() - spec.cv) > 0.001 * spec.cv) {
    fail("/cv", fmt::format("found {}, but lengths of mean {} between {} and {} reach about {:.3f}",
                            spec.cv, spec.mean, least, most, cv()));
  }
}

double ClippedLognormal::moment(int order) const {
  const double a = std::log(static_cast<double>(spec_.minimum));
  const double b = std::log(static_cast<double>(spec_.maximum));
  const double alpha = (a - mu_) / sigma_, beta = (b - mu_) / sigma_, shift = order * sigma_;
  const double between = normal_cdf(beta - shift) - normal_cdf(alpha - shift);
  return std::exp(order * a) * normal_cdf(alpha) +
         std::exp(order * mu_ + 0.5 * shift * shift) * between +
         std::exp(order * b) * normal_cdf(-beta);
}

void ClippedLognormal::fit_mu() {
  double low = std::log(static_cast<double>(spec_.minimum)) - 10 * sigma_;
  double high = std::log(static_cast<double>(spec_.maximum)) + 10 * sigma_;
  for (int i = 0; i < 80; ++i) {
    mu_ = 0.5 * (low + high);
    (moment(1) < spec_.mean ? low : high) = mu_;
  }
}

std::int64_t ClippedLognormal::draw(RandomStream& random) const {
  if (spec_.cv == 0) return std::llround(spec_.mean);
  const double length = random.lognormal(mu_, sigma_);
  return std::llround(
      std::clamp(length, static_cast<double>(spec_.minimum), static_cast<double>(spec_.maximum)));
}

}  // namespace cmsim::work
