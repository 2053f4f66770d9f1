// A validation is a study of the commands of its rows: each is a point.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "captured.hpp"
#include "cmsim/study/runner.hpp"
#include "validation.hpp"

namespace cmsim::cli {
namespace {

using Results = std::map<Command, nlohmann::json>;

/// The words of a row as a point: its file second, the rest as they are.
study::Point point_of(const Command& command) {
  study::Point point{command[0], {}, {}, {}, {}};
  if (command.size() > 1) point.file = command[1];
  if (command.size() > 2) point.options.assign(command.begin() + 2, command.end());
  return point;
}

nlohmann::json result_of(const Command& command, const study::Outcome& outcome) {
  if (outcome.ending == Ending::kRefused) {
    throw ConfigError(
        fmt::format("a row has a wrong command: {}: {}", spelled(command), outcome.error));
  }
  if (!outcome.done()) {
    throw SimulationError(
        fmt::format("a validation row failed: {}: {}", spelled(command), outcome.error));
  }
  const nlohmann::json result = nlohmann::json::parse(outcome.result, nullptr, false);
  if (result.is_discarded()) {
    throw SimulationError(fmt::format("no JSON came from {}", spelled(command)));
  }
  return result;
}

Results run_all(const std::vector<Command>& commands, const std::filesystem::path& root,
                const serve::PolicyRegistry& registry, int jobs) {
  std::vector<study::Point> points;
  for (const Command& command : commands) points.push_back(point_of(command));
  study::RunnerOptions options;
  options.jobs = jobs;
  const auto outcomes = study::run_points(
      points,
      [&](const study::Point& point) {
        std::filesystem::current_path(root);
        return json_of(study::words_of(point), registry);
      },
      options);
  Results results;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    results[commands[i]] = result_of(commands[i], outcomes[i]);
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
