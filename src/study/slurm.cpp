#include "cmsim/study/slurm.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <thread>

#include "cmsim/base/error.hpp"
#include "cmsim/base/files.hpp"
#include "cmsim/study/point.hpp"
#include "slurm_commands.hpp"

namespace cmsim::study {
namespace {

namespace fs = std::filesystem;

constexpr int kAbsences = 4;  // looks that miss a task before it counts as lost: a file may be late

/// A part that has been submitted and has not ended.
struct Flight {
  SlurmTask task;
  int attempt = 1;
  int absences = 0;
};

class Parts {
 public:
  Parts(std::size_t of, const SlurmOptions& options)
      : of_(of),
        options_(options),
        place_(fs::absolute(options.directory) / "slurm" /
               fmt::format("{}-{}", std::time(nullptr), ::getpid())),
        most_(most_tasks()) {
    fs::create_directories(place_);
  }

  void run(const std::vector<std::size_t>& parts) {
    try {
      submit(parts, 1);
      while (!flights_.empty() && !interrupted()) {
        std::this_thread::sleep_for(std::chrono::duration<double>(options_.poll));
        look();
      }
    } catch (...) {
      if (!jobs_.empty()) cancel_jobs(jobs_);
      throw;
    }
    if (interrupted()) {
      cancel_jobs(jobs_);
    } else if (given_up_.empty()) {
      std::error_code error;
      fs::remove_all(place_, error);
      fs::remove(place_.parent_path(), error);  // unless others use it
    } else {
      throw SimulationError(given_up_);
    }
  }

 private:
  bool interrupted() const { return options_.interrupt != nullptr && *options_.interrupt; }
  fs::path end_of(std::size_t part) const { return place_ / fmt::format("end-{}", part); }

  /// Task i of the array runs the i-th of these parts.
  std::string script_of(const std::vector<std::size_t>& parts) const {
    std::string command;
    for (const std::string& word : options_.command) command += shell_word(word) + " ";
    const std::string here = shell_word(fs::current_path().string());
    const std::string end = shell_word((place_ / "end-").string());
    return fmt::format(
        "#!/bin/sh\n"
        "set -- {}\n"
        "shift \"$SLURM_ARRAY_TASK_ID\"\n"
        "cd {} && {}--jobs \"${{SLURM_CPUS_PER_TASK:-1}}\" --shard \"$1/{}\"\n"
        "code=$?\n"
        "echo $code > {}\"$1.$SLURM_JOB_ID\" && mv {}\"$1.$SLURM_JOB_ID\" {}\"$1\"\n",
        fmt::join(parts, " "), here, command, of_, end, end, end);
  }

  void submit(const std::vector<std::size_t>& parts, int attempt) {
    for (std::size_t first = 0; first < parts.size(); first += most_) {
      const auto begin = parts.begin() + static_cast<std::ptrdiff_t>(first);
      const std::vector<std::size_t> chunk(
          begin, begin + static_cast<std::ptrdiff_t>(std::min(most_, parts.size() - first)));
      const fs::path script = place_ / fmt::format("array-{}.sh", jobs_.size());
      write_whole(script, script_of(chunk));
      jobs_.push_back(submit_array(script, chunk.size(), place_, options_.sbatch));
      for (std::size_t i = 0; i < chunk.size(); ++i) {
        flights_[chunk[i]] = {{jobs_.back(), i}, attempt, 0};
      }
    }
  }

  /// The exit code that a task left behind; taken away, so that a later one can be told from it.
  std::optional<int> take_end(std::size_t part) const {
    std::ifstream stream(end_of(part));
    int code = 0;
    if (!(stream >> code)) return std::nullopt;
    std::error_code error;
    fs::remove(end_of(part), error);
    return code;
  }

  void look() {
    const auto under_way = tasks_under_way(jobs_);
    std::map<int, std::vector<std::size_t>> again;  // by attempt
    for (auto flight = flights_.begin(); flight != flights_.end();) {
      auto& [part, state] = *flight;
      const std::optional<int> code = take_end(part);
      // 4: points of the part have failed, and say so in the store.
      if (code == 0 || code == 4) {
        if (options_.on_end) options_.on_end(part);
        flight = flights_.erase(flight);
        continue;
      }
      if (under_way && !code)
        state.absences = under_way->count(state.task) ? 0 : state.absences + 1;
      if (!code && state.absences < kAbsences) {
        ++flight;
        continue;
      }
      const std::string what =
          code ? fmt::format("ended with exit code {}", *code) : "was lost: its job is gone";
      if (state.attempt < options_.attempts) {
        again[state.attempt + 1].push_back(part);
        if (options_.on_lost) {
          options_.on_lost(fmt::format("part {} of {} {}, submitted again", part, of_, what));
        }
      } else {
        give_up(part, what, state.task);
      }
      flight = flights_.erase(flight);
    }
    for (const auto& [attempt, parts] : again) submit(parts, attempt);
  }

  void give_up(std::size_t part, const std::string& what, const SlurmTask& task) {
    if (!given_up_.empty()) return;  // the first says what is wrong
    const fs::path log = place_ / fmt::format("{}_{}.log", task.first, task.second);
    std::ifstream stream(log);
    std::string last;
    for (std::string line; std::getline(stream, line);) {
      if (!line.empty()) last = line;
    }
    given_up_ = fmt::format("part {} of {} {}, {} times{}; its log is {}", part, of_, what,
                            options_.attempts, last.empty() ? "" : ": " + last, log.string());
  }

  const std::size_t of_;
  const SlurmOptions& options_;
  const fs::path place_;  // of this call: scripts, logs and ends
  const std::size_t most_;
  std::vector<std::string> jobs_;
  std::map<std::size_t, Flight> flights_;  // by part
  std::string given_up_;                   // why, when a part was
};

}  // namespace

void run_parts_on_slurm(const std::vector<std::size_t>& parts, std::size_t of,
                        const SlurmOptions& options) {
  if (!parts.empty()) Parts(of, options).run(parts);
}

}  // namespace cmsim::study
