#include "active_table.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cmsim::model {
namespace {

constexpr double kAllActive = 40;     // with which none is idle in double precision
constexpr double kNearlyActive = 30;  // from here on the rounding of a sum counts

double to_exponent(double active, double low, double high) {
  if (high <= low) return 0;
  const double part = std::clamp((active - low) / (high - low), 0.0, 1.0);
  return std::min(kAllActive, -std::log1p(-part));
}

double from_exponent(double exponent, double low, double high) {
  return low - (high - low) * std::expm1(-exponent);
}

ActiveExperts fewest_active(const ExpertLayout& layout) {
  const double copies = layout.shared_copies * layout.experts_per_copy;
  return {copies / layout.ranks, copies > 0 ? layout.experts_per_copy : 0.0};
}

ActiveExperts all_active(const ExpertLayout& layout) {
  return {fewest_active(layout).mean + static_cast<double>(layout.routed_slots) / layout.ranks,
          static_cast<double>(layout.experts_per_rank())};
}

}  // namespace

ActiveTable::ActiveTable(const ExpertLayout& layout,
                         std::vector<std::vector<double>> slots_by_layer)
    : count_(layout),
      routed_ranks_(layout.routed_ranks),
      low_(fewest_active(layout)),
      high_(all_active(layout)),
      slots_by_layer_(std::move(slots_by_layer)) {}

ActiveExperts ActiveTable::at(double mean) const {
  const Octave octave = Octave::of(mean);
  const ActiveExperts a = exponents(octave.index), b = exponents(octave.index + 1);
  const double below = std::min(1.0, std::ldexp(mean, -Octave::kFirst));  // the table: as few rows
  return {from_exponent(octave.between(a.mean, b.mean) * below, low_.mean, high_.mean),
          from_exponent(octave.between(a.most, b.most), low_.most, high_.most)};
}

ActiveExperts ActiveTable::exponents(int octave) const {
  std::optional<ActiveExperts>& known = exponents_[static_cast<std::size_t>(octave)];
  if (known) return *known;
  const double rows = std::ldexp(routed_ranks_, Octave::kFirst + octave);
  const auto layers = static_cast<double>(slots_by_layer_.size());
  ActiveExperts active;
  for (const std::vector<double>& shares : slots_by_layer_) {
    const ActiveExperts of_layer = count_.of(shares, rows);
    active.mean += of_layer.mean / layers;
    active.most += of_layer.most / layers;
  }
  ActiveExperts found{to_exponent(active.mean, low_.mean, high_.mean),
                      to_exponent(active.most, low_.most, high_.most)};
  // More rows leave no more idle, however the sums are rounded.
  const auto fewer_do = [&] { return octave > 0 && exponents(octave - 1).mean >= kAllActive; };
  if (found.mean >= kAllActive || (found.mean >= kNearlyActive && fewer_do())) {
    found = {kAllActive, kAllActive};
  }
  known = found;
  return found;
}

}  // namespace cmsim::model
