#include "policy_watch.hpp"

#include <fmt/format.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string_view>

#include "cmsim/cli/main.hpp"
#include "cmsim/serve/policy_guard.hpp"

namespace cmsim::cli {
namespace {

using serve::PolicyCall;
using Stage = PolicyCall::Stage;

std::atomic<PolicyWatch*> watching{nullptr};  // a signal handler has no other way to anything

constexpr int kTicksOfLimit = 4;

struct Crash {
  int signal;
  const char* happened;
};
constexpr std::array kCrashes{Crash{SIGSEGV, "crashed (SIGSEGV)"},
                              Crash{SIGBUS, "crashed (SIGBUS)"}, Crash{SIGFPE, "crashed (SIGFPE)"},
                              Crash{SIGILL, "crashed (SIGILL)"},
                              Crash{SIGABRT, "crashed (SIGABRT)"}};

/// A line put together without memory from the heap and sent with one write().
class Line {
 public:
  Line& operator<<(std::string_view text) {
    const std::size_t fits = std::min(text.size(), sizeof text_ - 1 - size_);
    std::memcpy(text_ + size_, text.data(), fits);
    size_ += fits;
    return *this;
  }
  Line& operator<<(double number) {
    char digits[64];
    const auto end =
        std::to_chars(digits, digits + sizeof digits, number, std::chars_format::general, 9);
    return *this << std::string_view(digits, static_cast<std::size_t>(end.ptr - digits));
  }
  void send() {
    text_[size_++] = '\n';
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text_, size_);
  }

 private:
  char text_[1024];
  std::size_t size_ = 0;
};

/// `cmsim: the policy decode_admission "mine" HAPPENED at 12.3 s`
void tell(const PolicyCall::Seen& seen, std::string_view happened) {
  Line line;
  if (::isatty(STDERR_FILENO) != 0) line << "\r\033[K";  // over a line of progress
  line << "cmsim: the ";
  if (seen.stage == Stage::kLoading) {
    line << "plugin";
  } else {
    line << "policy " << seen.slot;
  }
  line << " \"" << seen.name << "\" " << happened;
  if (seen.stage == Stage::kLoading) line << " while being loaded";
  if (seen.stage == Stage::kMaking) line << " while being made";
  if (seen.stage == Stage::kDestroying) line << " while being destroyed";
  if (seen.stage == Stage::kDeciding) line << " at " << seen.now << " s";
  line.send();
}

/// A plugin that cannot be loaded is the user's input, all else the run's failure.
[[noreturn]] void tell_and_exit(const PolicyCall::Seen& seen, std::string_view happened) {
  tell(seen, happened);
  ::_exit(seen.stage == Stage::kLoading ? kUsage : kFailed);
}

}  // namespace

PolicyWatch::PolicyWatch(const PolicyCall& call, double limit)
    : call_(call), too_late_(fmt::format("has not returned for {} s", limit)) {
  watching = this;
  expect_exit();
  if (!(limit > 0)) return;
  handle(
      SIGALRM,
      [](int) {
        if (PolicyWatch* now = watching) now->tick();
      },
      SA_RESTART);
  const double tick = std::max(limit / kTicksOfLimit, 1e-3);
  timeval period{};
  period.tv_sec = static_cast<time_t>(tick);
  period.tv_usec = static_cast<suseconds_t>((tick - std::floor(tick)) * 1e6);
  const itimerval timer{period, period};
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

void PolicyWatch::expect_exit() {
  const auto at_exit = [] {
    if (const PolicyWatch* now = watching) now->on_exit();
  };
  std::atexit(at_exit);
  std::at_quick_exit(at_exit);
}

PolicyWatch::~PolicyWatch() {
  const itimerval never{};
  ::setitimer(ITIMER_REAL, &never, nullptr);
  watching = nullptr;
  for (const Replaced& old : replaced_) ::sigaction(old.signal, &old.action, nullptr);
  if (stack_.empty()) return;
  std::set_terminate(replaced_terminate_);
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  ::sigaltstack(&none, nullptr);
}

void PolicyWatch::handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  replaced_.push_back({signal, {}});
  ::sigaction(signal, &action, &replaced_.back().action);
}

void PolicyWatch::catch_crashes() {
  replaced_terminate_ = std::set_terminate([] {
    if (const PolicyWatch* now = watching) now->on_terminate();
    std::abort();
  });
  stack_.resize(std::size_t{1} << 16);
  stack_t stack{};
  stack.ss_sp = stack_.data();
  stack.ss_size = stack_.size();
  ::sigaltstack(&stack, nullptr);
  for (const Crash& crash : kCrashes) {
    handle(
        crash.signal,
        [](int signal) {
          if (const PolicyWatch* now = watching) now->on_crash(signal);
        },
        SA_ONSTACK);
  }
}

void PolicyWatch::tick() {
  const PolicyCall::Seen seen = call_.seen();
  if (seen.stage == Stage::kNone || seen.number != last_call_) {
    last_call_ = seen.number;
    ticks_ = 0;
    return;
  }
  if (++ticks_ < kTicksOfLimit) return;
  tell_and_exit(seen, too_late_);
}

void PolicyWatch::on_crash(int signal) const {
  const PolicyCall::Seen seen = call_.seen();
  if (seen.stage == Stage::kNone) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);  // when the handler has returned
    return;
  }
  for (const Crash& crash : kCrashes) {
    if (crash.signal == signal) tell_and_exit(seen, crash.happened);
  }
}

void PolicyWatch::on_exit() const {
  const PolicyCall::Seen seen = call_.seen();
  if (seen.stage != Stage::kNone) tell_and_exit(seen, "called exit()");
}

void PolicyWatch::on_terminate() const {
  const PolicyCall::Seen seen = call_.seen();
  if (seen.stage == Stage::kNone) return replaced_terminate_();
  tell_and_exit(seen, std::current_exception()
                          ? serve::what_was_thrown() + " where nothing can catch it"
                          : "called std::terminate()");
}

void PolicyWatch::on_interrupt() const {
  const PolicyCall::Seen seen = call_.seen();
  if (seen.stage != Stage::kNone && !stack_.empty()) tell(seen, "has not returned yet");
}

void name_called_policy() {
  if (const PolicyWatch* now = watching) now->on_interrupt();
}

}  // namespace cmsim::cli
