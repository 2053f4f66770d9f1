#include "interrupt.hpp"

#include <cerrno>
#include <csignal>

#include "policy_watch.hpp"

namespace cmsim::cli {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch such");

void handle(void (*handler)(int)) {
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action {};
    // A program that was started to ignore a signal (nohup, a background job) goes on doing so.
    if (sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigaction(signal, &action, nullptr);
  }
}

void on_signal(int) {
  const int before = errno;
  interrupted = true;
  name_called_policy();
  handle(SIG_DFL);  // a second signal, of either kind, kills
  errno = before;
}

}  // namespace

Interruptible::Interruptible() { handle(on_signal); }
Interruptible::~Interruptible() { handle(SIG_DFL); }

const std::atomic<bool>& interrupt_flag() { return interrupted; }

}  // namespace cmsim::cli
