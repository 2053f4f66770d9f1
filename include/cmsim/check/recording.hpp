// What the cases of a baseline gave when they were last recorded: metrics, and the parts that
// explain them.
//
// Written by the program alone, beside the baseline, sorted and one number a line so that a diff of
// it reads as a list of what moved. Numbers have 12 significant digits.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "cmsim/check/figures.hpp"

namespace cmsim::check {

struct Recording {
  std::map<std::string, Figures> cases;  // by name
};

/// x/project.json -> x/project.recorded.json
std::filesystem::path recording_of(const std::filesystem::path& baseline);

/// Empty when the file is not there. Throws ConfigError with file, line and pointer.
Recording load_recording(const std::filesystem::path& file);

std::string to_text(const Recording& recording);

}  // namespace cmsim::check
