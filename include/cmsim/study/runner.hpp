// Runs points, each in a child process forked from this one with its files read already, so that a
// point costs what its simulation costs.
//
// What a point is run by is a function from the point to its JSON, called in the child. Knows no
// store and no statistics. Times are wall-clock seconds.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cmsim/base/process_pool.hpp"
#include "cmsim/run/run.hpp"
#include "cmsim/run/scenario.hpp"
#include "cmsim/study/point.hpp"

namespace cmsim::study {

/// Scenario files, each read once. Paths are from the working directory.
class ScenarioFiles {
 public:
  /// Throws ConfigError when it cannot be read, or not again.
  const run::ScenarioFile& get(const std::filesystem::path& file);

 private:
  std::map<std::filesystem::path, std::unique_ptr<run::ScenarioFile>> files_;
};

/// Throws ConfigError for the standard input, a pipe or a device: what is read once makes no study.
void check_lasting(const std::filesystem::path& file);

using Work = std::function<std::string(const Point&)>;

struct RunnerOptions {
  int jobs = 1;
  ChildLimits limits = {};
  const std::atomic<bool>* interrupt = nullptr;
  std::function<void(std::size_t, const Outcome&)> on_end = {};  // as points end, in any order
};

/// Outcomes in the order of the points. A point that fails does not stop the others; what was
/// interrupted is Ending::kNotEnded. Throws SimulationError when there are no processes to be had.
std::vector<Outcome> run_points(std::span<const Point> points, const Work& work,
                                const RunnerOptions& options = {});

/// The result of `cmsim run` on the point, in this process. `options.command` is set here.
std::string run_scenario(const Point& point, const run::ScenarioFile& file,
                         run::RunOptions options);

}  // namespace cmsim::study
