#include <fmt/format.h>

#include <array>
#include <vector>

#include "json_cursor.hpp"
#include "trace_builder.hpp"
#include "trace_formats.hpp"

namespace cmsim::work {
namespace {

// Both formats are objects of these four fields; whatever else a row says is checked to be JSON and
// left aside.
enum Field { kTimestamp, kInput, kOutput, kHashIds, kFields };
constexpr std::array<std::string_view, kFields> kNames{"timestamp", "input_length", "output_length",
                                                       "hash_ids"};
constexpr FieldNames kFieldNames{kNames[kTimestamp], kNames[kInput], kNames[kOutput],
                                 kNames[kHashIds]};

class RowReader {
 public:
  explicit RowReader(double seconds_per_stamp) : seconds_per_stamp_(seconds_per_stamp) {}

  /// The row on `line`; its blocks live until the next call.
  RawRow read(std::string_view line) {
    JsonCursor json(line);
    RawRow row;
    std::array<bool, kFields> seen{};
    json.expect('{');
    if (!json.consume('}')) {
      do read_member(json, row, seen);
      while (json.more('}'));
    }
    json.expect_end();
    for (const Field field : {kTimestamp, kInput, kOutput}) {
      if (!seen[field]) throw TextError(0, fmt::format("{} is missing", kNames[field]));
    }
    row.has_blocks = seen[kHashIds];
    row.blocks = ids_;
    return row;
  }

 private:
  void read_member(JsonCursor& json, RawRow& row, std::array<bool, kFields>& seen) {
    const std::size_t start = json.offset();
    const std::string_view key = json.key();
    std::size_t field = 0;
    while (field < kFields && kNames[field] != key) ++field;
    if (field == kFields) {
      json.skip_value();
      return;
    }
    if (seen[field]) throw TextError(start, fmt::format("{} is given twice", key));
    seen[field] = true;
    switch (field) {
      case kTimestamp:
        row.arrival = json.number(key) * seconds_per_stamp_;
        break;
      case kInput:
        row.prompt = json.integer(key);
        break;
      case kOutput:
        row.output = json.integer(key);
        break;
      default:
        json.ids(key, ids_);
    }
  }

  double seconds_per_stamp_;
  std::vector<std::uint64_t> ids_;
};

Trace read_rows(InputStream& input, TraceBuilder builder, RowReader reader) {
  while (!builder.complete()) {
    const auto line = input.read_line();
    if (!line) break;
    if (line->find_first_not_of(" \t") == std::string_view::npos) continue;
    try {
      builder.add(reader.read(*line));
    } catch (const TextError& error) {
      input.fail(fmt::format("column {}: {}", error.offset() + 1, error.what()));
    }
  }
  return std::move(builder).finish();
}

}  // namespace

Trace read_mooncake(InputStream& input, const ReadOptions& options) {
  return read_rows(input, TraceBuilder(input, "mooncake", 512, kFieldNames, options),
                   RowReader(1e-3));
}

Trace read_bailian(InputStream& input, const ReadOptions& options) {
  return read_rows(
      input, TraceBuilder(input, "bailian", 16, kFieldNames, options, PartialBlock::kMayLackId),
      RowReader(1));
}

}  // namespace cmsim::work
