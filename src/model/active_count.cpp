#include "active_count.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace cmsim::model {

// Integral of 1 - Phi(t)^n above zero less that of Phi(t)^n below, by steps of 1/64.
double expected_normal_maximum(int count) {
  constexpr double kEnd = 8, kStep = 1.0 / 64;
  double sum = 0;
  for (double t = -kEnd + kStep / 2; t < kEnd; t += kStep) {
    const double all_below = std::pow(0.5 * std::erfc(-t / std::numbers::sqrt2), count);
    sum += (t > 0 ? 1 - all_below : -all_below) * kStep;
  }
  return sum;
}

ActiveCount::ActiveCount(const ExpertLayout& layout) {
  const bool everywhere = layout.shared_hosting == SharedHosting::kEveryRank;
  const std::vector<int> slots = layout.slots_by_rank();
  for (int rank = 0; rank < layout.ranks; ++rank) {
    const bool shared = everywhere || rank < layout.first_routed_rank();
    const Kind like{slots[static_cast<std::size_t>(rank)], shared ? layout.experts_per_copy : 0};
    auto kind = std::ranges::find_if(kinds_, [&](const Kind& other) {
      return other.slots == like.slots && other.shared == like.shared;
    });
    if (kind == kinds_.end()) kind = kinds_.insert(kinds_.end(), like);
    ++kind->ranks;
    kind_of_rank_.push_back(static_cast<std::size_t>(kind - kinds_.begin()));
  }
  for (Kind& kind : kinds_) kind.above = expected_normal_maximum(kind.ranks);
}

ActiveExperts ActiveCount::of(std::span<const double> shares, double rows) const {
  constexpr std::size_t kMostKinds = 4;  // two of ranks, each with or without one slot more
  struct Sum {
    double mean = 0, square = 0, variance = 0;
  };
  std::array<Sum, kMostKinds> sums{};
  std::size_t slot = 0;
  for (const std::size_t kind : kind_of_rank_) {
    double mean = 0, variance = 0;
    for (int i = 0; i < kinds_[kind].slots; ++i) {
      const double idle = std::exp(-shares[slot++] * rows);
      mean += 1 - idle;
      variance += idle * (1 - idle);
    }
    sums[kind].mean += mean;
    sums[kind].square += mean * mean;
    sums[kind].variance += variance;
  }
  ActiveExperts active;
  for (std::size_t k = 0; k < kinds_.size(); ++k) {
    const Kind& kind = kinds_[k];
    const double mean = sums[k].mean / kind.ranks;
    const double among = std::max(0.0, sums[k].square / kind.ranks - mean * mean);
    const double deviation = std::sqrt(sums[k].variance / kind.ranks + among);
    const double most = std::min<double>(kind.slots, mean + kind.above * deviation);
    active.mean += kind.ranks * (mean + kind.shared);
    active.most = std::max(active.most, most + kind.shared);
  }
  active.mean /= static_cast<double>(kind_of_rank_.size());
  return active;
}

}  // namespace cmsim::model
