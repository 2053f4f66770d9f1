#include "child_answer.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <type_traits>

#include "cmsim/base/error.hpp"

namespace cmsim {
namespace {

/// Precedes the text; as it lies in memory, for both ends are one program.
struct Head {
  std::uint64_t size = 0;  // of the text
  Seconds cpu = 0;
  Bytes peak_memory = 0;
  Ending ending = Ending::kDone;
  bool stays = false;
};
static_assert(std::is_trivially_copyable_v<Head>);

ChildAnswer outcome_of(const std::function<std::string(std::size_t)>& work, std::size_t piece) {
  try {
    return {Ending::kDone, work(piece)};
  } catch (const ConfigError& error) {
    return {Ending::kRefused, error.what()};
  } catch (const SimulationError& error) {
    return {Ending::kFailed, error.what()};
  } catch (const OutputError& error) {
    return {Ending::kFailed, error.what()};
  } catch (const std::bad_alloc&) {
    return {Ending::kFailed, "there is not enough memory for this"};
  } catch (const std::exception& error) {
    return {Ending::kBug, error.what()};
  } catch (...) {
    return {Ending::kBug, "an exception of no known type"};
  }
}

bool send(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

/// Of the process and those it has waited for.
Seconds cpu_so_far(Bytes& peak_memory) {
  Seconds sum = 0;
  for (const int whose : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage use{};
    ::getrusage(whose, &use);
    sum += cpu_of(use);
    if (whose == RUSAGE_SELF) peak_memory = Bytes{use.ru_maxrss} * 1024;
  }
  return sum;
}

}  // namespace

Seconds cpu_of(const rusage& use) {
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

void give_answers(int answers, int orders, std::size_t piece,
                  const std::function<std::string(std::size_t)>& work,
                  const std::function<bool()>& stays) {
  Seconds before = 0;
  for (Head head;; before += head.cpu) {
    const ChildAnswer answer = outcome_of(work, piece);
    head.size = answer.text.size();
    head.ending = answer.ending;
    head.cpu = cpu_so_far(head.peak_memory) - before;
    head.stays = stays && stays();
    const std::string_view shown(reinterpret_cast<const char*>(&head), sizeof head);
    if (!send(answers, shown) || !send(answers, answer.text)) ::_exit(1);
    if (!head.stays) ::_exit(0);
    ssize_t got;
    while ((got = ::recv(orders, &piece, sizeof piece, MSG_WAITALL)) < 0 && errno == EINTR) {
    }
    if (got != sizeof piece) ::_exit(0);
  }
}

bool give_order(int orders, std::size_t piece) {
  return ::send(orders, &piece, sizeof piece, MSG_NOSIGNAL) == sizeof piece;
}

std::optional<ChildAnswer> read_answer(std::string_view message) {
  Head head;
  if (message.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, message.data(), sizeof head);
  message.remove_prefix(sizeof head);
  if (message.size() != head.size) return std::nullopt;
  return ChildAnswer{head.ending, std::string(message), head.stays, head.cpu, head.peak_memory};
}

}  // namespace cmsim
