#include "tar.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace cmsim::work {
namespace {

// Offsets and sizes of the header fields (POSIX ustar).
constexpr std::size_t kNameSize = 100, kSizeAt = 124, kSizeSize = 12, kChecksumAt = 148,
                      kChecksumSize = 8, kTypeAt = 156, kMagicAt = 257, kPrefixAt = 345,
                      kPrefixSize = 155;
constexpr std::uint64_t kLongestName = std::uint64_t{1} << 20;  // with what else pax says of a file

std::string_view text_field(std::string_view header, std::size_t at, std::size_t size) {
  const std::string_view field = header.substr(at, size);
  return field.substr(0, field.find('\0'));
}

std::optional<std::uint64_t> octal(std::string_view field) {
  std::uint64_t value = 0;
  const std::size_t first = field.find_first_not_of(' ');
  if (first == std::string_view::npos) return std::nullopt;
  for (const char c : field.substr(first)) {
    if (c == '\0' || c == ' ') break;
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

bool checksum_fits(std::string_view header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kTarBlock; ++i) {
    const bool inside = i >= kChecksumAt && i < kChecksumAt + kChecksumSize;
    sum += inside ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return octal(header.substr(kChecksumAt, kChecksumSize)) == sum;
}

/// "27 path=some/name\n..." of a pax header.
std::string pax_path(std::string_view records) {
  for (std::size_t start = 0; start < records.size();) {
    const std::size_t end = std::min(records.find('\n', start), records.size());
    const std::string_view record = records.substr(start, end - start);
    const std::size_t space = record.find(' ');
    if (space != std::string_view::npos && record.substr(space + 1).starts_with("path=")) {
      return std::string(record.substr(space + 6));
    }
    start = end + 1;
  }
  return {};
}

}  // namespace

bool is_tar(std::string_view head) {
  return head.size() >= kTarBlock && head.substr(kMagicAt).starts_with("ustar") &&
         checksum_fits(head);
}

std::string TarReader::content() {
  std::string bytes = input_.read(unread_);
  if (bytes.size() < unread_) input_.fail("the tar is cut short inside a member");
  unread_ = 0;
  return bytes;
}

std::string TarReader::text_of_header_member() {
  if (unread_ > kLongestName) {
    input_.fail(fmt::format("the tar has a file name of more than {} bytes", kLongestName));
  }
  return content();
}

std::optional<TarMember> TarReader::next() {
  std::string long_name;
  for (;;) {
    input_.skip(unread_ + padding_);
    unread_ = padding_ = 0;
    const std::string header = input_.read(kTarBlock);
    if (header.find_first_not_of('\0') == std::string::npos && header.size() == kTarBlock) {
      return std::nullopt;
    }
    if (header.size() < kTarBlock) input_.fail("the tar is cut short, its end marker is missing");
    if (!is_tar(header)) input_.fail("the tar has a damaged member header");
    const auto size = octal(std::string_view(header).substr(kSizeAt, kSizeSize));
    if (!size || *size > static_cast<std::uint64_t>(largest_)) {
      input_.fail(
          fmt::format("the tar has a member of more than {}, the most that is read; raise "
                      "max_bytes if it is right",
                      format_quantity(static_cast<double>(largest_), Dimension::kBytes)));
    }
    unread_ = *size;
    padding_ = (kTarBlock - *size % kTarBlock) % kTarBlock;
    const char type = header[kTypeAt];
    if (type == 'L') {
      long_name = text_of_header_member();
      long_name.resize(std::min(long_name.size(), long_name.find('\0')));
    } else if (type == 'x') {
      long_name = pax_path(text_of_header_member());
    } else if (type == '0' || type == '\0') {
      std::string path = long_name;
      if (path.empty()) {
        const std::string_view prefix = text_field(header, kPrefixAt, kPrefixSize);
        path = std::string(prefix) + (prefix.empty() ? "" : "/") +
               std::string(text_field(header, 0, kNameSize));
      }
      return TarMember{path, *size};
    } else {
      long_name.clear();
    }
  }
}

}  // namespace cmsim::work
