// Another draw of a recorded trace: a circular block bootstrap over time.
//
// Stretches of the trace of one length are drawn with replacement and put in a row until it is as
// long as before (D. N. Politis, J. P. Romano, "A circular block-resampling procedure for
// stationary data", 1992; the moving-block bootstrap without its bias at the ends). A session comes
// whole, at the distance from its start that its turns had: what is drawn is its first request.
// When a stretch is drawn again, its sessions are other users': blocks that only one session has
// get new ids, prefixes that sessions share keep theirs. Turns beyond the end wrap to the start.
#pragma once

#include "cmsim/base/random.hpp"
#include "cmsim/work/trace.hpp"

namespace cmsim::work {

/// `block`: seconds of a stretch, above 0. The trace has arrivals; they begin at 0 afterwards.
Trace resample(const Trace& trace, Seconds block, RandomStream random);

struct Sessions {
  /// By row, numbered by their first row: those that the trace names; else a row goes on with the
  /// session of an earlier one when it shares a block below the last point where the tree of
  /// prefixes branches. It branches at a block that two or more different blocks follow which are
  /// followed themselves, or more than eight in all: those of one session lie on one path, beside
  /// the last, partly filled blocks of its turns.
  std::vector<std::size_t> of_row;
  /// By row, how many of its first blocks are part of a prefix that several sessions share.
  std::vector<std::size_t> shared_head;
};
Sessions find_sessions(const Trace& trace);

}  // namespace cmsim::work
