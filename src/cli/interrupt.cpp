#include "interrupt.hpp"

#include <csignal>

#include "policy_watch.hpp"

namespace cmsim::cli {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch such");

void on_signal(int signal) {
  interrupted = true;
  name_called_policy();
  std::signal(signal, SIG_DFL);
}

void handle(void (*handler)(int)) {
  for (const int signal : {SIGINT, SIGTERM}) {
    // A program that was started to ignore a signal (nohup, a background job) goes on doing so.
    if (std::signal(signal, handler) == SIG_IGN) std::signal(signal, SIG_IGN);
  }
}

}  // namespace

Interruptible::Interruptible() { handle(on_signal); }
Interruptible::~Interruptible() { handle(SIG_DFL); }

const std::atomic<bool>& interrupt_flag() { return interrupted; }

}  // namespace cmsim::cli
