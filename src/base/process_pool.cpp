#include "cmsim/base/process_pool.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <new>
#include <optional>
#include <utility>

#include "child_answer.hpp"
#include "cmsim/base/error.hpp"
#include "cmsim/base/process.hpp"

namespace cmsim {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLongestSleep{200};  // until the interrupt flag is looked at
constexpr std::size_t kMostSaid = 2000;                  // bytes kept of what a child says

[[noreturn]] void fail(const char* what) {
  throw SimulationError(fmt::format("no {} for a child process: {}", what, std::strerror(errno)));
}

struct Pipe {
  int read = -1, write = -1;

  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe");
    read = ends[0], write = ends[1];
  }
  void close_both() const {
    ::close(read);
    ::close(write);
  }
};

/// Both ways, and a write to one whose other end is gone is no signal.
struct Socket {
  int ours = -1, theirs = -1;

  Socket() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("socket");
    ours = ends[0], theirs = ends[1];
  }
};

/// One end of a pipe that is read until the other is closed everywhere.
class Inbox {
 public:
  explicit Inbox(int descriptor) : descriptor_(descriptor) {}

  bool open() const { return descriptor_ >= 0; }
  pollfd waiting() const { return {descriptor_, POLLIN, 0}; }  // poll() skips one that is closed

  /// Takes what is there; it blocks when nothing is.
  void take() {
    char buffer[1 << 16];
    const ssize_t got = ::read(descriptor_, buffer, sizeof buffer);
    if (got > 0) text_.append(buffer, static_cast<std::size_t>(got));
    if (got == 0 || (got < 0 && errno != EINTR)) close();
  }
  void close() {
    if (open()) ::close(std::exchange(descriptor_, -1));
  }
  const std::string& text() const { return text_; }
  void clear() { text_.clear(); }

 private:
  int descriptor_;
  std::string text_;
};

struct Piece {
  std::size_t number = 0;
  int attempt = 1;
};

struct Child {
  std::optional<Piece> piece;  // none: it was told to leave
  pid_t process = -1;
  int orders = -1;
  Inbox answer, said;
  Seconds cpu = 0;  // of the pieces before
  Clock::time_point until = Clock::time_point::max();
  bool too_long = false;

  bool silent() const { return !answer.open() && !said.open(); }
  void leave() {
    piece.reset();
    ::shutdown(orders, SHUT_RDWR);  // its end may be open in children that were forked after it
    ::close(std::exchange(orders, -1));
  }
};

/// What is decided anew in a child: its parent ends it, its limits, where its words go.
void settle(pid_t parent, const ChildLimits& limits, int said) {
  end_with_parent(parent);
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C reaches the whole group: the parent ends its children
  std::signal(SIGTERM, SIG_DFL);
  ::dup2(said, STDERR_FILENO);
  if (limits.memory > 0) {
    const rlimit most{static_cast<rlim_t>(limits.memory), static_cast<rlim_t>(limits.memory)};
    ::setrlimit(RLIMIT_DATA, &most);
  }
}

/// What this process has of the data that RLIMIT_DATA bounds: the limit refuses growth alone.
Bytes private_data() {
  std::ifstream file("/proc/self/statm");
  Bytes pages = 0;
  for (int field = 0; field < 6; ++field) file >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

Child start(Piece piece, const std::function<std::string(std::size_t)>& work,
            const PoolOptions& options) {
  const ChildLimits& limits = options.limits;
  const Pipe answer, said;
  const Socket orders;
  std::fflush(stdout);  // or the child has a copy
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process < 0) {
    answer.close_both();
    said.close_both();
    ::close(orders.ours);
    ::close(orders.theirs);
    fail("process");
  }
  if (process == 0) {
    settle(parent, limits, said.write);
    const bool limited = limits.time > 0 || limits.memory > 0;
    const auto held_to_limit = [&](std::size_t number) {
      if (limits.memory > 0 && private_data() > limits.memory) throw std::bad_alloc();
      return work(number);
    };
    give_answers(answer.write, orders.theirs, piece.number, held_to_limit,
                 limited ? nullptr : options.stays);
  }
  ::close(answer.write);
  ::close(said.write);
  ::close(orders.theirs);
  Child child{piece, process, orders.ours, Inbox(answer.read), Inbox(said.read)};
  if (limits.time > 0) {
    child.until = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                     std::chrono::duration<double>(std::min(limits.time, 1e8)));
  }
  return child;
}

/// The last of what the child said, as one line.
std::string last_words(const std::string& said) {
  std::string text = said.size() > kMostSaid ? said.substr(said.size() - kMostSaid) : said;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.empty() ? text : ": " + text;
}

