// A file, a pipe or a piece of memory read once, front to back, as decompressed bytes or lines.
// Compression (gzip, zstd) is told by the first bytes, not by the name. Any failure is a
// ConfigError naming the file and the last line read. Invariants: line_number() is the 1-based
// number of the line read_line() gave last; no more than `most` decompressed bytes are given, and
// at most one line (64 MiB) is held.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cmsim/base/units.hpp"
#include "cmsim/work/trace_reader.hpp"

namespace cmsim::work {

/// Fills the front of `into` with the next bytes and says how many; 0 at the end. Throws
/// std::system_error when they cannot be read.
using ByteSource = std::function<std::size_t(std::span<char> into)>;

class InputStream {
 public:
  /// Opens a file. ConfigError when it is missing, a directory, unreadable or not what its name
  /// says.
  explicit InputStream(const std::filesystem::path& path, Bytes most = kMostTraceBytes);
  /// Reads `content`, which must outlive the stream.
  InputStream(std::string_view content, std::string name, Bytes most = kMostTraceBytes);
  InputStream(ByteSource bytes, std::string name, Bytes most = kMostTraceBytes);
  ~InputStream();

  /// The next line without its end ("\n" or "\r\n"), valid until the next call; nothing at the end.
  /// Checked to be UTF-8 text without control characters. A byte order mark is skipped.
  std::optional<std::string_view> read_line();
  /// Up to `count` bytes without consuming them; fewer only at the end. count <= 1 MiB.
  std::string_view peek(std::size_t count);
  /// Up to `count` bytes, consumed; fewer only at the end.
  std::string read(std::size_t count);
  std::string read_all();
  void skip(std::size_t count);

  const std::string& name() const { return name_; }
  int line_number() const { return line_number_; }
  [[noreturn]] void fail(const std::string& message) const;

 private:
  class Source;  // hides Boost.Iostreams
  void check_name() const;
  bool fill();  // appends more bytes to the buffer; false at the end
  template <class Action>
  auto guarded(Action action);  // its failures as ConfigErrors

  std::string name_;
  Bytes left_;  // that may still be given
  Bytes most_;
  std::unique_ptr<Source> source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // unread part of the buffer
  bool exhausted_ = false;
  int line_number_ = 0;
};

/// Offset of the first byte that is no text (a control character but tab, or not UTF-8), or npos.
std::size_t find_non_text(std::string_view line);

}  // namespace cmsim::work
