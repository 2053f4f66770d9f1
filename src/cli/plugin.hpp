// Policies from a shared object: extern "C" void
// cmsim_register_policies(cmsim::serve::PolicyRegistry&).
#pragma once

#include <string>

#include "cmsim/serve/policy.hpp"

namespace cmsim::cli {

/// Loads the file for the rest of the process and lets it register. Throws ConfigError.
void load_plugin(const std::string& file, serve::PolicyRegistry& registry);

}  // namespace cmsim::cli
