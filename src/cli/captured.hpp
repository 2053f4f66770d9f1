// A command of cmsim run for what it prints, in a process that is given up for it.
//
// Only in a child of base/process_pool: stdout and stderr of the process are taken over.
#pragma once

#include <string>
#include <vector>

#include "cmsim/serve/policy.hpp"

namespace cmsim::cli {

/// What `cmsim WORDS... --json` prints. Throws by its exit code: ConfigError (2) or SimulationError
/// with its message.
std::string json_of(const std::vector<std::string>& words, const serve::PolicyRegistry& registry);

}  // namespace cmsim::cli
