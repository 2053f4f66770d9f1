// The busiest second of a run, as vLLM's benchmark finds it: seconds are counted from the first
// send of a request that finished, and only requests that finished are looked at.
#pragma once

#include "cmsim/metrics/result.hpp"
#include "cmsim/serve/deployment.hpp"

namespace cmsim::metrics {

Peaks peaks_of(const Result& result, serve::Role role);

}  // namespace cmsim::metrics
