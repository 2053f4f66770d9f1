#include "cmsim/study/runner.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "cmsim/base/error.hpp"
#include "cmsim/base/json_text.hpp"
#include "cmsim/engine/runtime.hpp"
#include "cmsim/run/file_kind.hpp"
#include "cmsim/run/shipped.hpp"

namespace cmsim::study {
namespace {

Outcome outcome_of(ChildOutcome child) {
  Outcome outcome;
  outcome.ending = child.ending;
  (child.ending == Ending::kDone ? outcome.result : outcome.error) = std::move(child.text);
  outcome.attempts = child.attempts;
  outcome.cpu = child.cpu;
  outcome.peak_memory = child.peak_memory;
  return outcome;
}

}  // namespace

const run::ScenarioFile& ScenarioFiles::get(const std::filesystem::path& file) {
  auto& kept = files_[file];
  if (kept) return *kept;
  check_lasting(file);
  const std::filesystem::path found = run::find_scenario(file.string());
  run::expect_kind(found, run::FileKind::kScenario);
  kept = std::make_unique<run::ScenarioFile>(file.string());
  return *kept;
}

void check_lasting(const std::filesystem::path& file) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  const bool passes = std::filesystem::exists(status) && std::filesystem::is_other(status);
  if (file != "-" && !passes) return;
  throw ConfigError({file.string(), 0, ""},
                    "cannot be read again, which every point of a study does; give a file");
}

std::vector<Outcome> run_points(std::span<const Point> points, const Work& work,
                                const RunnerOptions& options) {
  PoolOptions pool{options.jobs, options.limits, options.interrupt};
  pool.stays = [] { return !engine::engine_was_made(); };
  std::vector<Outcome> outcomes(points.size());
  pool.on_end = [&](std::size_t index, const ChildOutcome& child) {
    outcomes[index] = outcome_of(child);
    if (options.on_end) options.on_end(index, outcomes[index]);
  };
  run_in_children(
      points.size(), [&](std::size_t index) { return work(points[index]); }, pool);
  return outcomes;
}

std::string run_scenario(const Point& point, const run::ScenarioFile& file,
                         run::RunOptions options) {
  options.command = spelled(point);
  const run::Scenario scenario = file.scenario(run::settings_of(all_sets(point)), options.registry);
  return json_text(metrics::to_json(run::run(scenario, options))) + "\n";
}

}  // namespace cmsim::study
