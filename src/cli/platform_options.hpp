// The machine that a command looks at: a platform, changes of its keys, and faults.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "fault_options.hpp"

namespace cmsim::cli {

struct PlatformOptions {
  std::string platform;
  std::vector<std::string> sets;
  FaultOptions faults;

  void add_platform(CLI::App& sub);  // PLATFORM
  void add_changes(CLI::App& sub);   // --fail, --degrade, --set
  ConfigDocument document() const;
};

/// --model, for the sizes of what is sent.
void add_model_option(CLI::App& sub, std::string& model);

}  // namespace cmsim::cli
