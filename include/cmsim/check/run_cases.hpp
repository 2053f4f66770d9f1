// Runs the cases of a baseline: every seed of every case is a point of one pool.
#pragma once

#include <vector>

#include "cmsim/check/baseline.hpp"
#include "cmsim/check/verdict.hpp"
#include "cmsim/study/runner.hpp"

namespace cmsim::check {

/// Figures of all cases in their order; a case that fails for one seed has none and says why.
/// Numbers over several seeds are means with their intervals.
std::vector<CaseRun> run_cases(const Baseline& baseline, const study::Work& work,
                               const study::RunnerOptions& options);

/// The mean over seeds: of metrics and parts that every one has; a text that differs between seeds
/// becomes a list, e.g. "overloaded x 2, stable x 10". Settings are those of the first.
Figures mean_of(const std::vector<Figures>& seeds);

}  // namespace cmsim::check
