// Where ramp and drain end: the part of a run that headlines are measured in.
//
// Ends with the last arrival; begins where MSER-5 puts the end of the warm-up, or where it is set.
// Begins and ends with bins of the timeline.
#pragma once

#include <optional>
#include <span>

#include "cmsim/metrics/result.hpp"
#include "cmsim/metrics/timeline.hpp"

namespace cmsim::metrics {

/// How many of the first observations belong to the warm-up, a multiple of 5: the number that
/// minimises the squared standard error of the mean of the rest, over batch means of 5 (MSER-5:
/// K. P. White, M. J. Cobb, S. C. Spratt, "A comparison of five steady-state truncation heuristics
/// for simulation", Winter Simulation Conference 2000). Nothing when the minimum lies in the second
/// half, which says that the series is too short, or when there are fewer than 50.
std::optional<std::size_t> mser5(std::span<const double> series);

struct WindowSpec {
  std::optional<Seconds> warmup{};  // /window/warmup; else by MSER-5
  bool stationary_start = false;    // no warm-up: the slow drifts of decode would be taken for one
};

/// Of the requests in prefill, those in decode and the reserved KV space, over the bins until the
/// last send, the longest warm-up by MSER-5; none after a stationary start.
/// Where it finds none the window is the second half of the arrivals and not steady; with arrivals
/// that end within a 20th of the run it is all of it. A window is also not steady when it is
/// shorter than the mean request is in the system, because then none of those measured has met the
/// state of the end.
Window find_window(const Timeline& timeline, const Records& records, Seconds run_end,
                   const WindowSpec& spec);

/// The same when it is known how the system keeps up: where it does not, no stream of arrivals is
/// long enough for a steady state.
Window with_load(Window window, Load load);

}  // namespace cmsim::metrics
