// Policies from shared objects, each built with CMSIM_POLICY_PLUGIN (serve/policy_abi.hpp) against
// the headers of this very cmsim.
#pragma once

#include <string>
#include <vector>

#include "cmsim/serve/policy.hpp"
#include "cmsim/serve/policy_call.hpp"
#include "policy_watch.hpp"

namespace cmsim::cli {

/// Loads the files for the rest of the process and lets them register, one after the other, with
/// `call` telling which and `watch` catching crashes from here on. Throws ConfigError naming the
/// file when it is no plugin, was built for another cmsim, or fails to register.
void load_plugins(const std::vector<std::string>& files, serve::PolicyRegistry& registry,
                  serve::PolicyCall& call, PolicyWatch& watch);

}  // namespace cmsim::cli
