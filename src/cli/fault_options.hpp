// --fail and --degrade of the commands that look at a machine: short for keys below /faults.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cmsim/run/scenario.hpp"

namespace cmsim::cli {

struct FaultOptions {
  std::vector<std::string> fail, degrade;

  void add_to(CLI::App& sub);
  /// What they stand for; several of a kind are one.
  std::vector<run::Setting> settings() const;
  std::string text() const;  // " --fail plane:3", as typed
};

}  // namespace cmsim::cli
