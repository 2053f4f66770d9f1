// What a decode model says about placements of experts that grow old: what serve/ asks who places
// them anew.
//
// Ages are simulated seconds since the load was observed that a placement was made for. Pure.
#pragma once

#include <cstdint>
#include <numeric>
#include <vector>

#include "cmsim/base/units.hpp"

namespace cmsim::model {

/// Placing all experts of an instance anew.
struct ExpertMove {
  std::int64_t experts = 0;      // weights that dies fetch from each other, all layers
  Bytes bytes = 0;               // of them
  std::vector<Seconds> steps{};  // by how much each of the next steps is longer
  Seconds duration() const { return std::accumulate(steps.begin(), steps.end(), Seconds{0}); }
};

class PlacementAgeing {
 public:
  virtual ~PlacementAgeing() = default;
  /// When a run begins.
  virtual Seconds initial_age() const = 0;
  /// Mean over the greatest load of the ranks, each summed over the layers, as EPLB reports it.
  virtual double balancedness(Seconds age) const = 0;
  /// From a placement of that age to one that is made for the load of now.
  virtual const ExpertMove& move(std::int32_t instance, Seconds age) const = 0;
};

}  // namespace cmsim::model
