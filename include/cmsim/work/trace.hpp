// A trace: what was asked of the serving system, one row a request, in order of arrival.
//
// Lengths are tokens, times are seconds from the start of the trace. Block ids are prefix-chained:
// an equal id means the same block and the same prefix before it; reuse is the longest common
// leading run. Invariant: arrivals are 0 to kLatestStamp and never decrease; there are at most
// kMostRequests rows and kMostBlocks block ids; blocks(i).size() is 0 or ceil(prompt_tokens /
// block_size).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cmsim/base/units.hpp"

namespace cmsim::work {

inline constexpr std::int64_t kMostTokens = INT32_MAX;     // of a prompt, of an answer
inline constexpr std::int64_t kMostRequests = 50'000'000;  // 2 GB of rows
inline constexpr std::int64_t kMostBlocks = 500'000'000;   // 4 GB of ids
/// Some 300 years: beyond it a double no longer holds microseconds.
inline constexpr Seconds kLatestStamp = 1e10;

struct TraceRow {
  Seconds arrival = 0;
  std::int32_t prompt_tokens = 0;  // > 0
  std::int32_t output_tokens = 0;  // >= 1
  std::uint32_t first_block = 0;   // into Trace::block_ids
  std::uint32_t block_count = 0;   // 0 = the trace knows no blocks
  std::uint32_t session = 0;       // equal for the turns of one; 0 = the trace names none
  std::uint32_t turn = 0;          // its number in the session, from 1; 0 = of no session
  std::uint32_t answers = 0;       // the turn of the session that it goes on from; 0 = begins it
  std::int32_t request_class = 0;  // into Trace::classes
};

/// Of a request whose user reads the answer to another one first.
struct Wait {
  std::int32_t after = -1;  // an earlier row; -1: it comes at its arrival
  Seconds think = 0;        // from the end of that request on
};

struct Trace {
  std::string name;          // file name or generator
  std::string format;        // "mooncake", "bailian", "azure", "burstgpt", "vidur", "servegen", ...
  int block_size = 512;      // tokens a block
  bool has_arrivals = true;  // false: the file gives lengths only, and every arrival is 0
  std::vector<TraceRow> rows;
  std::vector<std::uint64_t> block_ids;
  /// Requests that are in decode when the run begins: of the first rows, the share of the output
  /// that they have already, in (0, 1).
  std::vector<double> progress;
  /// By row, or empty where every request comes at its arrival. The arrival of one that waits says
  /// when it would have come, and nothing else.
  std::vector<Wait> waits;
  std::vector<std::string> classes;  // names of request classes; empty = the trace knows none
  std::int64_t dropped = 0;  // rows of the file that are no requests (e.g. BurstGPT failures)
  std::string dropped_reason;

  std::span<const std::uint64_t> blocks(std::size_t row) const {
    return std::span(block_ids).subspan(rows[row].first_block, rows[row].block_count);
  }
  bool has_blocks() const { return !block_ids.empty(); }
  Seconds duration() const { return rows.empty() ? 0 : rows.back().arrival - rows.front().arrival; }
};

}  // namespace cmsim::work
