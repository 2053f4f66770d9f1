// Runs the cmsim binary as a user would: arguments in; exit code, stdout and stderr out.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace cmsim::cli {

inline std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

struct Outcome {
  int code = -1;  // 128 + n when signal n killed it
  std::string out, err;
};

/// A directory of its own, removed at the end.
class WorkDirectory {
 public:
  WorkDirectory()
      : path_(std::filesystem::temp_directory_path() / ("cmsim_cli." + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~WorkDirectory() { std::filesystem::remove_all(path_); }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  /// Runs `cmsim arguments...` here. `while_running` gets the process id; `streams` is called in
  /// the new process and may change its standard streams.
  Outcome cmsim(const std::vector<std::string>& arguments,
                const std::function<void(pid_t)>& while_running = {},
                const std::function<void()>& streams = {}) const {
    const auto out = path_ / ".stdout", err = path_ / ".stderr";
    const pid_t child = fork();
    if (child == 0) {
      std::filesystem::current_path(path_);
      dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
      dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
      if (streams) streams();
      std::vector<char*> argv{const_cast<char*>("cmsim")};
      for (const std::string& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));
      }
      argv.push_back(nullptr);
      execv(CMSIM_BINARY, argv.data());
      _exit(127);
    }
    if (while_running) while_running(child);
    int status = 0;
    waitpid(child, &status, 0);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    Outcome outcome{code, content(out), content(err)};
    std::filesystem::remove(out);
    std::filesystem::remove(err);
    return outcome;
  }

 private:
  std::filesystem::path path_;
};

inline const std::string kRoot = CMSIM_SOURCE_DIR;
inline const std::string kScenario = kRoot + "/workloads/scenarios/cloudmatrix384.json";
inline const std::string kPaperDecode = kRoot + "/workloads/scenarios/paper-decode.json";
inline const std::string kPlatform = kRoot + "/platforms/cloudmatrix384.json";

}  // namespace cmsim::cli
