// Walking the regular files of a tar (ustar, with GNU or pax long names), front to back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "input_stream.hpp"

namespace cmsim::work {

constexpr std::size_t kTarBlock = 512;

/// True when `head` (the first 512 bytes) is a ustar header.
bool is_tar(std::string_view head);

struct TarMember {
  std::string path;
  std::uint64_t size = 0;
};

class TarReader {
 public:
  /// A member of more than `largest` bytes is an error.
  TarReader(InputStream& input, Bytes largest) : input_(input), largest_(largest) {}

  /// The next regular file; its content may then be taken by content(), else it is skipped.
  std::optional<TarMember> next();
  std::string content();

 private:
  std::string text_of_header_member();

  InputStream& input_;
  Bytes largest_;
  std::uint64_t unread_ = 0, padding_ = 0;  // of the current member
};

}  // namespace cmsim::work
