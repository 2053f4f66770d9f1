// A number computed in a child process, so that what the computation does to the process (SimGrid's
// one engine) stays there.
#pragma once

#include <functional>

namespace cmsim::run {

/// The value of `compute`, bit for bit. An exception in the child, or its death by a signal,
/// becomes a SimulationError here. Not to be called while other threads run.
double in_child(const std::function<double()>& compute);

}  // namespace cmsim::run
