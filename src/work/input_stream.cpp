#include "input_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/iostreams/categories.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_streambuf.hpp>
#include <climits>
#include <cstring>
#include <system_error>

#include "cmsim/base/error.hpp"
#include "cmsim/base/input_file.hpp"
#include "cmsim/base/utf8.hpp"
#include "zstd_frames.hpp"

namespace cmsim::work {
namespace {

namespace io = boost::iostreams;

constexpr std::size_t kChunk = 64 * 1024;
constexpr std::size_t kLongestLine = 64 * 1024 * 1024;
constexpr std::string_view kGzipMagic = "\x1f\x8b", kZstdMagic = "\x28\xb5\x2f\xfd";

ByteSource bytes_of(const std::filesystem::path& path) {
  return
      [file = std::make_shared<InputFile>(path)](std::span<char> into) { return file->read(into); };
}

ByteSource bytes_of(std::string_view content) {
  return [content](std::span<char> into) mutable {
    const std::size_t count = content.copy(into.data(), into.size());
    content.remove_prefix(count);
    return count;
  };
}

}  // namespace

/// The bytes of a source, decompressed when their first ones say that they are compressed.
class InputStream::Source {
 public:
  explicit Source(ByteSource bytes) : bytes_(std::move(bytes)) {}
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  /// Reads the first bytes, which must be done once, before read().
  void open() {
    for (std::size_t count = 1; head_end_ < head_.size() && count > 0; head_end_ += count) {
      count = bytes_(std::span(head_).subspan(head_end_));
    }
    const std::string_view head(head_.data(), head_end_);
    constexpr auto kBuffer = static_cast<std::streamsize>(kChunk);
    if (head.starts_with(kGzipMagic)) {
      compression_ = "gzip";
      unpacked_.push(io::gzip_decompressor(io::gzip::default_window_bits, kBuffer), kBuffer);
    } else if (head.starts_with(kZstdMagic)) {
      compression_ = "zstd";
      unpacked_.push(io::zstd_decompressor(kBuffer), kBuffer);
    }
    if (!compression_.empty()) unpacked_.push(Packed{this}, kBuffer);
  }

  std::string_view compression() const { return compression_; }

  std::size_t read(std::span<char> into) {
    if (compression_.empty()) return read_packed(into);
    const auto count = unpacked_.sgetn(into.data(), static_cast<std::streamsize>(into.size()));
    if (count > 0) return static_cast<std::size_t>(count);
    unpacked_.reset();  // closes the filters, which is where a missing footer shows
    return 0;
  }

 private:
  /// What the decompressors read from. They take a short read for the end, so there is none.
  struct Packed {
    using char_type = char;
    using category = io::source_tag;
    std::streamsize read(char* into, std::streamsize size) const {
      const std::size_t wanted = static_cast<std::size_t>(size);
      std::size_t have = 0;
      for (std::size_t count = 1; have < wanted && count > 0; have += count) {
        count = source->read_packed({into + have, wanted - have});
      }
      if (source->compression_ == "zstd") {
        source->frames_.feed({into, have});
        if (have < wanted && !source->frames_.whole()) {
          throw std::ios_base::failure("it ends within a frame");
        }
      }
      return have == 0 ? -1 : static_cast<std::streamsize>(have);
    }
    Source* source;
  };

  std::size_t read_packed(std::span<char> into) {
    if (head_begin_ == head_end_) return bytes_(into);
    const std::size_t count = std::min(into.size(), head_end_ - head_begin_);
    std::memcpy(into.data(), head_.data() + head_begin_, count);
    head_begin_ += count;
    return count;
  }

  ByteSource bytes_;
  std::array<char, kZstdMagic.size()> head_{};  // read to tell the compression, then given out
  std::size_t head_begin_ = 0, head_end_ = 0;
  std::string_view compression_;
  ZstdFrames frames_;
  io::filtering_streambuf<io::input> unpacked_;  // empty when the bytes are plain
};

void InputStream::fail(const std::string& message) const {
  throw ConfigError({.file = name_, .line = line_number_, .pointer = ""}, message);
}

template <class Action>
auto InputStream::guarded(Action action) {
  try {
    return action();
  } catch (const std::ios_base::failure& error) {  // Boost's; a std::system_error, so it is first
    fail(fmt::format("the {} data is damaged or cut short after this line ({})",
                     source_->compression(), error.what()));
  } catch (const std::system_error& error) {
    fail(fmt::format("cannot be read: {}", error.code().message()));
  }
}

InputStream::InputStream(const std::filesystem::path& path, Bytes most)
    : InputStream(bytes_of(path), path.string(), most) {}

InputStream::InputStream(std::string_view content, std::string name, Bytes most)
    : InputStream(bytes_of(content), std::move(name), most) {}

InputStream::InputStream(ByteSource bytes, std::string name, Bytes most)
    : name_(std::move(name)),
      left_(most),
      most_(most),
      source_(std::make_unique<Source>(std::move(bytes))) {
  guarded([&] { source_->open(); });
  check_name();
}

InputStream::~InputStream() = default;

void InputStream::check_name() const {
  if (!source_->compression().empty()) return;
  if (name_.ends_with(".gz") || name_.ends_with(".tgz")) {
    fail("is not gzip data, as its name says (its first bytes are not 1f 8b)");
  }
  if (name_.ends_with(".zst")) {
    fail("is not zstd data, as its name says (its first bytes are not 28 b5 2f fd)");
  }
}

bool InputStream::fill() {
  if (exhausted_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < end_ + kChunk) buffer_.resize(end_ + kChunk);
  const std::size_t count = guarded([&] { return source_->read({buffer_.data() + end_, kChunk}); });
  if (count == 0) exhausted_ = true;
  if (static_cast<Bytes>(count) > left_) {
    fail(fmt::format("holds more than {}{}, the most that is read; raise max_bytes if it is right",
                     format_quantity(static_cast<double>(most_), Dimension::kBytes),
                     source_->compression().empty() ? "" : " decompressed"));
  }
  left_ -= static_cast<Bytes>(count);
  end_ += count;
  return count > 0;
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
      line_number_ = std::min(line_number_, INT_MAX - 1) + 1;
      fail(fmt::format("line longer than {} MiB", kLongestLine >> 20));
    }
    if (!fill()) break;
  }
  const char* start = buffer_.data() + begin_;
  if (newline == nullptr && begin_ == end_) return std::nullopt;
  const std::size_t length =
      newline != nullptr ? static_cast<std::size_t>(newline - start) : end_ - begin_;
  begin_ += length + (newline != nullptr ? 1 : 0);
  line_number_ = std::min(line_number_, INT_MAX - 1) + 1;
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

std::string InputStream::read_all() {
  std::string bytes;
  do {
    bytes.append(buffer_.data() + begin_, end_ - begin_);
    begin_ = end_;
  } while (fill());
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

  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  };
  const auto control = std::find_if(line.begin(), line.end(), is_control);
  const std::size_t before = static_cast<std::size_t>(control - line.begin());
  const std::size_t invalid = find_invalid_utf8(line);
  return control == line.end() ? invalid : std::min(invalid, before);
}

}  // namespace cmsim::work
