// Whether a system keeps up with what it is sent.
#pragma once

#include <span>

#include "cmsim/metrics/result.hpp"

namespace cmsim::metrics {

/// What decides when requests come: dates, or that others have finished.
enum class Stream { kOpen, kClosedLoop };

/// What the roles of a system are offered, of an open stream.
struct Offer {
  Stream stream = Stream::kOpen;
  std::optional<RoleLoad> prefill, decode;
};

/// While requests come, so that what comes in it over its length is what a system is offered: the
/// measurement window, or from the first send to the last where that is the whole run.
struct LoadSpan {
  Seconds from = 0, to = 0;
  Seconds length() const { return to - from; }
};
LoadSpan load_span(const Result& result);

/// With W1..W3 the mean number of waiting requests in the thirds of the window, lambda the rate at
/// which they are sent in it and g = (W3 - W1) / (2/3 window) the growth of W:
///   overloaded: a role is offered more than it can sustain; or W1 < W2 < W3 and g / lambda is
///   above
///               10 %, or above 2 % while in the last third a request waits longer (W3 / lambda,
///               Little) than the mean request is served in the window;
///   saturated:  not so, but decode is offered more than it can sustain with a step that keeps the
///               TPOT limit, or requests wait for more than half of their time in the window;
///   unserved:   neither, and no request that came finished;
///   stable:     otherwise.
/// What is offered goes before all that is seen: a stream too short to be watched, whose window is
/// the whole run, is judged by it all the same. All at once there is no rate to judge.
LoadVerdict judge_load(const Result& result, const Offer& offer);

}  // namespace cmsim::metrics
