// Text that may go into JSON: UTF-8 and nothing else. Names of files and arguments are bytes, and
// whatever is written into a result must have passed require_utf8() where it came in. A message
// quotes what the user wrote and passes printable().
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cmsim {

/// Offset of the first byte that begins no UTF-8 sequence (RFC 3629), or npos.
std::size_t find_invalid_utf8(std::string_view text);

/// `text` on one line: bytes that are not UTF-8 and control characters are written as \xNN.
std::string printable(std::string_view text);

/// `text` with its middle left out when it has more than `most` bytes; sequences stay whole.
std::string shortened(std::string_view text, std::size_t most);

/// Throws ConfigError, showing the bytes escaped, when a name the user gave is not UTF-8.
void require_utf8(std::string_view name);

}  // namespace cmsim
