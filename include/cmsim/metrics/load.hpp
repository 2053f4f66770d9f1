// Whether a system keeps up with what it is sent.
#pragma once

#include <span>

#include "cmsim/metrics/result.hpp"

namespace cmsim::metrics {

/// With W1..W3 the mean number of waiting requests in the thirds of the window, lambda the rate at
/// which they are sent in it and g = (W3 - W1) / (2/3 window) the growth of W:
///   overloaded: a role is offered more than it can sustain; or W1 < W2 < W3 and g / lambda is
///   above
///               10 %, or above 2 % while in the last third a request waits longer (W3 / lambda,
///               Little) than the mean request is served in the window;
///   saturated:  not so, but decode is offered more than it can sustain with a step that keeps the
///               TPOT limit, or requests wait for more than half of their time in the window;
///   unserved:   neither, and no request finished;
///   stable:     otherwise.
/// What happens after the last arrival has no part in it. `prefill` and `decode`: of roles that are
/// sent an open stream of requests.
LoadVerdict judge_load(const Result& result, const std::optional<RoleLoad>& prefill,
                       const std::optional<RoleLoad>& decode);

}  // namespace cmsim::metrics