ChildOutcome finish(Child& child, const ChildLimits& limits) {
  int status = 0;
  rusage use{};
  while (::wait4(child.process, &status, 0, &use) < 0 && errno == EINTR) {
  }
  ::close(child.orders);
  ChildOutcome outcome;
  if (!child.piece) return outcome;
  outcome.attempts = child.piece->attempt;
  outcome.cpu = cpu_of(use) - child.cpu;
  outcome.peak_memory = Bytes{use.ru_maxrss} * 1024;
  const auto answer = read_answer(child.answer.text());
  if (child.too_long) {
    outcome.ending = Ending::kTooLong;
    outcome.text = fmt::format("took longer than {:g} s", limits.time);
  } else if (WIFSIGNALED(status)) {
    outcome.ending = Ending::kDied;
    outcome.text = fmt::format("was ended by signal {} ({}){}", WTERMSIG(status),
                               ::strsignal(WTERMSIG(status)), last_words(child.said.text()));
  } else if (!answer || WEXITSTATUS(status) != 0) {
    outcome.ending = Ending::kDied;
    outcome.text = fmt::format("left with exit code {} and no answer{}", WEXITSTATUS(status),
                               last_words(child.said.text()));
  } else {
    outcome.ending = answer->ending;
    outcome.text = answer->text;
  }
  return outcome;
}

/// The children at work; whatever happens, none is left behind.
class Pool {
 public:
  Pool(const std::function<std::string(std::size_t)>& work, const PoolOptions& options)
      : work_(work), options_(options) {}
  ~Pool() { kill_all(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  std::vector<ChildOutcome> run(std::size_t count) {
    outcomes_.resize(count);
    for (std::size_t number = 0; number < count; ++number) waiting_.push_back({number});
    while (!interrupted() && (!waiting_.empty() || !children_.empty())) {
      while (!waiting_.empty() && static_cast<int>(children_.size()) < options_.jobs) {
        const Piece piece = waiting_.front();
        waiting_.pop_front();
        children_.push_back(start(piece, work_, options_));
      }
      listen();
      kill_late();
      for (Child& child : children_) {
        if (child.piece) go_on(child);
      }
      for (Child& child : take_silent()) {
        ChildOutcome outcome = finish(child, options_.limits);
        if (!child.piece) continue;
        const bool mishap = outcome.ending == Ending::kDied || outcome.ending == Ending::kTooLong;
        if (mishap && interrupted()) continue;  // it was told to end as we were
        if (mishap && child.piece->attempt < options_.limits.attempts) {
          waiting_.push_front({child.piece->number, child.piece->attempt + 1});
          continue;
        }
        ended(child.piece->number, std::move(outcome));
      }
    }
    return std::move(outcomes_);
  }

 private:
  bool interrupted() const { return options_.interrupt != nullptr && *options_.interrupt; }

  void ended(std::size_t number, ChildOutcome outcome) {
    outcomes_[number] = std::move(outcome);
    if (options_.on_end) options_.on_end(number, outcomes_[number]);
  }

  /// A child that has done its piece and stays gets the next.
  void go_on(Child& child) {
    auto answer = read_answer(child.answer.text());
    if (!answer || !answer->stays) return;
    child.cpu += answer->cpu;
    child.answer.clear();
    child.said.clear();
    const Piece done = *child.piece;
    if (!waiting_.empty() && give_order(child.orders, waiting_.front().number)) {
      child.piece = waiting_.front();
      waiting_.pop_front();
    } else {
      child.leave();
    }
    ended(done.number, {answer->ending, std::move(answer->text), done.attempt, answer->cpu,
                        answer->peak_memory});
  }

  /// Takes what the children have sent; returns at the latest when the next is due to be killed.
  void listen() {
    std::vector<pollfd> waiting;
    auto sleep = std::chrono::duration_cast<std::chrono::milliseconds>(kLongestSleep);
    for (const Child& child : children_) {
      waiting.push_back(child.answer.waiting());
      waiting.push_back(child.said.waiting());
      if (child.until == Clock::time_point::max()) continue;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(child.until - Clock::now());
      sleep = std::clamp(left, std::chrono::milliseconds(0), sleep);
    }
    const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(sleep.count()));
    if (ready < 0 && errno != EINTR) fail("answer");
    if (ready <= 0) return;
    for (std::size_t i = 0; i < children_.size(); ++i) {
      if (waiting[2 * i].revents != 0) children_[i].answer.take();
      if (waiting[2 * i + 1].revents != 0) children_[i].said.take();
    }
  }

  void kill_late() {
    const auto now = Clock::now();
    for (Child& child : children_) {
      if (child.too_long || now < child.until) continue;
      child.too_long = true;
      child.until = Clock::time_point::max();
      ::kill(child.process, SIGKILL);
    }
  }

  std::vector<Child> take_silent() {
    std::vector<Child> silent;
    const auto first = std::stable_partition(children_.begin(), children_.end(),
                                             [](const Child& child) { return !child.silent(); });
    std::move(first, children_.end(), std::back_inserter(silent));
    children_.erase(first, children_.end());
    return silent;
  }

  void kill_all() {
    for (Child& child : children_) {
      ::kill(child.process, SIGKILL);
      child.answer.close();
      child.said.close();
      ::close(child.orders);
      while (::waitpid(child.process, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }

  const std::function<std::string(std::size_t)>& work_;
  const PoolOptions& options_;
  std::deque<Piece> waiting_;
  std::vector<ChildOutcome> outcomes_;
  std::vector<Child> children_;
};

}  // namespace

std::vector<ChildOutcome> run_in_children(std::size_t count,
                                          const std::function<std::string(std::size_t)>& work,
                                          const PoolOptions& options) {
  return Pool(work, options).run(count);
}

}  // namespace cmsim
