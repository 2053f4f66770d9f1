// Verdicts over the whole run, from its request records alone: steady window and load.
#pragma once

#include <span>

#include "cmsim/metrics/result.hpp"

namespace cmsim::metrics {

/// From the first send plus the p90 latency of finished requests (at most a third of the arrival
/// window, so that an overloaded run keeps one) to the last send. When all requests are sent within
/// a thousandth of the run there is no steady state, and the window is [first send, run_end].
SteadyWindow steady_window(std::span<const serve::RequestRecord> records, Seconds run_end);

/// With W1..W3 the mean number of waiting requests in the thirds of the arrival window, lambda the
/// arrival rate and g = (W3 - W1) / (2/3 window) its growth:
///   overloaded: W1 < W2 < W3, g / lambda > 2 %, and in the last third a request waits longer
///               (W3 / lambda, Little) than it is served on average;
///   backlogged: not so, but requests spend more than half of their latency waiting;
///   unserved:   neither, and no request finished;
///   stable:     otherwise.
LoadVerdict judge_load(std::span<const serve::RequestRecord> records, Seconds run_end);

}  // namespace cmsim::metrics
