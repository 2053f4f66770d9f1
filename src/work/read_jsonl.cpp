#include <fmt/format.h>

#include <array>
#include <unordered_map>
#include <vector>

#include "json_cursor.hpp"
#include "trace_builder.hpp"
#include "trace_formats.hpp"

namespace cmsim::work {
namespace {

// Objects of these fields, of which Mooncake has the first four; whatever else a row says is
// checked to be JSON and left aside.
enum Field { kTimestamp, kInput, kOutput, kHashIds, kType, kChat, kParent, kFields };
constexpr std::array<std::string_view, kFields> kNames{
    "timestamp", "input_length", "output_length", "hash_ids", "type", "chat_id", "parent_chat_id"};
constexpr std::size_t kOfMooncake = kHashIds + 1;
constexpr FieldNames kFieldNames{kNames[kTimestamp], kNames[kInput], kNames[kOutput],
                                 kNames[kHashIds]};

/// A turn belongs to the session of the turn it answers.
class ChatSessions {
 public:
  void name(RawRow& row, std::int64_t chat, std::int64_t parent) {
    if (const auto before = of_chat_.find(parent); before != of_chat_.end()) {
      row.session = before->second.session;
      row.answers = before->second.turn;
    } else {
      turns_.push_back(0);
      row.session = static_cast<std::uint32_t>(turns_.size());
    }
    row.turn = ++turns_[row.session - 1];
    of_chat_[chat] = {row.session, row.turn};
  }

 private:
  struct Turn {
    std::uint32_t session = 0, turn = 0;
  };
  std::unordered_map<std::int64_t, Turn> of_chat_;
  std::vector<std::uint32_t> turns_;  // so far, by session
};

class RowReader {
 public:
  /// Of a row the first `fields` are read.
  RowReader(double seconds_per_stamp, std::size_t fields)
      : seconds_per_stamp_(seconds_per_stamp), fields_(fields) {}

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
    if (seen[kChat]) sessions_.name(row, chat_, seen[kParent] ? parent_ : -1);
    return row;
  }

 private:
  void read_member(JsonCursor& json, RawRow& row, std::array<bool, kFields>& seen) {
    const std::size_t start = json.offset();
    const std::string_view key = json.key();
    std::size_t field = 0;
    while (field < fields_ && kNames[field] != key) ++field;
    if (field == fields_) {
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
      case kType:
        row.request_class = json.string();
        break;
      case kChat:
        chat_ = json.integer(key);
        break;
      case kParent:
        parent_ = json.integer(key);
        break;
      default:
        json.ids(key, ids_);
    }
  }

  double seconds_per_stamp_;
  std::size_t fields_;
  std::vector<std::uint64_t> ids_;
  std::int64_t chat_ = 0, parent_ = 0;
  ChatSessions sessions_;
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
                   RowReader(1e-3, kOfMooncake));
}

Trace read_bailian(InputStream& input, const ReadOptions& options) {
  return read_rows(
      input, TraceBuilder(input, "bailian", 16, kFieldNames, options, PartialBlock::kMayLackId),
      RowReader(1, kFields));
}

}  // namespace cmsim::work
