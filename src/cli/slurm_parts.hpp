// `cmsim sweep --executor slurm`: the command line of this process, run in parts by Slurm.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "study_engine.hpp"

namespace cmsim::cli {

struct SlurmRequest {
  std::size_t tasks = 0;  // parts; 0: a point each, at most 1,000
  std::string sbatch;     // further words for sbatch, as one
};

/// Has the points that are not done put into the store of the directory. Reads this process's own
/// command line. Throws SimulationError when Slurm fails, and what check_interrupted() does.
void run_on_slurm(const SlurmRequest& request, const StudyEngine& engine,
                  const std::vector<study::StudyPoint>& points,
                  const std::filesystem::path& directory);

}  // namespace cmsim::cli
