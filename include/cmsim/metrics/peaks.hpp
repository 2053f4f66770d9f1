// The busiest second of a run, as vLLM's benchmark finds it: seconds are counted from the first
// send of a request that finished. Requests are counted that finished, tokens of all steps.
#pragma once

#include "cmsim/metrics/result.hpp"
#include "cmsim/serve/deployment.hpp"

namespace cmsim::metrics {

Peaks peaks_of(const Result& result, serve::Role role);

}  // namespace cmsim::metrics
