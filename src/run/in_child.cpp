#include "in_child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "cmsim/base/error.hpp"
#include "cmsim/base/process.hpp"

namespace cmsim::run {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw SimulationError("a measurement in a child process failed: " + what);
}

/// Never returns: sends the value, or the message of what went wrong with status 1.
[[noreturn]] void answer(int pipe, const std::function<double()>& compute) {
  std::string text(sizeof(double), '\0');
  int status = 0;
  try {
    const double value = compute();
    std::memcpy(text.data(), &value, sizeof value);
  } catch (const std::exception& error) {
    text = error.what();
    status = 1;
  }
  const ssize_t written = ::write(pipe, text.data(), text.size());
  ::_exit(written == static_cast<ssize_t>(text.size()) ? status : 1);
}

std::string read_all(int pipe) {
  std::string text;
  char buffer[512];
  for (;;) {
    const ssize_t count = ::read(pipe, buffer, sizeof buffer);
    if (count > 0) text.append(buffer, static_cast<std::size_t>(count));
    if (count == 0 || (count < 0 && errno != EINTR)) return text;
  }
}

}  // namespace

double in_child(const std::function<double()>& compute) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail(std::strerror(errno));
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) fail(std::strerror(errno));
  if (child == 0) {
    end_with_parent(parent);
    ::close(ends[0]);
    answer(ends[1], compute);
  }
  ::close(ends[1]);
  const std::string text = read_all(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) fail(fmt::format("it was ended by signal {}", WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0 || text.size() != sizeof(double)) fail(text);
  double value = 0;
  std::memcpy(&value, text.data(), sizeof value);
  return value;
}

}  // namespace cmsim::run
