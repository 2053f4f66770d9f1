// A build of cmsim as another process: what it prints for a point.
#pragma once

#include <filesystem>
#include <string>

#include "cmsim/study/point.hpp"

namespace cmsim::check {

/// The program a user names: a path, or a word to be found along PATH. ConfigError when it is not
/// there or may not be run.
std::filesystem::path find_program(const std::string& name);

/// What `PROGRAM ... --json` prints. Throws ConfigError with its message when it refuses the input
/// (exit code 2), SimulationError when it fails in another way.
std::string run_program(const std::filesystem::path& program, const study::Point& point);

}  // namespace cmsim::check
