// Sessions: the turns of one user, each going on from the answer to an earlier one.
//
// A trace names them (TraceRow::session, turn, answers), or prefixes tell them (find_sessions). Who
// waits for whom follows from the names: a turn whose predecessor is not among the rows before it
// (cut off, or it comes by the end of a stream that goes around) waits for nobody.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cmsim/base/random.hpp"
#include "cmsim/work/trace.hpp"
#include "cmsim/work/workload.hpp"

namespace cmsim::work {

/// Tokens of a block of prompts that are drawn, unless /workload/block_size says otherwise.
inline constexpr int kDrawnBlock = 128;

/// So many requests of sessions, one session after the other, each from time 0 on. The last session
/// is cut off. Draws from streams "work/sessions/...". ConfigError with pointers below
/// /workload/sessions.
Trace draw_sessions(const SessionDraw& draw, std::int64_t requests, int block_size,
                    Seconds answer_time_per_token, std::uint64_t seed);

/// Names the sessions of a trace that names none, by its prefixes. False where it has no blocks.
bool name_sessions(Trace& trace);

/// By row, the row that it goes on from; -1 for one that begins a session or has lost its own.
std::vector<std::int32_t> predecessors(const Trace& trace);

/// Dates the rows without a predecessor anew, in order of the trace; the others keep their distance
/// from theirs. Rows are put in order of arrival. `around`: what comes after the last date comes at
/// the start instead.
void redate(Trace& trace, const std::function<Seconds()>& next, bool around);

/// Lets the turns wait: think time = gap to the predecessor's arrival - time of its answer, 0 at
/// least.
void let_turns_wait(Trace& trace, Seconds answer_time_per_token);

}  // namespace cmsim::work
