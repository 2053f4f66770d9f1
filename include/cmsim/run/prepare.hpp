// What runs and steps of a scenario begin with is kept once it is built (base/kept.hpp): built
// before processes are forked, it is there in all of them.
#pragma once

#include "cmsim/run/scenario.hpp"

namespace cmsim::run {

/// Experts, fabric and the costs of exchanges. What cannot be built is left: who runs the scenario
/// says why. So is what takes a simulation, the exchanges of network `flow`.
void prepare(const Scenario& scenario);
/// The fabric and the distances between its dies.
void prepare(const hw::Platform& platform);

}  // namespace cmsim::run
