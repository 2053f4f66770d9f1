// What a child process owes its parent.
#pragma once

#include <sys/types.h>

namespace cmsim {

/// Called in a child just after fork(): it is killed when `parent`, who alone would read what it
/// finds, is gone.
void end_with_parent(pid_t parent);

}  // namespace cmsim
