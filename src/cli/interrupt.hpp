// Ctrl-C as a flag. The first one asks the run to end with what it has; a second one kills.
#pragma once

#include <atomic>

namespace cmsim::cli {

/// Installs the handler for SIGINT and SIGTERM; the flag lives as long as the process.
const std::atomic<bool>& interrupt_flag();

}  // namespace cmsim::cli
