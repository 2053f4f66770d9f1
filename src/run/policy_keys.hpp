// The keys below /policies: a slot is written "fcfs" or {"name": "slo", "tpot": "30ms"}.
#pragma once

#include "cmsim/base/config.hpp"
#include "cmsim/serve/policy.hpp"

namespace cmsim::run {

/// Puts a name that stands alone into an object, so that layers and settings meet key by key.
void open_policies(ConfigDocument& document);

/// Whoever names a policy anew gives its parameters anew: those of the layers below are taken out.
void retire_parameters(ConfigDocument& document);

/// Throws ConfigError for a slot, a policy or a parameter that is not known or out of its range.
serve::PolicyChoices read_policies(const ConfigNode& policies,
                                   const serve::PolicyRegistry& registry);

}  // namespace cmsim::run
