#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "cmsim/base/error.hpp"
#include "cmsim/base/utf8.hpp"
#include "servegen.hpp"
#include "tar.hpp"
#include "trace_formats.hpp"

namespace cmsim::work {
namespace {

constexpr Seconds kUsualWindow = 600;          // the last window's length, when there is just one
constexpr int kDeepestDirectory = 4;           // a profile directory may be given by a parent
constexpr std::size_t kMostEntries = 100'000;  // of a directory, and clients of a profile

/// "chunk-12-trace.csv" -> {12, kTrace}; nothing for any other file.
struct ChunkName {
  int number = 0;
  enum Kind { kTrace, kDataset } kind = kTrace;
};

std::optional<ChunkName> parse_chunk_name(std::string_view file) {
  if (!file.starts_with("chunk-")) return std::nullopt;
  file.remove_prefix(6);
  ChunkName name;
  const auto [end, error] = std::from_chars(file.data(), file.data() + file.size(), name.number);
  if (error != std::errc() || name.number < 0) return std::nullopt;
  file.remove_prefix(static_cast<std::size_t>(end - file.data()));
  if (file == "-dataset.json") {
    name.kind = ChunkName::kDataset;
  } else if (file != "-trace.csv") {
    return std::nullopt;
  }
  return name;
}

/// Collects the files of one profile, in whatever order they come, and draws requests from it.
class Profile {
 public:
  Profile(std::string name, const ReadOptions& options)
      : name_(std::move(name)), most_(options.max_bytes.value_or(kMostProfileBytes)) {}

  /// Whether `path` is a file of a profile; all must be in one directory.
  std::optional<ChunkName> accept(const std::filesystem::path& path) {
    const auto chunk = parse_chunk_name(path.filename().string());
    if (!chunk) return std::nullopt;
    directories_.insert(path.parent_path().string());
    if (directories_.size() > 1) {
      fail(fmt::format("holds more than one profile ({} and {}), name one of these directories",
                       *directories_.begin(), *directories_.rbegin()));
    }
    return chunk;
  }

  void add(ChunkName chunk, std::string_view content, const std::string& source) {
    bytes_ += static_cast<Bytes>(content.size());
    if (bytes_ > most_) {
      fail(
          fmt::format("has files of more than {} together, the most that is read; raise max_bytes "
                      "if they are right",
                      format_quantity(static_cast<double>(most_), Dimension::kBytes)));
    }
    ServeGenClient& client = clients_[chunk.number];
    if (clients_.size() > kMostEntries) fail(fmt::format("has more than {} clients", kMostEntries));
    client.source = source;
    if (chunk.kind == ChunkName::kTrace) {
      if (!client.windows.empty())
        fail(fmt::format("has the trace of chunk {} twice", chunk.number));
      client.windows = parse_rate_windows(content, source);
    } else {
      if (!has_lengths_.insert(chunk.number).second) {
        fail(fmt::format("has the dataset of chunk {} twice", chunk.number));
      }
      client.lengths = parse_length_histograms(content, source);
      periods_ += client.lengths.size();
      if (periods_ > kMostPeriods) fail(fmt::format("has more than {} periods", kMostPeriods));
    }
  }

  Trace draw(const ReadOptions& options) const {
    Trace trace;
    trace.name = name_.filename().empty() ? name_.parent_path().filename().string()
                                          : name_.filename().string();
    trace.format = "servegen";
    trace.block_size = options.block_size.value_or(trace.block_size);
    check(options);
    for (const auto& [number, client] : clients_) draw_client(number, client, options, trace);
    // Ties keep the order of the clients, which the sort must not disturb.
    std::stable_sort(trace.rows.begin(), trace.rows.end(),
                     [](const TraceRow& a, const TraceRow& b) { return a.arrival < b.arrival; });
    if (static_cast<std::int64_t>(trace.rows.size()) > options.max_requests) {
      trace.rows.resize(static_cast<std::size_t>(options.max_requests));
    }
    return trace;
  }

  Bytes most_bytes() const { return most_; }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw ConfigError({.file = name_.string(), .line = 0, .pointer = ""}, message);
  }

  static Seconds window_length(const ServeGenClient& client, std::size_t window) {
    const auto& windows = client.windows;
    if (window + 1 < windows.size()) return windows[window + 1].start - windows[window].start;
    return window > 0 ? windows[window].start - windows[window - 1].start : kUsualWindow;
  }

  /// How much of a window is to be drawn: from its start, for the draws to be those of the whole
  /// day.
  static Seconds drawn_length(const ServeGenClient& client, std::size_t window,
                              const ReadOptions& options) {
    const Seconds start = client.windows[window].start, length = window_length(client, window);
    return start + length > options.start ? std::min(length, options.end - start) : 0;
  }

