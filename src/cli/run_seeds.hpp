// `cmsim run --seeds`: one scenario with several seeds, every headline with its interval.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "study_engine.hpp"

namespace cmsim::cli {

struct SeedsRequest {
  std::string scenario, seeds;
  std::vector<std::string> sets;
  std::optional<std::filesystem::path> out;  // of the points and tables [out/<scenario>-seeds-...]
  std::vector<std::string> required;         // of every seed, see requirements.hpp
  bool strict = false;                       // every request of every seed finished
  bool json = false;
  StudyOptions options;
};

/// Runs what is not there yet, prints, and returns the exit code.
int run_seeds(const SeedsRequest& request, serve::PolicyRegistry& registry);

}  // namespace cmsim::cli
