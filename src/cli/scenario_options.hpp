// The options that say which scenario is run: the file, what is changed in it, and the policies it
// may name. Their text is part of a result's provenance, and makes the same scenario again.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cmsim/run/scenario.hpp"
#include "fault_options.hpp"

namespace cmsim::cli {

struct ScenarioOptions {
  std::string scenario;
  std::vector<std::string> sets, plugins;
  std::optional<std::string> trace, network;
  std::optional<std::uint64_t> seed;
  std::optional<double> rate, speed;
  FaultOptions faults;

  void add_to(CLI::App& sub);
  /// Those that say what is changed: --set and faults alone, or all that are short for --set, too.
  void add_changes_to(CLI::App& sub);
  void add_settings_to(CLI::App& sub);
  /// The options that have a scenario pointer are short for --set; they come last and win.
  std::vector<run::Setting> settings() const;
  std::string text() const;  // "scenario.json --set /seed=2", as typed
};

}  // namespace cmsim::cli
