#include "input_stream.hpp"

#include <fmt/format.h>

#include <boost/iostreams/device/array.hpp>
#include <boost/iostreams/device/file_descriptor.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_streambuf.hpp>
#include <boost/iostreams/stream.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "cmsim/base/error.hpp"
#include "zstd_frames.hpp"

namespace cmsim::work {
namespace {

namespace io = boost::iostreams;

constexpr std::size_t kChunk = 64 * 1024;
constexpr std::size_t kLongestLine = 64 * 1024 * 1024;
constexpr std::string_view kGzipMagic = "\x1f\x8b", kZstdMagic = "\x28\xb5\x2f\xfd";

}  // namespace

struct InputStream::Source {
  std::string_view content;  // used when path is empty
  std::filesystem::path path;
  io::filtering_streambuf<io::input> stream;
  const char* compression = "";
};

InputStream::InputStream(const std::filesystem::path& path)
    : name_(path.string()), source_(std::make_unique<Source>()) {
  source_->path = path;
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) fail("no such file");
  if (status.type() == std::filesystem::file_type::directory) fail("is a directory, not a file");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(fmt::format("cannot be opened: {}", std::strerror(errno)));
  detect_compression(file);
  open();
}

InputStream::InputStream(std::string_view content, std::string name)
    : name_(std::move(name)), source_(std::make_unique<Source>()) {
  source_->content = content;
  io::stream<io::array_source> bytes(content.data(), content.size());
  detect_compression(bytes);
  open();
}

InputStream::~InputStream() = default;

void InputStream::detect_compression(std::istream& bytes) {
  char first[4] = {};
  bytes.read(first, sizeof first);
  const std::string_view head(first, static_cast<std::size_t>(bytes.gcount()));
  if (head.starts_with(kGzipMagic)) {
    source_->compression = "gzip";
  } else if (head.starts_with(kZstdMagic)) {
    source_->compression = "zstd";
    bytes.clear();
    bytes.seekg(0);
    if (!has_whole_zstd_frames(bytes)) fail("the zstd data is cut short");
  } else if (name_.ends_with(".gz") || name_.ends_with(".tgz")) {
    fail("is not gzip data, as its name says (its first bytes are not 1f 8b)");
  } else if (name_.ends_with(".zst")) {
    fail("is not zstd data, as its name says (its first bytes are not 28 b5 2f fd)");
  }
}

void InputStream::open() {
  if (std::strcmp(source_->compression, "gzip") == 0) source_->stream.push(io::gzip_decompressor());
  if (std::strcmp(source_->compression, "zstd") == 0) source_->stream.push(io::zstd_decompressor());
  if (source_->path.empty()) {
    source_->stream.push(io::array_source(source_->content.data(), source_->content.size()));
  } else {
    try {
      source_->stream.push(
          io::file_descriptor_source(source_->path.string(), std::ios::in | std::ios::binary));
    } catch (const std::ios_base::failure& error) {
      fail(fmt::format("cannot be opened: {}", error.what()));
    }
  }
}

void InputStream::fail(const std::string& message) const {
  throw ConfigError({.file = name_, .line = line_number_, .pointer = ""}, message);
}

bool InputStream::fill() {
  if (exhausted_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < end_ + kChunk) buffer_.resize(end_ + kChunk);
  try {
    const auto count =
        source_->stream.sgetn(buffer_.data() + end_, static_cast<std::streamsize>(kChunk));
    if (count <= 0) {
      exhausted_ = true;
      source_->stream.reset();  // closes the filters, which is where a missing footer shows
      return false;
    }
    end_ += static_cast<std::size_t>(count);
    return true;
  } catch (const std::ios_base::failure& error) {
    exhausted_ = true;
    fail(*source_->compression
             ? fmt::format("the {} data is damaged or cut short after this line ({})",
                           source_->compression, error.what())
             : fmt::format("cannot be read: {}", error.what()));
  }
}

std::optional<std::string_view> InputStream::read_line() {
  std::size_t searched = 0;
  const char* newline = nullptr;
  for (;;) {
    const char* start = buffer_.data() + begin_;
    const std::size_t size = end_ - begin_;
    if (size > searched) {
      newline = static_cast<const char*>(std::memchr(start + searched, '\n', size - searched));
    }
    if (newline != nullptr) break;
    searched = size;
    if (searched > kLongestLine) {
      ++line_number_;
      fail(fmt::format("line longer than {} MiB", kLongestLine >> 20));
    }
    if (!fill()) break;
  }
  const char* start = buffer_.data() + begin_;
  if (newline == nullptr && begin_ == end_) return std::nullopt;
  const std::size_t length =
      newline != nullptr ? static_cast<std::size_t>(newline - start) : end_ - begin_;
  begin_ += length + (newline != nullptr ? 1 : 0);
  ++line_number_;
  std::string_view line(start, length);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line_number_ == 1 && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  if (const std::size_t bad = find_non_text(line); bad != std::string_view::npos) {
    const auto byte = static_cast<unsigned char>(line[bad]);
    fail(
        fmt::format("column {}: byte 0x{:02x} is not text, allowed is UTF-8 without control "
                    "characters",
                    bad + 1, byte));
  }
  return line;
}

std::string_view InputStream::peek(std::size_t count) {
  while (end_ - begin_ < count && fill()) {
  }
  return {buffer_.data() + begin_, std::min(count, end_ - begin_)};
}

std::string InputStream::read(std::size_t count) {
  std::string bytes;
  while (bytes.size() < count && (begin_ < end_ || fill())) {
    const std::size_t part = std::min(count - bytes.size(), end_ - begin_);
    bytes.append(buffer_.data() + begin_, part);
    begin_ += part;
  }
  return bytes;
}

void InputStream::skip(std::size_t count) {
  while (count > 0 && (begin_ < end_ || fill())) {
    const std::size_t part = std::min(count, end_ - begin_);
    begin_ += part;
    count -= part;
  }
}

std::size_t find_non_text(std::string_view line) {
  unsigned odd = 0;  // kept free of branches: nearly every line is plain ASCII
  for (const char c : line) {
    const auto byte = static_cast<unsigned char>(c);
    odd |= static_cast<unsigned>(byte < 0x20) | static_cast<unsigned>(byte >= 0x7f);
  }
  if (odd == 0) return std::string_view::npos;

  for (std::size_t i = 0; i < line.size();) {
    const auto byte = static_cast<unsigned char>(line[i]);
    if (byte < 0x80) {
      if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return i;
      ++i;
      continue;
    }
    // A UTF-8 sequence: its length, and the least code point that needs this length.
    const int extra = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    constexpr unsigned kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (byte < 0xc2 || byte > 0xf4 || i + static_cast<std::size_t>(extra) >= line.size()) return i;
    unsigned code = byte & (0x3fU >> extra);
    for (int k = 1; k <= extra; ++k) {
      const auto next = static_cast<unsigned char>(line[i + static_cast<std::size_t>(k)]);
      if ((next & 0xc0U) != 0x80U) return i;
      code = code << 6 | (next & 0x3fU);
    }
    if (code < kLeast[extra] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return i;
    i += static_cast<std::size_t>(extra) + 1;
  }
  return std::string_view::npos;
}

}  // namespace cmsim::work
