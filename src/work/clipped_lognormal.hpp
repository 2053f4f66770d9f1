// Whole numbers from a lognormal distribution clipped to a range, with a given mean and coefficient
// of variation of what comes out after clipping. With L = exp(N(mu, s)) clipped to [a, b], alpha
// and beta the standardised logs of a and b, and Phi the normal distribution,
//   E[L^n] = a^n Phi(alpha) + exp(n mu + n^2 s^2 / 2) (Phi(beta - n s) - Phi(alpha - n s))
//          + b^n (1 - Phi(beta)),
// from which mu and s are found by bisection.
#pragma once

#include <cstdint>

#include "cmsim/base/random.hpp"
#include "cmsim/work/synthesize.hpp"

namespace cmsim::work {

class ClippedLognormal {
 public:
  /// ConfigError (pointer `where`/mean and the like) when no such distribution exists.
  ClippedLognormal(const LengthSpec& spec, const std::string& where);

  std::int64_t draw(RandomStream& random) const;

 private:
  double moment(int order) const;
  void fit_mu();

  LengthSpec spec_;
  double mu_ = 0, sigma_ = 0;
};

}  // namespace cmsim::work
