// The mean decode step and prefill batch of a run, broken down; what binds it; what it could carry.
#pragma once

#include "cmsim/metrics/result.hpp"
#include "cmsim/run/scenario.hpp"
#include "step_models.hpp"

namespace cmsim::run {

/// Of the window's mean step and batch (of the whole run's when none ended in it), for the roles
/// that did anything. With them, what binds the window: operators by their share of the critical
/// path, times the share of the window in which the role runs.
void add_breakdowns(metrics::Result& result, const StepModels& models);

/// What prefill is offered by the requests sent in the window, and what it could sustain: full
/// batches of the mean prompt on every instance. Nothing without an open stream of requests.
std::optional<metrics::RoleLoad> prefill_load(const metrics::Result& result,
                                              const Scenario& scenario, const StepModels& models);

/// The same of decode: all dies hold as many sequences of the mean context as slots and KV space
/// allow, or as many as keep the TPOT limit. A step is taken to be longer than the even one by the
/// factor seen in the window, since the die with the longest contexts paces all.
std::optional<metrics::RoleLoad> decode_load(const metrics::Result& result,
                                             const Scenario& scenario, const StepModels& models);

}  // namespace cmsim::run
