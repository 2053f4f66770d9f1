// Runs the commands of a validation in child processes: SimGrid has one engine a process.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cmsim/base/process.hpp"
#include "cmsim/cli/main.hpp"
#include "validation.hpp"

namespace cmsim::cli {
namespace {

struct Child {
  Command command;
  pid_t pid = -1;
  int output = -1;
  std::string text;
};

/// The child becomes `cmsim COMMAND --json`, with its stdout in our pipe.
Child start(const Command& command, const std::filesystem::path& root,
            const serve::PolicyRegistry& registry) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw SimulationError("no pipe for a validation row");
  std::fflush(stdout);
  std::fflush(stderr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) throw SimulationError("no process for a validation row");
  if (pid == 0) {
    end_with_parent(parent);
    dup2(ends[1], STDOUT_FILENO);
    if (chdir(root.c_str()) != 0) _exit(kInternal);
    std::vector<std::string> words{"cmsim"};
    words.insert(words.end(), command.begin(), command.end());
    words.emplace_back("--json");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const int code = main(static_cast<int>(words.size()), argv.data(), registry);
    std::fflush(stdout);
    _exit(code);
  }
  close(ends[1]);
  return {command, pid, ends[0], {}};
}

/// Reads what is there; true when the child has closed its end.
bool drain(Child& child) {
  char buffer[1 << 16];
  const ssize_t got = read(child.output, buffer, sizeof buffer);
  if (got > 0) child.text.append(buffer, static_cast<std::size_t>(got));
  return got == 0 || (got < 0 && errno != EINTR);
}

nlohmann::json finish(Child& child) {
  close(child.output);
  int status = 0;
  while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kUsage) {
    throw ConfigError(fmt::format("a row has a wrong command: {}", spelled(child.command)));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != kOk) {
    throw SimulationError(fmt::format("a validation row failed: {}", spelled(child.command)));
  }
  const nlohmann::json result = nlohmann::json::parse(child.text, nullptr, false);
  if (result.is_discarded()) {
    throw SimulationError(fmt::format("no JSON came from {}", spelled(child.command)));
  }
  return result;
}

using Results = std::map<Command, nlohmann::json>;

Results run_all(const std::vector<Command>& commands, const std::filesystem::path& root,
                const serve::PolicyRegistry& registry, int jobs) {
  Results results;
  std::vector<Child> running;
  std::size_t next = 0;
  while (next < commands.size() || !running.empty()) {
    while (next < commands.size() && static_cast<int>(running.size()) < jobs) {
      running.push_back(start(commands[next++], root, registry));
    }
    std::vector<pollfd> waiting;
    for (const Child& child : running) waiting.push_back({child.output, POLLIN, 0});
    if (poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) {
      throw SimulationError("waiting for a validation row failed");
    }
    for (std::size_t i = running.size(); i-- > 0;) {
      if (waiting[i].revents == 0 || !drain(running[i])) continue;
      results[running[i].command] = finish(running[i]);
      running.erase(running.begin() + static_cast<long>(i));
    }
  }
  return results;
}

double figure_of(const Results& results, const Command& command, const std::string& metric) {
  const nlohmann::json& result = results.at(command);
  const nlohmann::json::json_pointer pointer(metric);
  if (!result.contains(pointer) || !result.at(pointer).is_number()) {
    throw ConfigError(fmt::format("{} has no number at {}", spelled(command), metric));
  }
  return result.at(pointer).get<double>();
}

}  // namespace

void run_validation(Validation& validation, const serve::PolicyRegistry& registry, int jobs) {
  Results wanted;  // each command once
  for (const ValidationRow& row : validation.rows) {
    wanted[row.command];
    if (!row.over.empty()) wanted[row.over];
  }
  for (const Ablation& ablation : validation.ablations) {
    wanted[ablation.command];
    wanted[ablation.baseline];
  }
  std::vector<Command> commands;
  for (const auto& [command, unused] : wanted) commands.push_back(command);
  const Results results = run_all(commands, validation.root, registry, jobs);
  for (ValidationRow& row : validation.rows) {
    row.ours = figure_of(results, row.command, row.metric);
    if (!row.over.empty()) row.ours /= figure_of(results, row.over, row.metric);
  }
  for (Ablation& ablation : validation.ablations) {
    ablation.ours = figure_of(results, ablation.baseline, ablation.metric);
    ablation.without = figure_of(results, ablation.command, ablation.metric);
  }
}

}  // namespace cmsim::cli
