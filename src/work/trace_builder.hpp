// Collects the rows of a trace file and holds them to the invariants of trace.hpp; every reader of
// a single-file format ends here. Errors name file and line (of both rows where two are at odds).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cmsim/work/trace.hpp"
#include "cmsim/work/trace_reader.hpp"
#include "input_stream.hpp"

namespace cmsim::work {

/// What the format calls the fields, for messages.
struct FieldNames {
  std::string_view arrival, prompt, output, blocks;
};

struct RawRow {
  Seconds arrival = 0;
  std::int64_t prompt = 0, output = 0;
  bool has_blocks = false;
  std::span<const std::uint64_t> blocks = {};
  std::string_view request_class = {};               // empty: the file names none
  std::uint32_t session = 0, turn = 0, answers = 0;  // as in TraceRow
};

/// A partial last block without an id (Bailian may leave it out) gets one that no file id equals.
enum class PartialBlock { kHasId, kMayLackId };

class TraceBuilder {
 public:
  TraceBuilder(const InputStream& input, std::string format, int default_block_size,
               FieldNames names, const ReadOptions& options,
               PartialBlock partial = PartialBlock::kHasId);

  /// Checks and keeps a row read from the current line of the input.
  void add(const RawRow& row);
  /// No row that follows would be kept: enough are, or the time to keep has passed.
  bool complete() const {
    return static_cast<std::int64_t>(trace_.rows.size()) >= max_requests_ || last_arrival_ >= end_;
  }
  /// The trace; ConfigError when the file has no request at all.
  Trace finish() &&;

  Trace& trace() { return trace_; }

 private:
  void check_order(Seconds arrival);
  void check_tokens(std::string_view field, std::int64_t found, std::int64_t least) const;
  void append_blocks(const RawRow& row, TraceRow& kept);
  std::int32_t class_of(std::string_view name);

  const InputStream& input_;
  FieldNames names_;
  Seconds start_, end_;
  std::int64_t max_requests_;
  PartialBlock partial_;
  Trace trace_;
  Seconds last_arrival_ = -1e300;
  int last_line_ = 0;
  int first_blocks_line_ = 0, first_bare_line_ = 0;  // first rows with and without blocks
  std::int64_t rows_seen_ = 0;
};

}  // namespace cmsim::work
