#include "captured.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cmsim/base/error.hpp"
#include "cmsim/cli/main.hpp"

namespace cmsim::cli {
namespace {

/// Memory that takes the place of a standard stream.
class Capture {
 public:
  explicit Capture(int stream) : memory_(::memfd_create("cmsim", MFD_CLOEXEC)) {
    if (memory_ < 0 || ::dup2(memory_, stream) < 0) {
      throw SimulationError(fmt::format("no memory for an output: {}", std::strerror(errno)));
    }
  }
  std::string text() const {
    std::string all;
    char buffer[1 << 16];
    for (;;) {
      const ssize_t got = ::pread(memory_, buffer, sizeof buffer, static_cast<off_t>(all.size()));
      if (got <= 0) return all;
      all.append(buffer, static_cast<std::size_t>(got));
    }
  }

 private:
  int memory_;  // for as long as the process lives
};

/// Without the name of the program and the end of the line.
std::string message_of(std::string said) {
  if (said.starts_with("cmsim: ")) said.erase(0, 7);
  while (said.ends_with('\n')) said.pop_back();
  return said;
}

}  // namespace

std::string json_of(const std::vector<std::string>& words, const serve::PolicyRegistry& registry) {
  const Capture out(STDOUT_FILENO), error(STDERR_FILENO);
  std::vector<std::string> all{"cmsim"};
  all.insert(all.end(), words.begin(), words.end());
  all.emplace_back("--json");
  std::vector<char*> argv;
  for (std::string& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int code = main(static_cast<int>(all.size()), argv.data(), registry);
  std::fflush(stdout);
  if (code == kUsage) throw ConfigError(message_of(error.text()));
  if (code != kOk) throw SimulationError(message_of(error.text()));
  return out.text();
}

}  // namespace cmsim::cli
