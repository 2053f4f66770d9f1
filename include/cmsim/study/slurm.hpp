// Runs the parts of a study (--shard) as array jobs of Slurm and waits for them.
//
// A part is done when its task has left a word of its exit in the study's directory, which all
// nodes must share; squeue says which parts are still under way. A part that is neither was lost
// with its node, or killed, and is submitted again. It knows no points: what a part has run is in
// the store, and whoever calls looks there. Times are wall-clock seconds.
#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cmsim/base/units.hpp"

namespace cmsim::study {

struct SlurmOptions {
  std::filesystem::path directory;   // of the study; scripts and logs go to slurm/ in it
  std::vector<std::string> command;  // what runs a part when "--jobs n --shard i/n" follows it
  std::vector<std::string> sbatch;   // further words for sbatch
  int attempts = 2;                  // times that a part is submitted
  Seconds poll = 0.5;                // between two looks at the queue
  const std::atomic<bool>* interrupt = nullptr;          // once true, the jobs are cancelled
  std::function<void(std::size_t)> on_end = {};          // told the part
  std::function<void(const std::string&)> on_lost = {};  // what is submitted again, and why
};

/// Runs `parts` (numbers from 1) of `of`, in arrays no larger than Slurm takes. Returns when all
/// have ended, also when points of theirs failed, or at an interrupt. Throws SimulationError when
/// Slurm takes no job, or a part did not end in `attempts` attempts: the others are finished first,
/// and the message has the last words of its log.
void run_parts_on_slurm(const std::vector<std::size_t>& parts, std::size_t of,
                        const SlurmOptions& options);

}  // namespace cmsim::study
