#include "trace_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "class_names.hpp"
#include "cmsim/base/utf8.hpp"

namespace cmsim::work {
namespace {

constexpr std::uint64_t kPrivateBlock = std::uint64_t{1} << 63;

}  // namespace

TraceBuilder::TraceBuilder(const InputStream& input, std::string format, int default_block_size,
                           FieldNames names, const ReadOptions& options, PartialBlock partial)
    : input_(input),
      names_(names),
      start_(options.start),
      end_(options.end),
      max_requests_(options.max_requests),
      partial_(partial) {
  trace_.name = std::filesystem::path(input.name()).filename().string();
  trace_.format = std::move(format);
  trace_.block_size = options.block_size.value_or(default_block_size);
}

void TraceBuilder::check_order(Seconds arrival) {
  if (arrival < last_arrival_) {
    input_.fail(
        fmt::format("{} ({:.6f} s) is before that of line {} ({:.6f} s), rows must be in "
                    "order of time",
                    names_.arrival, arrival, last_line_, last_arrival_));
  }
  if (!(arrival >= 0 && arrival <= kLatestStamp)) {
    input_.fail(
        fmt::format("{} is {:g} s, allowed is 0 to {:g} s", names_.arrival, arrival, kLatestStamp));
  }
  last_arrival_ = arrival;
  last_line_ = input_.line_number();
}

void TraceBuilder::check_tokens(std::string_view field, std::int64_t found,
                                std::int64_t least) const {
  if (found < least || found > kMostTokens) {
    input_.fail(
        fmt::format("{} is {}, allowed is {} to {} tokens", field, found, least, kMostTokens));
  }
}

void TraceBuilder::append_blocks(const RawRow& row, TraceRow& kept) {
  (row.has_blocks ? first_blocks_line_ : first_bare_line_) = input_.line_number();
  if (first_blocks_line_ != 0 && first_bare_line_ != 0) {
    input_.fail(fmt::format("a row {} {}, unlike the rows before",
                            row.has_blocks ? "with" : "without", names_.blocks));
  }
  if (!row.has_blocks) return;

  const std::int64_t size = trace_.block_size;
  const std::int64_t needed = (row.prompt + size - 1) / size;
  const auto given = static_cast<std::int64_t>(row.blocks.size());
  const bool lacks_last =
      partial_ == PartialBlock::kMayLackId && row.prompt % size != 0 && given == needed - 1;
  if (given != needed && !lacks_last) {
    input_.fail(
        fmt::format("{} {} for {} tokens, {} blocks of {} tokens are needed (is block_size "
                    "right?)",
                    given, names_.blocks, row.prompt, needed, size));
  }
  if (static_cast<std::int64_t>(trace_.block_ids.size()) + needed > kMostBlocks) {
    input_.fail(
        fmt::format("more than {} blocks in one trace; cut it with start, end or "
                    "max_requests",
                    kMostBlocks));
  }
  if (partial_ == PartialBlock::kMayLackId) {
    for (const std::uint64_t id : row.blocks) {
      if (id >= kPrivateBlock) {
        input_.fail(fmt::format("{} holds {}, allowed is less than 2^63", names_.blocks, id));
      }
    }
  }
  kept.first_block = static_cast<std::uint32_t>(trace_.block_ids.size());
  trace_.block_ids.insert(trace_.block_ids.end(), row.blocks.begin(), row.blocks.end());
  if (lacks_last) {
    trace_.block_ids.push_back(kPrivateBlock | static_cast<std::uint64_t>(rows_seen_));
  }
  kept.block_count = static_cast<std::uint32_t>(needed);
}

/// Numbered in the order in which they are met.
std::int32_t TraceBuilder::class_of(std::string_view name) {
  constexpr std::size_t kMostClasses = 100;
  const auto place = std::ranges::find(trace_.classes, name);
  if (!can_name_a_class(name)) {
    input_.fail(fmt::format("\"{}\" is no name of a class of requests, allowed are {}",
                            printable(name), kInClassNames));
  }
  if (place == trace_.classes.end() && trace_.classes.size() == kMostClasses) {
    input_.fail(fmt::format("more than {} classes of requests in one trace", kMostClasses));
  }
  const auto number = static_cast<std::int32_t>(place - trace_.classes.begin());
  if (place == trace_.classes.end()) trace_.classes.emplace_back(name);
  return number;
}

void TraceBuilder::add(const RawRow& row) {
  ++rows_seen_;
  if (trace_.has_arrivals) check_order(row.arrival);
  check_tokens(names_.output, row.output, 0);
  const bool kept = row.arrival >= start_ && row.arrival < end_;
  if (row.output == 0) {
    if (kept) ++trace_.dropped;
    trace_.dropped_reason = "no output tokens (a failed request)";
    return;
  }
  check_tokens(names_.prompt, row.prompt, 1);
  TraceRow request{.arrival = row.arrival,
                   .prompt_tokens = static_cast<std::int32_t>(row.prompt),
                   .output_tokens = static_cast<std::int32_t>(row.output),
                   .session = row.session,
                   .turn = row.turn,
                   .answers = row.answers};
  if (kept && !row.request_class.empty()) request.request_class = class_of(row.request_class);
  const std::size_t blocks_before = trace_.block_ids.size();
  append_blocks(row, request);
  if (kept) {
    if (static_cast<std::int64_t>(trace_.rows.size()) == kMostRequests) {
      input_.fail(
          fmt::format("more than {} requests in one trace; cut it with start, end or "
                      "max_requests",
                      kMostRequests));
    }
    trace_.rows.push_back(request);
  } else {
    trace_.block_ids.resize(blocks_before);
  }
}

Trace TraceBuilder::finish() && {
  if (rows_seen_ == 0) input_.fail("holds no requests");
  if (trace_.dropped == 0) trace_.dropped_reason.clear();
  return std::move(trace_);
}

}  // namespace cmsim::work
