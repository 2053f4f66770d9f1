#include "cmsim/check/program.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cmsim/base/error.hpp"
#include "cmsim/base/process.hpp"

namespace cmsim::check {
namespace {

namespace fs = std::filesystem;

constexpr int kNotStarted = 127;  // as shells say it
constexpr int kRefused = 2;       // of cmsim: the user's input is wrong

/// A file in memory that a child writes its output to.
class Catch {
 public:
  Catch() : descriptor_(memfd_create("cmsim-output", MFD_CLOEXEC)) {
    if (descriptor_ < 0)
      throw SimulationError(
          fmt::format("no memory for the output of a program: {}", std::strerror(errno)));
  }
  ~Catch() { ::close(descriptor_); }
  Catch(const Catch&) = delete;
  Catch& operator=(const Catch&) = delete;

  int descriptor() const { return descriptor_; }

  std::string text() const {
    struct stat status {};
    fstat(descriptor_, &status);
    std::string all(static_cast<std::size_t>(status.st_size), '\0');
    std::size_t have = 0;
    while (have < all.size()) {
      const ssize_t got =
          pread(descriptor_, all.data() + have, all.size() - have, static_cast<off_t>(have));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    all.resize(have);
    return all;
  }

 private:
  int descriptor_;
};

[[noreturn]] void become(const fs::path& program, std::vector<std::string>& words, int out, int err,
                         pid_t parent) {
  end_with_parent(parent);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  _exit(kNotStarted);
}

/// Progress bars and notes come before the message that ends a program.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of("\r\n");
  if (end == std::string::npos) return "it says nothing";
  const std::size_t begin = text.find_last_of("\r\n", end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? -1 : begin));
}

}  // namespace

fs::path find_program(const std::string& name) {
  const auto runs = [](const fs::path& file) {
    std::error_code error;
    return fs::is_regular_file(file, error) && access(file.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string::npos) {
    if (runs(name)) return name;
    throw ConfigError(fmt::format("{}: no program that can be run", name));
  }
  const char* path = std::getenv("PATH");
  std::string places = path == nullptr ? "" : path;
  for (std::size_t begin = 0; begin < places.size();) {
    const std::size_t end = std::min(places.find(':', begin), places.size());
    if (const fs::path file = fs::path(places.substr(begin, end - begin)) / name; runs(file))
      return file;
    begin = end + 1;
  }
  throw ConfigError(fmt::format("{}: no such program along PATH; ./{} names one here", name, name));
}

std::string run_program(const fs::path& program, const study::Point& point) {
  const Catch out, err;
  std::vector<std::string> words = study::words_of(point);
  words.insert(words.begin(), program.string());
  words.emplace_back("--json");
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0)
    throw SimulationError(
        fmt::format("no process for {}: {}", program.string(), std::strerror(errno)));
  if (child == 0) become(program, words, out.descriptor(), err.descriptor(), parent);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    throw SimulationError(fmt::format("ended by signal {}", WTERMSIG(status)));
  }
  const int code = WEXITSTATUS(status);
  if (code == kNotStarted) throw SimulationError("could not be started");
  if (code == kRefused) throw ConfigError(last_line(err.text()));
  if (code != 0) {
    throw SimulationError(fmt::format("ended with code {}: {}", code, last_line(err.text())));
  }
  return out.text();
}

}  // namespace cmsim::check
