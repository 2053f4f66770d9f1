// What is said to a command line that cannot be understood: one line that names the word, what was
// probably meant, and where help is.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace cmsim::cli {

/// "unknown command \"rnu\", did you mean \"run\"? (cmsim --help shows what there is)".
std::string usage_message(const CLI::App& app, const CLI::Error& error);

/// Throws a ConfigError for "--name=": the parser would take the next word as its value.
void refuse_empty(std::string_view word);
/// Throws a ConfigError that names the first option or argument whose value is empty.
void refuse_empty(const CLI::App& app);

/// "cmsim trace inspect".
std::string full_name(const CLI::App& app);

/// The command of that name below `app`. Throws a ConfigError with the closest one when none is.
CLI::App* find_command(CLI::App& app, const std::string& name);

}  // namespace cmsim::cli
