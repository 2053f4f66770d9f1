// Experts of a rank that get a row, by octave of the rows expected: internal to ExpertLoad.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "active_count.hpp"

namespace cmsim::model {

/// An octave is worked out when it is first asked for: a run asks for few of them.
class ActiveTable {
 public:
  /// Shares of the routed rows, by layer and slot.
  ActiveTable(const ExpertLayout& layout, std::vector<std::vector<double>> slots_by_layer);

  /// With `mean` rows expected of a rank that is not dedicated to the shared expert; means over
  /// the layers.
  ActiveExperts at(double mean) const;

 private:
  /// Of active experts a in [low, high], -ln((high - a) / (high - low)): near linear in the mean.
  ActiveExperts exponents(int octave) const;

  ActiveCount count_;
  int routed_ranks_;
  ActiveExperts low_, high_;  // the shared expert alone; all
  std::vector<std::vector<double>> slots_by_layer_;
  mutable std::array<std::optional<ActiveExperts>, Octave::kCount + 1> exponents_;
};

}  // namespace cmsim::model
