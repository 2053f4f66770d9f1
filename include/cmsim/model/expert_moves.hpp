// What the ranks of an EP group must fetch from each other to go from one placement of the experts
// of a layer to another. Counts of expert weights; no bytes, no time.
//
// An expert that a rank has already, in whatever slot, is not moved. One that it lacks comes in
// equal parts from all ranks that have it.
#pragma once

#include <span>

#include "cmsim/model/expert_placement.hpp"

namespace cmsim::model {

struct ExpertMoves {
  int experts = 0;  // fetched by all ranks
  double most = 0;  // of one rank, that it gets or sends
};

/// Both placements have the slots of `slots_by_rank`.
ExpertMoves moves_between(const SlotMap& from, const SlotMap& to,
                          std::span<const int> slots_by_rank);

}  // namespace cmsim::model
