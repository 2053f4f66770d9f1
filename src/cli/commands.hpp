// The commands of cmsim, one file each. To add one: write add_<name>() in command_<name>.cpp,
// declare it here, and add it to kCommands.
//
// A command declares its options on a subcommand of `app` and, when it is the one chosen, sets
// session.action; main runs it after parsing, inside the one catch.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <functional>
#include <string>

#include "cmsim/base/units.hpp"
#include "cmsim/cli/main.hpp"
#include "cmsim/serve/policy.hpp"

namespace cmsim::cli {

struct Session {
  serve::PolicyRegistry registry;
  std::function<int()> action;  // returns the exit code
};

inline constexpr const char* kScenarioHelp =
    "Scenario file, JSON with comments; or the name of one that comes with cmsim; or - for stdin";

inline constexpr const char* kPlatformHelp =
    "Platform file; or the name of one that comes with cmsim";

/// A number within the bounds; CLI::Range lets NaN pass.
inline CLI::Validator number_from(double least, double most) {
  return {[=](std::string& text) {
            double value = 0;
            const bool number = CLI::detail::lexical_cast(text, value);
            if (number && value >= least && value <= most) return std::string();
            return fmt::format("found \"{}\", allowed is {} to {}", text, least, most);
          },
          ""};
}

/// A quantity with its unit, within the bounds.
inline CLI::Validator quantity_from(Dimension dimension, double least, double most) {
  return {[=](std::string& text) {
            try {
              const double value = parse_quantity(text, dimension);
              if (value >= least && value <= most) return std::string();
              return fmt::format("found {}, allowed is {} to {}", text,
                                 format_quantity(least, dimension),
                                 format_quantity(most, dimension));
            } catch (const UnitError& error) {
              return std::string(error.what());
            }
          },
          ""};
}

/// A whole number in decimal digits, whatever zeros lead it (CLI11 reads those as octal, and cuts
/// what is too large). To be given to transform().
inline CLI::Validator whole_from(std::int64_t least, std::int64_t most = INT64_MAX) {
  return {[=](std::string& text) {
            std::int64_t value = 0;
            const auto [end, error] =
                std::from_chars(text.data(), text.data() + text.size(), value);
            if (error == std::errc() && end == text.data() + text.size() && value >= least &&
                value <= most) {
              text = std::to_string(value);
              return std::string();
            }
            return fmt::format("found \"{}\", allowed is a whole number from {}{}", text, least,
                               most == INT64_MAX && error != std::errc::result_out_of_range
                                   ? ""
                                   : fmt::format(" to {}", most));
          },
          ""};
}

void add_run(CLI::App& app, Session& session);
void add_sweep(CLI::App& app, Session& session);
void add_compare(CLI::App& app, Session& session);
void add_check(CLI::App& app, Session& session);
void add_report(CLI::App& app, Session& session);
void add_p2p(CLI::App& app, Session& session);
void add_collective(CLI::App& app, Session& session);
void add_topology(CLI::App& app, Session& session);
void add_step(CLI::App& app, Session& session);
void add_trace(CLI::App& app, Session& session);
void add_policies(CLI::App& app, Session& session);
void add_validate(CLI::App& app, Session& session);
void add_init(CLI::App& app, Session& session);
void add_completion(CLI::App& app, Session& session);
void add_help(CLI::App& app, Session& session);

inline constexpr auto kCommands = {add_run,    add_sweep,      add_compare,  add_check,
                                   add_report, add_topology,   add_p2p,      add_collective,
                                   add_step,   add_trace,      add_policies, add_validate,
                                   add_init,   add_completion, add_help};

}  // namespace cmsim::cli
