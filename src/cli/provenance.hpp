// Where the result of a measurement comes from, as a run says it of itself.
#pragma once

#include <CLI/CLI.hpp>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cmsim/hw/platform.hpp"

namespace cmsim::cli {

/// What a measurement was made of.
struct Measured {
  const char* kind = "";  // "scenario" or "platform"
  std::string named;      // as the user gave it
  std::string digest;     // of all that was read
  std::vector<std::string> borrowed{};
};

/// That, the version, and the command line without what cannot change the result.
nlohmann::ordered_json provenance_json(const Measured& measured, const CLI::App& command);

/// Of what the platform took over from another device, that below one of `parts` ("/ub").
std::vector<std::string> borrowed_below(const hw::Platform& platform,
                                        std::initializer_list<std::string_view> parts);

/// One line about them for a table; "" when there are none.
std::string borrowed_note(const std::vector<std::string>& borrowed);

}  // namespace cmsim::cli
