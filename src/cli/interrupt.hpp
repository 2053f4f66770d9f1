// Ctrl-C as a flag, while there is something that looks at it.
//
// While an Interruptible lives, the first SIGINT or SIGTERM sets the flag and a second one kills.
// Outside of that the signals do what they do to every program: end it at once.
#pragma once

#include <atomic>

namespace cmsim::cli {

/// At most one at a time: a signal handler can reach only what is static.
class Interruptible {
 public:
  Interruptible();
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
};

/// Whether a signal came while an Interruptible lived.
const std::atomic<bool>& interrupt_flag();

}  // namespace cmsim::cli
