#include "provenance.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

nlohmann::ordered_json provenance_json(const Measured& measured, const CLI::App& command) {
  return {{"version", kVersion},
          {measured.kind, measured.named},
          {"digest", measured.digest},
          {"borrowed", measured.borrowed},
          {"command", command_line(command)}};
}

std::vector<std::string> borrowed_below(const hw::Platform& platform,
                                        std::initializer_list<std::string_view> parts) {
  std::vector<std::string> found;
  for (const std::string& pointer : platform.borrowed) {
    const bool wanted = std::ranges::any_of(
        parts, [&](std::string_view part) { return pointer.starts_with(part); });
    if (wanted) found.push_back(pointer);
  }
  return found;
}

std::string borrowed_note(const std::vector<std::string>& borrowed) {
  if (borrowed.empty()) return "";
  constexpr std::size_t kShown = 2;
  std::vector<std::string> names;
  for (const std::string& pointer : borrowed) {
    if (names.size() < kShown) names.push_back(pointer.substr(pointer.rfind('/') + 1));
  }
  const std::size_t more = borrowed.size() - names.size();
  return fmt::format("{} figure{} borrowed from another device or model: {}{}", borrowed.size(),
                     borrowed.size() == 1 ? "" : "s", fmt::join(names, ", "),
                     more > 0 ? fmt::format(" and {} more", more) : "");
}

}  // namespace cmsim::cli
