// Names the policy that hangs, crashes or leaves, from signal handlers that only read the run's
// PolicyCall, write one line to stderr and end the process: exit code 3, or 2 when it happens while
// a plugin is loaded.
//
// A policy runs in our process and cannot be stopped safely, only named. Limits are wall-clock
// seconds, counted in ticks of a timer so that a suspended process ages by one tick at most.
// Invariant: there is one PolicyWatch at a time.
#pragma once

#include <signal.h>

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "cmsim/serve/policy_call.hpp"

namespace cmsim::cli {

constexpr double kPolicyTimeout = 30;  // seconds, unless --policy-timeout says otherwise

class PolicyWatch {
 public:
  /// A single call may take `limit` seconds, and up to a quarter more before it is noticed. 0: for
  /// ever.
  PolicyWatch(const serve::PolicyCall& call, double limit);
  ~PolicyWatch();
  PolicyWatch(const PolicyWatch&) = delete;
  PolicyWatch& operator=(const PolicyWatch&) = delete;

  /// To be the first to hear of an exit() that a policy calls, before those who asked to hear of it
  /// by now (SimGrid, which says more than one line).
  void expect_exit();
  /// From now on a crash (SIGSEGV, SIGABRT, std::terminate(), ...) within a call is told with the
  /// policy's name. One outside a call does what it always does.
  void catch_crashes();

  // What the handlers do; async-signal-safe but for the last, which is not called by a signal.
  void tick();
  void on_crash(int signal) const;
  void on_exit() const;
  void on_interrupt() const;
  void on_terminate() const;

 private:
  struct Replaced {
    int signal;
    struct sigaction action;
  };
  void handle(int signal, void (*handler)(int), int flags);

  const serve::PolicyCall& call_;
  std::string too_late_;
  std::uint64_t last_call_ = 0;  // under way at the last tick
  int ticks_ = 0;                // for which it has been
  std::vector<Replaced> replaced_;
  std::terminate_handler replaced_terminate_ = nullptr;
  std::vector<char> stack_;  // of crash handlers, as a policy may have used up its own; else empty
};

/// For handlers of SIGINT and SIGTERM: says which policy is being called, if one is and plugins are
/// loaded (those of cmsim return). Async-signal-safe.
void name_called_policy();

}  // namespace cmsim::cli
