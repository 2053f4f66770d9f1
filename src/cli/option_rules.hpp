// Options that cannot have an effect: the counterpart for the command line of the rules for
// scenario keys (docs/scenarios.md).
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace cmsim::cli {

struct OptionRule {
  std::vector<std::string> options;  // "--skew", ...
  bool idle = false;
  std::string why;  // "with --op allgather, it needs dispatch or combine"
};

/// Throws a ConfigError that names the first option that was given and is idle, and why.
void refuse_idle(const CLI::App& command, const std::vector<OptionRule>& rules);

}  // namespace cmsim::cli
