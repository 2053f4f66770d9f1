// What a class of requests may be called: in a row of requests.csv, and below a pointer.
#pragma once

#include <algorithm>
#include <cctype>
#include <string_view>

namespace cmsim::work {

inline constexpr const char* kInClassNames = "letters, digits, blanks and _ - .";

inline bool can_name_a_class(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-. ").find(c) != std::string_view::npos;
  });
}

}  // namespace cmsim::work
