// --timeline of a run: its Chrome trace into a file, all of it or a part.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "cmsim/metrics/run_trace.hpp"
#include "cmsim/run/scenario.hpp"

namespace cmsim::cli {

struct TimelineOptions {
  std::optional<std::string> file, window;
  std::int64_t sample = 1;

  void add_to(CLI::App& sub);
  /// Nothing when no timeline was asked for. Throws ConfigError when the file cannot be written,
  /// as far as that can be seen.
  std::optional<metrics::RunTrace> listener(const run::Scenario& scenario) const;
  /// Writes the file; what is to be said of it, a line.
  std::string write(const metrics::RunTrace& trace) const;
};

}  // namespace cmsim::cli
