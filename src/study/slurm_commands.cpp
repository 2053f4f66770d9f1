#include "slurm_commands.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <sstream>

#include "cmsim/base/error.hpp"
#include "cmsim/study/point.hpp"

namespace cmsim::study {
namespace {

struct Said {
  int code = -1;
  std::string text;  // on either stream
};

Said execute(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += shell_word(word) + " ";
  FILE* const pipe = ::popen((line + "2>&1").c_str(), "r");
  if (pipe == nullptr) throw SimulationError("no process for " + words.front());
  Said said;
  std::array<char, 4096> buffer;
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    said.text.append(buffer.data(), count);
  }
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) said.code = WEXITSTATUS(status);
  return said;
}

[[noreturn]] void fail(const std::string& command, const std::string& text) {
  std::string line = text.substr(0, text.find_last_not_of(" \n") + 1);
  std::replace(line.begin(), line.end(), '\n', ' ');
  throw SimulationError(fmt::format("{}: {}", command, line.empty() ? "failed" : line));
}

std::optional<std::size_t> number_of(const std::string& text) {
  std::size_t number = 0;
  const char* const last = text.data() + text.size();
  const auto end = std::from_chars(text.data(), last, number);
  if (end.ec != std::errc() || end.ptr != last) return std::nullopt;
  return number;
}

}  // namespace

std::size_t most_tasks() {
  const Said said = execute({"scontrol", "show", "config"});
  if (said.code != 0) fail("scontrol show config", said.text);
  std::istringstream lines(said.text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, equals, value;
    if (!(words >> name >> equals >> value) || name != "MaxArraySize") continue;
    const auto size = number_of(value);  // the largest index is one less
    if (size && *size > 0) return *size;
  }
  fail("scontrol show config", "it names no MaxArraySize");
}

std::string submit_array(const std::filesystem::path& script, std::size_t tasks,
                         const std::filesystem::path& logs, const std::vector<std::string>& words) {
  std::vector<std::string> command{"sbatch",
                                   "--parsable",
                                   "--no-requeue",
                                   "--job-name=cmsim",
                                   fmt::format("--array=0-{}", tasks - 1),
                                   fmt::format("--output={}", (logs / "%A_%a.log").string())};
  command.insert(command.end(), words.begin(), words.end());
  command.push_back(script.string());
  const Said said = execute(command);
  if (said.code != 0) fail("sbatch", said.text);
  std::istringstream lines(said.text);  // warnings, then "job" or "job;cluster"
  std::string job;
  for (std::string line; std::getline(lines, line);) {
    const std::string first = line.substr(0, line.find(';'));
    if (number_of(first)) job = first;
  }
  if (job.empty()) fail("sbatch", said.text);
  return job;
}

std::optional<std::set<SlurmTask>> tasks_under_way(const std::vector<std::string>& jobs) {
  const Said said = execute({"squeue", "--noheader", "--array", "--format=%F %K %t",
                             fmt::format("--jobs={}", fmt::join(jobs, ","))});
  const bool all_gone = said.text.find("Invalid job id") != std::string::npos;
  if (said.code != 0 && !all_gone) return std::nullopt;
  std::set<SlurmTask> tasks;
  std::istringstream lines(said.text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string job, index, state;
    if (!(words >> job >> index >> state) || !number_of(job)) continue;
    const auto number = number_of(index);
    if (number && state != "CG") tasks.emplace(job, *number);  // CG: its processes have ended
  }
  return tasks;
}

void cancel_jobs(const std::vector<std::string>& jobs) {
  std::vector<std::string> command{"scancel", "--quiet"};
  command.insert(command.end(), jobs.begin(), jobs.end());
  execute(command);
}

}  // namespace cmsim::study
