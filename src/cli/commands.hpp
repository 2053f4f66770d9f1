// The commands of cmsim, one file each. To add one: write add_<name>() in command_<name>.cpp,
// declare it here, and add it to kCommands.
//
// A command declares its options on a subcommand of `app` and, when it is the one chosen, sets
// session.action; main runs it after parsing, inside the one catch.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "cmsim/cli/main.hpp"
#include "cmsim/serve/policy.hpp"

namespace cmsim::cli {

struct Session {
  serve::PolicyRegistry registry;
  std::function<int()> action;  // returns the exit code
};

/// What --seed can be.
inline CLI::Range seeds() { return {std::int64_t{0}, std::numeric_limits<std::int64_t>::max()}; }

void add_run(CLI::App& app, Session& session);
void add_p2p(CLI::App& app, Session& session);
void add_collective(CLI::App& app, Session& session);
void add_step(CLI::App& app, Session& session);
void add_trace(CLI::App& app, Session& session);
void add_policies(CLI::App& app, Session& session);
void add_validate(CLI::App& app, Session& session);

inline constexpr auto kCommands = {add_run,   add_p2p,      add_collective, add_step,
                                   add_trace, add_policies, add_validate};

}  // namespace cmsim::cli