  void check(const ReadOptions& options) const {
    if (clients_.empty()) {
      fail("holds no ServeGen profile, expected files chunk-N-trace.csv and chunk-N-dataset.json");
    }
    double expected = 0;
    for (const auto& [number, client] : clients_) {
      if (client.windows.empty()) fail(fmt::format("chunk-{}-trace.csv is missing", number));
      if (!has_lengths_.contains(number)) {
        fail(fmt::format("chunk-{}-dataset.json is missing", number));
      }
      for (std::size_t i = 0; i < client.windows.size(); ++i) {
        expected += client.windows[i].rate * std::max(0.0, drawn_length(client, i, options));
      }
    }
    require_few_requests(expected);
  }

  void require_few_requests(double requests) const {
    if (requests <= static_cast<double>(kMostRequests)) return;
    fail(fmt::format("asks for {:.0f} requests, allowed are {}; choose a start and an end",
                     requests, kMostRequests));
  }

  static const ServeGenClient::Lengths& lengths_at(const ServeGenClient& client, Seconds time) {
    auto found = client.lengths.upper_bound(static_cast<std::int64_t>(time));
    if (found != client.lengths.begin() && !(--found)->second.prompt.empty() &&
        !found->second.output.empty()) {
      return found->second;
    }
    throw ConfigError(
        {.file = client.source, .line = 0, .pointer = ""},
        fmt::format("has requests in the window at {} s, but no lengths for them", time));
  }

  /// Every window has streams of its own: a part of the day is drawn as it is in the whole day.
  void draw_client(int number, const ServeGenClient& client, const ReadOptions& options,
                   Trace& trace) const {
    for (std::size_t i = 0; i < client.windows.size(); ++i) {
      const RateWindow& window = client.windows[i];
      const Seconds length = drawn_length(client, i, options);
      if (window.rate <= 0 || length <= 0) continue;
      const auto& lengths = lengths_at(client, window.start);
      const std::string stream = fmt::format("work/servegen/{}/{}/", number, i);
      RandomStream gaps(options.seed, stream + "gaps"), tokens(options.seed, stream + "tokens");
      for (const Seconds arrival : draw_window(window, length, gaps)) {
        const TraceRow row{.arrival = arrival,
                           .prompt_tokens = static_cast<std::int32_t>(lengths.prompt.draw(tokens)),
                           .output_tokens = static_cast<std::int32_t>(lengths.output.draw(tokens))};
        if (arrival >= options.start && arrival < options.end) trace.rows.push_back(row);
      }
      require_few_requests(static_cast<double>(trace.rows.size()));
    }
  }

  std::filesystem::path name_;
  Bytes most_, bytes_ = 0;   // of all files together
  std::size_t periods_ = 0;  // of all clients
  std::set<std::string> directories_;
  std::map<int, ServeGenClient> clients_;
  std::set<int> has_lengths_;
};

}  // namespace

Trace read_servegen(const std::filesystem::path& directory, const ReadOptions& options) {
  require_utf8(directory.native());
  Profile profile(directory.string(), options);
  std::set<std::filesystem::path> files;  // sorted, so that messages do not depend on the disk
  try {
    std::filesystem::recursive_directory_iterator entry(directory), end;
    for (std::size_t entries = 0; entry != end; ++entry) {
      if (++entries > kMostEntries) {
        throw ConfigError({.file = directory.string(), .line = 0, .pointer = ""},
                          fmt::format("holds more than {} files, is it a profile?", kMostEntries));
      }
      if (entry.depth() >= kDeepestDirectory) entry.disable_recursion_pending();
      if (entry->is_regular_file()) files.insert(entry->path());
    }
  } catch (const std::filesystem::filesystem_error& error) {
    throw ConfigError({.file = directory.string(), .line = 0, .pointer = ""},
                      fmt::format("cannot be listed: {}", error.code().message()));
  }
  for (const auto& path : files) {
    const auto chunk = profile.accept(path);
    if (!chunk) continue;
    profile.add(*chunk, InputStream(path, profile.most_bytes()).read_all(), path.string());
  }
  return profile.draw(options);
}

Trace read_servegen(InputStream& tar, const ReadOptions& options) {
  Profile profile(tar.name(), options);
  TarReader reader(tar, profile.most_bytes());
  while (const auto member = reader.next()) {
    if (const auto chunk = profile.accept(member->path)) {
      profile.add(*chunk, reader.content(), fmt::format("{}:{}", tar.name(), member->path));
    }
  }
  return profile.draw(options);
}

}  // namespace cmsim::work
