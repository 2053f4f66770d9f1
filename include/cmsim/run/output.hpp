// The files of a run: result.json and requests.csv in one directory, written whole or not at all.
#pragma once

#include <filesystem>
#include <vector>

#include "cmsim/metrics/result.hpp"
#include "cmsim/run/scenario.hpp"

namespace cmsim::run {

/// Where a run writes when nothing is said: out/<scenario file without its extension>, from the
/// working directory.
std::filesystem::path default_output_directory(const Scenario& scenario);

/// Makes the directory and tries to write in it. Throws ConfigError when that cannot be done; meant
/// to be called before a long simulation.
void prepare_output_directory(const std::filesystem::path& directory);

/// Writes the content to a temporary file beside `path` and renames it. Throws ConfigError.
void write_atomically(const std::filesystem::path& path, const std::string& content);

/// Returns the files written.
std::vector<std::filesystem::path> write_outputs(const std::filesystem::path& directory,
                                                 const Scenario& scenario,
                                                 const metrics::Result& result,
                                                 metrics::Detail detail);

}  // namespace cmsim::run
