#include "study_settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cmsim/base/error.hpp"
#include "scenario_options.hpp"

namespace cmsim::cli {
namespace {

std::vector<std::string> names_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_name() != "--help") names.push_back(option->get_name());
  }
  return names;
}

}  // namespace

void settle(const std::string& command, std::vector<std::string>& options,
            std::vector<std::string>& sets) {
  if (options.empty()) return;
  CLI::App app{"", "cmsim " + command};
  ScenarioOptions said;
  if (command == "run") {
    said.add_settings_to(app);
  } else {
    said.add_changes_to(app);
    app.allow_extras();
  }
  try {
    app.parse(std::vector<std::string>(options.rbegin(), options.rend()));
  } catch (const CLI::ExtrasError&) {
    throw ConfigError(
        {fmt::format("{}", fmt::join(options, " ")), 0, ""},
        fmt::format("of {} a study takes {}", command, fmt::join(names_of(app), ", ")));
  } catch (const CLI::ParseError& error) {
    throw ConfigError({fmt::format("{}", fmt::join(options, " ")), 0, ""}, error.what());
  }
  for (const run::Setting& setting : said.settings()) sets.push_back(setting.assignment);
  options = app.remaining();
}

}  // namespace cmsim::cli
