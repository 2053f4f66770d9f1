#include "usage.hpp"

#include <fmt/format.h>

#include "cmsim/base/error.hpp"
#include "cmsim/base/utf8.hpp"

namespace cmsim::cli {
namespace {

constexpr std::size_t kLongestWord = 60;

std::string quoted(const std::string& word) {
  return fmt::format("\"{}\"", shortened(printable(word), kLongestWord));
}

std::string meant(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string close_one = closest_match(word, candidates);
  return close_one.empty() ? "" : fmt::format(", did you mean \"{}\"?", close_one);
}

/// The command that was chosen last, the innermost.
const CLI::App* chosen(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> options_of(const CLI::App* app) {
  std::vector<std::string> names;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::string unknown(const CLI::App& command, const std::string& word) {
  if (word.starts_with("-") && word != "-") {
    const std::string name = word.substr(0, word.find('='));
    return fmt::format("unknown option {}{}", quoted(name), meant(name, options_of(&command)));
  }
  const std::vector<std::string> commands = commands_of(command);
  if (commands.empty()) return fmt::format("unexpected argument {}", quoted(word));
  return fmt::format("unknown command {}{}", quoted(word), meant(word, commands));
}

}  // namespace

std::string full_name(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent == nullptr ? app.get_name() : full_name(*parent) + " " + app.get_name();
}

std::string usage_message(const CLI::App& app, const CLI::Error& error) {
  const CLI::App& command = *chosen(&app);
  const std::vector<std::string> unread = app.remaining(true);
  const std::string what = unread.empty() ? shortened(printable(error.what()), 4 * kLongestWord)
                                          : unknown(command, unread.front());
  return fmt::format("cmsim: {} ({} --help shows what there is)\n", what, full_name(command));
}

void refuse_empty(std::string_view word) {
  const bool named = word.starts_with("--") && word.find('=') == word.size() - 1;
  if (named) throw ConfigError({std::string(word), 0, ""}, "is empty, a value is needed");
}

void refuse_empty(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands()) {
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& value : option->results()) {
        if (!value.empty()) continue;
        throw ConfigError({.file = option->get_name() + " \"\"", .line = 0, .pointer = ""},
                          "is empty, a value is needed");
      }
    }
    refuse_empty(*command);
  }
}

CLI::App* find_command(CLI::App& app, const std::string& name) {
  for (CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == name) return command;
  }
  throw ConfigError(unknown(app, name));
}

}  // namespace cmsim::cli
