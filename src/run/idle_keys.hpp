// Keys that cannot have an effect, and which of them are the user's mistake.
//
// A key without effect is refused when the layer that gave it (base/config.hpp) also decided that
// it has none, or knew: it lies above. A key that a lower layer gave, for a mechanism that a higher
// one has switched off, is retired: it is taken out of the document. docs/scenarios.md has the
// rules. Machine and model are facts, stated whole whoever uses them, and /seed and the names of
// things are no settings: they are never idle.
#pragma once

#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/run/scenario.hpp"

namespace cmsim::run {

/// The keys of `document`, read as `scenario`, that are to be retired. Throws a ConfigError that
/// names the first key that is refused, why it has no effect and what would give it one.
std::vector<std::string> retired_keys(const ConfigDocument& document, const Scenario& scenario);

}  // namespace cmsim::run
