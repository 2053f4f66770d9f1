// A file or a piece of memory read as decompressed bytes or lines. Compression (gzip, zstd) is told
// by the first bytes, not by the name. Any failure is a ConfigError naming the file and the last
// line read. Invariant: line_number() is the 1-based number of the line read_line() gave last.
#pragma once

#include <cstddef>
#include <filesystem>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cmsim::work {

class InputStream {
 public:
  /// Opens a file. ConfigError when it is missing, a directory, unreadable or not what its name
  /// says.
  explicit InputStream(const std::filesystem::path& path);
  /// Reads `content`, which must outlive the stream.
  InputStream(std::string_view content, std::string name);
  ~InputStream();

  /// The next line without its end ("\n" or "\r\n"), valid until the next call; nothing at the end.
  /// Checked to be UTF-8 text without control characters. A byte order mark is skipped.
  std::optional<std::string_view> read_line();
  /// Up to `count` bytes without consuming them; fewer only at the end. count <= 1 MiB.
  std::string_view peek(std::size_t count);
  /// Up to `count` bytes, consumed; fewer only at the end.
  std::string read(std::size_t count);
  void skip(std::size_t count);

  const std::string& name() const { return name_; }
  int line_number() const { return line_number_; }
  [[noreturn]] void fail(const std::string& message) const;

 private:
  struct Source;  // hides Boost.Iostreams
  void open();
  void detect_compression(std::istream& bytes);
  bool fill();  // appends more bytes to the buffer; false at the end

  std::string name_;
  std::unique_ptr<Source> source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // unread part of the buffer
  bool exhausted_ = false;
  int line_number_ = 0;
};

/// Offset of the first byte that is no text (a control character but tab, or not UTF-8), or npos.
std::size_t find_non_text(std::string_view line);

}  // namespace cmsim::work
