#include "cmsim/work/trace_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cmsim/base/error.hpp"
#include "cmsim/base/utf8.hpp"
#include "csv.hpp"
#include "tar.hpp"
#include "trace_formats.hpp"

namespace cmsim::work {
namespace {

using Reader = Trace (*)(InputStream&, const ReadOptions&);

struct Format {
  std::string_view name;
  Reader read;
  std::string_view looks;  // for the message when nothing fits
};

constexpr Format kFormats[] = {
    {"mooncake", read_mooncake, "JSONL with timestamp, input_length, output_length, hash_ids"},
    {"bailian", read_bailian, "JSONL with chat_id"},
    {"azure", read_azure, "CSV with TIMESTAMP,ContextTokens,GeneratedTokens"},
    {"burstgpt", read_burstgpt, "CSV with Timestamp,Request tokens,Response tokens"},
    {"vidur", read_vidur, "CSV with num_prefill_tokens,num_decode_tokens"},
    {"servegen", read_servegen, "a directory or tar with chunk-*-trace.csv, chunk-*-dataset.json"},
};

/// The format by the first line (JSON keys or CSV header) or, for a tar, by its magic.
std::string detect(InputStream& input) {
  if (is_tar(input.peek(kTarBlock))) return "servegen";
  const std::string_view head = input.peek(64 * 1024);
  std::string_view line = head.substr(0, head.find('\n'));
  if (line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const auto has = [&](std::string_view word) { return line.find(word) != std::string_view::npos; };
  if (line.find_first_not_of(" \t") != std::string_view::npos &&
      line[line.find_first_not_of(" \t")] == '{') {
    if (has("\"chat_id\"")) return "bailian";
    if (has("\"input_length\"") || has("\"hash_ids\"")) return "mooncake";
  } else {
    std::vector<std::string_view> columns;
    split_csv(line, columns);
    const auto column = [&](std::string_view name) {
      return std::find(columns.begin(), columns.end(), name) != columns.end();
    };
    if (column("ContextTokens")) return "azure";
    if (column("Request tokens")) return "burstgpt";
    if (column("num_prefill_tokens")) return "vidur";
  }
  if (head.empty()) input.fail("is empty");
  std::string known;
  for (const Format& format : kFormats) known += fmt::format("; {}: {}", format.name, format.looks);
  const bool text = find_non_text(line) == std::string_view::npos;
  input.fail(fmt::format("unknown trace format, it begins {}; known are{}",
                         text ? fmt::format("\"{}\"", line.substr(0, 60)) : "with no text",
                         known.substr(1)));
}

Trace read_from(InputStream& input, const ReadOptions& options) {
  const std::string name = options.format == "auto" ? detect(input) : options.format;
  for (const Format& format : kFormats) {
    if (format.name == name) return format.read(input, options);
  }
  const std::string close_one = closest_match(name, known_formats());
  throw ConfigError(fmt::format(
      "unknown trace format \"{}\", allowed are auto, {}{}", name, fmt::join(known_formats(), ", "),
      close_one.empty() ? "" : fmt::format("; did you mean \"{}\"?", close_one)));
}

}  // namespace

Trace read_trace(const std::filesystem::path& path, const ReadOptions& options) {
  if (options.block_size && *options.block_size < 1) {
    throw ConfigError(fmt::format("block size is {}, allowed is at least 1", *options.block_size));
  }
  if (options.start >= options.end) {
    throw ConfigError(
        fmt::format("end ({} s) is not after start ({} s)", options.end, options.start));
  }
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    if (options.format != "auto" && options.format != "servegen") {
      throw ConfigError({.file = path.string(), .line = 0, .pointer = ""},
                        fmt::format("is a directory, and format {} is a file", options.format));
    }
    return read_servegen(path, options);
  }
  InputStream input(path, options.max_bytes.value_or(kMostTraceBytes));
  return read_from(input, options);
}

Trace parse_trace(std::string_view content, const std::string& name, const ReadOptions& options) {
  require_utf8(name);
  InputStream input(content, name, options.max_bytes.value_or(kMostTraceBytes));
  return read_from(input, options);
}

const std::vector<std::string>& known_formats() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const Format& format : kFormats) names.emplace_back(format.name);
    return names;
  }();
  return kNames;
}

}  // namespace cmsim::work
