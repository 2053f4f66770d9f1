#include "provenance.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cmsim/base/version.hpp"
#include "cmsim/study/point.hpp"
#include "usage.hpp"

namespace cmsim::cli {
namespace {

constexpr std::array<std::string_view, 2> kWithoutEffect = {"json", "trace"};

std::string words_of(const CLI::Option& option) {
  std::string text;
  for (const std::string& value : option.results()) {
    if (option.nonpositional()) text += " --" + option.get_lnames().front();
    text += " " + study::shell_word(value);
  }
  return text;
}

std::string command_line(const CLI::App& command) {
  std::string text = full_name(command);
  for (const CLI::Option* option : command.get_options()) {
    const auto& names = option->get_lnames();
    const bool idle =
        !names.empty() && std::ranges::find(kWithoutEffect, names.front()) != kWithoutEffect.end();
    if (!idle) text += words_of(*option);
  }
  return text;
}

}  // namespace

nlohmann::ordered_json provenance_json(const char* kind, const std::string& named,
                                       const std::string& digest, const CLI::App& command) {
  return {
      {"version", kVersion}, {kind, named}, {"digest", digest}, {"command", command_line(command)}};
}

}  // namespace cmsim::cli
