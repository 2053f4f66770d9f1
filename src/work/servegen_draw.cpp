#include <cmath>

#include "servegen.hpp"

namespace cmsim::work {
namespace {

/// Squared coefficient of variation of a Weibull distribution: Γ(1+2/k) / Γ(1+1/k)² − 1.
double weibull_cv2(double shape) {
  return std::expm1(std::lgamma(1 + 2 / shape) - 2 * std::lgamma(1 + 1 / shape));
}

/// Gaps of one window: gap() between arrivals, and lead() from the window's start to its first
/// arrival. lead() is uniform within a length-biased gap, which is what an observer who starts at
/// any moment finds. The length-biased Gamma(k, s) is Gamma(k + 1, s); of a Weibull(k, s) gap,
/// (x/s)^k is exponential, and Gamma(1 + 1/k, 1) when length-biased.
class Gaps {
 public:
  Gaps(const RateWindow& window, RandomStream& random) : random_(random), family_(window.family) {
    const double mean = 1 / window.rate;
    switch (family_) {
      case IatFamily::kExponential:
        scale_ = mean;
        break;
      case IatFamily::kGamma:
        shape_ = 1 / (window.cv * window.cv);
        scale_ = mean / shape_;
        break;
      case IatFamily::kWeibull:
        shape_ = weibull_shape(window.cv);
        scale_ = mean / std::tgamma(1 + 1 / shape_);
        break;
    }
  }

  double gap() {
    if (family_ == IatFamily::kGamma) return random_.gamma(shape_, scale_);
    if (family_ == IatFamily::kWeibull) return random_.weibull(shape_, scale_);
    return random_.exponential(scale_);
  }

  double lead() {
    if (family_ == IatFamily::kExponential) return random_.exponential(scale_);
    const double biased = family_ == IatFamily::kGamma
                              ? random_.gamma(shape_ + 1, scale_)
                              : scale_ * std::pow(random_.gamma(1 + 1 / shape_, 1), 1 / shape_);
    return biased * random_.uniform();
  }

 private:
  RandomStream& random_;
  IatFamily family_;
  double shape_ = 1, scale_ = 1;
};

}  // namespace

double weibull_shape(double cv) {
  double low = 0.1, high = 200;  // CV 430 down to 0.0064; the CV falls as the shape grows
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    (weibull_cv2(middle) > cv * cv ? low : high) = middle;
  }
  return std::sqrt(low * high);
}

std::vector<Seconds> draw_window(const RateWindow& window, Seconds length, RandomStream& random) {
  std::vector<Seconds> arrivals;
  if (window.rate <= 0) return arrivals;
  Gaps gaps(window, random);
  for (Seconds at = gaps.lead(); at < length; at += gaps.gap()) {
    arrivals.push_back(window.start + at);
  }
  return arrivals;
}

}  // namespace cmsim::work
