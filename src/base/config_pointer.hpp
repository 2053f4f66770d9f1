// JSON pointers as texts (RFC 6901).
#pragma once

#include <string>
#include <string_view>

namespace cmsim {

inline constexpr const char* kNothingToTake = "null takes a key away, and there is none";

/// The pointer of a member: its key may hold the two characters that pointers escape.
std::string below(const std::string& pointer, std::string_view key);

/// Whether a pointer is `whole` or a place below it.
inline bool is_within(std::string_view pointer, std::string_view whole) {
  return pointer.starts_with(whole) &&
         (pointer.size() == whole.size() || pointer[whole.size()] == '/');
}

}  // namespace cmsim
