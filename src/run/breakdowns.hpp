// The mean decode step and prefill batch of a run, broken down; what binds it; what it could carry.
#pragma once

#include "cmsim/metrics/load.hpp"
#include "cmsim/metrics/result.hpp"
#include "cmsim/run/scenario.hpp"
#include "step_models.hpp"

namespace cmsim::run {

/// Of the window's mean step and batch (of the whole run's when none ended in it), for the roles
/// that did anything. With them, what binds the window: operators by their share of the critical
/// path, times the share of the window in which the role runs.
void add_breakdowns(metrics::Result& result, const StepModels& models);

/// What the roles are offered by what is sent in load_span(), and what they could sustain; nothing
/// in a closed loop or all at once.
metrics::Offer offer_of(const metrics::Result& result, const Scenario& scenario,
                        const StepModels& models);

}  // namespace cmsim::run
