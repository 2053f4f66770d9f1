// What every fuzz target asks of what it gets: facts that hold, and messages a user can read.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <nlohmann/json.hpp>
#include <string_view>

namespace cmsim::fuzz {

/// Aborts, which libFuzzer reports as a finding, and says which fact does not hold.
inline void require(bool fact, const char* what) {
  if (fact) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

/// The message of a refused input is one line of valid UTF-8 without control characters.
inline void check_message(const std::exception& error) {
  const std::string_view text = error.what();
  require(!text.empty(), "a message is not empty");
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) continue;
    std::fprintf(stderr, "%s\n", error.what());
    require(false, "a message is one line without control characters");
  }
  try {
    (void)nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    std::fprintf(stderr, "%s\n", error.what());
    require(false, "a message is valid UTF-8");
  }
}

}  // namespace cmsim::fuzz
