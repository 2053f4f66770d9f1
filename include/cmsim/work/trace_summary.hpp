// What a trace is, in numbers: rates, lengths, and how much of its prompts a prefix cache could
// reuse.
//
// Reuse is order-based: requests in order of arrival, each looking up its longest leading run of
// cached blocks, then leaving all its blocks in an LRU cache at once. It is an upper bound for a
// real replay, where a block can be reused only once it has been computed. Times s, lengths tokens.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cmsim/work/trace.hpp"

namespace cmsim::work {

struct LengthSummary {
  double mean = 0, cv = 0;           // cv = standard deviation / mean
  double p50 = 0, p90 = 0, p99 = 0;  // linear interpolation between ranks, as numpy
  std::int64_t max = 0, total = 0;
};

struct PrefixReuse {
  std::int64_t cache_blocks = 0;  // capacity in blocks; 0 = unbounded
  double by_block = 0;            // blocks found / blocks asked for
  double by_token = 0;            // sum of min(block_size * run, prompt) / sum of prompts
};

struct TraceSummary {
  std::string name, format;
  std::int64_t requests = 0, dropped = 0;
  std::string dropped_reason;
  bool has_arrivals = true;
  Seconds duration = 0;              // first to last arrival
  double mean_rate = 0;              // (requests - 1) / duration, requests/s
  double peak_rate = 0;              // most arrivals in one calendar minute of the trace / 60 s
  double interarrival_cv = 0;        // 1 for Poisson
  std::int64_t distinct_stamps = 0;  // rows may share time stamps
  LengthSummary prompt, output;
  int block_size = 0;  // 0 = the trace knows no blocks
  std::int64_t blocks = 0, distinct_blocks = 0;
  std::vector<PrefixReuse> reuse;  // ascending capacity, unbounded last; empty without blocks
};

TraceSummary summarize(const Trace& trace);
/// The same with chosen cache sizes in blocks (0 = unbounded).
TraceSummary summarize(const Trace& trace, const std::vector<std::int64_t>& cache_sizes);

/// Order-based prefix reuse of an LRU cache of `cache_blocks` blocks (0 = unbounded).
PrefixReuse prefix_reuse(const Trace& trace, std::int64_t cache_blocks);

nlohmann::ordered_json to_json(const TraceSummary& summary);
/// A table for a terminal, lines ending in '\n'.
std::string format_table(const TraceSummary& summary);

}  // namespace cmsim::work
