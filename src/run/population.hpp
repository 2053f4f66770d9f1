// A stationary start: the requests that are in decode when the run begins.
//
// How many follows from the load by Little's law, which of them and how far they are from the
// stationary distribution: a request is met in decode in proportion to its output length
// (length-biased), at an age that is uniform over it (D. R. Cox, "Renewal Theory", 1962, §5).
// Prefill queues and the context cache start empty.
#pragma once

#include "cmsim/run/scenario.hpp"
#include "cmsim/work/trace.hpp"
#include "step_models.hpp"

namespace cmsim::run {

/// Puts the first population into the trace. A closed loop of decode alone: its first requests, as
/// many as fit, are under way. An open stream: N requests, drawn from the trace, come before it
/// with
///   N = lambda * E[output] / (tokens of an iteration) * T(N),
/// T(N) the time of a step in which each of these N went to the die with the least KV; at most as
/// many as the slots and the KV space hold. Under a router that balances less, more will gather,
/// which takes as long as requests are in decode. Draws from stream "run/population". Throws
/// ConfigError when the trace has no stream of arrivals.
void add_population(work::Trace& trace, const Scenario& scenario, const StepModels& models);

}  // namespace cmsim::run
