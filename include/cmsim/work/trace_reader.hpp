// Reading request traces as they are published: plain, .gz or .zst, told apart by header or keys.
//
// Formats: mooncake, bailian (JSONL); azure, burstgpt, vidur (CSV); servegen (a profile directory
// or a tar of one, from which requests are drawn). Lengths are tokens, times seconds. Either a
// whole trace that keeps the invariants of trace.hpp is returned, or a ConfigError names file, line
// and field, what was found and what is allowed. A file is read once, front to back, so it may be a
// pipe; what it may expand to is bounded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cmsim/work/trace.hpp"

namespace cmsim::work {

/// What a trace, and all files of a ServeGen profile together, may hold decompressed unless
/// ReadOptions::max_bytes says otherwise.
inline constexpr Bytes kMostTraceBytes = 8'000'000'000, kMostProfileBytes = 1'000'000'000;

struct ReadOptions {
  std::string format = "auto";         // one of known_formats(), or "auto"
  std::optional<int> block_size = {};  // tokens a block; default: what the format's publisher used
  // Part of the trace to keep: of what arrives in [start, end) the first `max_requests`. Arrivals
  // are not shifted by it. A file is read no further than needed, and what follows is not checked.
  Seconds start = 0, end = 1e300;
  std::int64_t max_requests = INT64_MAX;
  std::optional<Bytes> max_bytes = {};  // most the file may hold decompressed
  std::uint64_t seed = 1;               // for formats from which requests are drawn (servegen)
};

/// Reads the file or directory at `path`.
Trace read_trace(const std::filesystem::path& path, const ReadOptions& options = {});

/// Reads a trace held in memory (compressed or not); `name` stands for the file in messages.
Trace parse_trace(std::string_view content, const std::string& name,
                  const ReadOptions& options = {});

/// The format names that ReadOptions::format and /workload/format accept, without "auto".
const std::vector<std::string>& known_formats();

}  // namespace cmsim::work
