#include "cmsim/base/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cmsim/base/error.hpp"

namespace cmsim {
namespace {

/// The length of the sequence that `text` begins with; 0 when it begins with none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = static_cast<unsigned char>(text[0]);
  if (byte < 0x80) return 1;
  if (byte < 0xc2 || byte > 0xf4) return 0;
  const std::size_t extra = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
  if (extra >= text.size()) return 0;
  constexpr unsigned kLeast[] = {0, 0x80, 0x800, 0x10000};  // that need so many bytes more
  unsigned code = byte & (0x3fU >> extra);
  for (std::size_t k = 1; k <= extra; ++k) {
    const auto next = static_cast<unsigned char>(text[k]);
    if ((next & 0xc0U) != 0x80U) return 0;
    code = code << 6 | (next & 0x3fU);
  }
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < kLeast[extra] || code > 0x10ffff || surrogate ? 0 : extra + 1;
}

}  // namespace

std::size_t find_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = sequence_length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text[0]);
    const bool control = byte < 0x20 || byte == 0x7f;
    const std::size_t length = control ? 0 : sequence_length(text);
    shown += length > 0 ? std::string(text.substr(0, length)) : fmt::format("\\x{:02x}", byte);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return shown;
}

std::string shortened(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  const auto inside = [&](std::size_t at) {  // of a sequence
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U;
  };
  std::size_t head = most * 2 / 3, tail = text.size() - most / 3;
  while (head > 0 && inside(head)) --head;
  while (inside(tail)) ++tail;
  return fmt::format("{} ... {}", text.substr(0, head), text.substr(tail));
}

void require_utf8(std::string_view name) {
  if (name.find('\0') != std::string_view::npos) {
    throw ConfigError({.file = printable(name), .line = 0, .pointer = ""}, "holds a zero byte");
  }
  if (find_invalid_utf8(name) == std::string_view::npos) return;
  throw ConfigError({.file = printable(name), .line = 0, .pointer = ""},
                    "is not UTF-8; names go into results, which are JSON: rename it");
}

}  // namespace cmsim
