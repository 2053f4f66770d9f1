// The one catch of the program: what may come out of an action, and the exit code that says whose
// fault it is (docs/invariants.md).
#pragma once

#include <functional>

namespace cmsim::cli {

/// The code of the action, or, when it throws, the code for what it threw and one line on stderr.
int guarded(const std::function<int()>& action);

}  // namespace cmsim::cli
