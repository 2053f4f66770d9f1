#include <optional>

#include "csv.hpp"
#include "trace_builder.hpp"
#include "trace_formats.hpp"
#include "wall_clock.hpp"

namespace cmsim::work {
namespace {

// None of these formats knows blocks; the size only says how a cache would cut the prompts.
constexpr int kBlockSize = 512;

}  // namespace

Trace read_azure(InputStream& input, const ReadOptions& options) {
  CsvReader csv(input);
  const std::size_t stamp = csv.column("TIMESTAMP");
  const std::size_t prompt = csv.column("ContextTokens");
  const std::size_t output = csv.column("GeneratedTokens");
  TraceBuilder builder(input, "azure", kBlockSize,
                       {"TIMESTAMP", "ContextTokens", "GeneratedTokens", ""}, options);
  std::optional<WallClock> start;
  while (!builder.complete() && csv.next()) {
    const auto clock = parse_wall_clock(csv.text(stamp));
    if (!clock) csv.fail(stamp, "a time stamp like 2023-11-16 18:15:46.6805900");
    if (!start) start = clock;
    builder.add({.arrival = clock->since(*start),
                 .prompt = csv.integer(prompt),
                 .output = csv.integer(output)});
  }
  return std::move(builder).finish();
}

Trace read_burstgpt(InputStream& input, const ReadOptions& options) {
  CsvReader csv(input);
  const std::size_t stamp = csv.column("Timestamp");
  const std::size_t prompt = csv.column("Request tokens");
  const std::size_t output = csv.column("Response tokens");
  const auto log = csv.find_column("Log Type");
  TraceBuilder builder(input, "burstgpt", kBlockSize,
                       {"Timestamp", "Request tokens", "Response tokens", ""}, options);
  while (!builder.complete() && csv.next()) {
    builder.add({.arrival = csv.number(stamp),
                 .prompt = csv.integer(prompt),
                 .output = csv.integer(output),
                 .request_class = log ? csv.text(*log) : std::string_view()});
  }
  return std::move(builder).finish();
}

Trace read_vidur(InputStream& input, const ReadOptions& options) {
  CsvReader csv(input);
  const std::size_t prompt = csv.column("num_prefill_tokens");
  const std::size_t output = csv.column("num_decode_tokens");
  const auto stamp = csv.find_column("arrived_at");
  TraceBuilder builder(input, "vidur", kBlockSize,
                       {"arrived_at", "num_prefill_tokens", "num_decode_tokens", ""}, options);
  builder.trace().has_arrivals = stamp.has_value();
  while (!builder.complete() && csv.next()) {
    builder.add({.arrival = stamp ? csv.number(*stamp) : 0,
                 .prompt = csv.integer(prompt),
                 .output = csv.integer(output)});
  }
  return std::move(builder).finish();
}

}  // namespace cmsim::work
