// The commands of Slurm, each as a function: internal to the executor.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace cmsim::study {

/// A task of an array: the job and the index in it.
using SlurmTask = std::pair<std::string, std::size_t>;

/// Tasks that an array may have here. Throws SimulationError when there is no Slurm.
std::size_t most_tasks();

/// Submits an array of `tasks` tasks and gives its job. Throws SimulationError with what sbatch
/// said.
std::string submit_array(const std::filesystem::path& script, std::size_t tasks,
                         const std::filesystem::path& logs, const std::vector<std::string>& words);

/// Tasks of the jobs that wait or run; nothing when the controller did not answer.
std::optional<std::set<SlurmTask>> tasks_under_way(const std::vector<std::string>& jobs);

void cancel_jobs(const std::vector<std::string>& jobs);

}  // namespace cmsim::study
