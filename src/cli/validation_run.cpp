// A validation is a study of the commands of its rows: each is a point.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "captured.hpp"
#include "cmsim/study/runner.hpp"
#include "validation.hpp"

namespace cmsim::cli {
namespace {

/// The words of a row as a point: its file second, the rest as they are.
study::Point point_of(const Command& command) {
  study::Point point{command[0], {}, {}, {}, {}};
  if (command.size() > 1) point.file = command[1];
  if (command.size() > 2) point.options.assign(command.begin() + 2, command.end());
  return point;
}

nlohmann::json result_of(const Command& command, const study::Outcome& outcome) {
  if (outcome.ending == Ending::kRefused) {
    if (outcome.error.find("has no effect") != std::string::npos) return nullptr;
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

std::optional<double> number_in(const Results& results, const Command& command,
                                const std::string& metric) {
  const nlohmann::json& result = results.at(command);
  if (result.is_null()) return std::nullopt;
  const nlohmann::json::json_pointer pointer(metric);
  if (!result.contains(pointer) || !result.at(pointer).is_number()) {
    throw ConfigError(fmt::format("{} has no number at {}", spelled(command), metric));
  }
  return result.at(pointer).get<double>();
}

}  // namespace

Results run_commands(const std::set<Command>& commands, const std::filesystem::path& root,
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
  auto outcome = outcomes.begin();
  for (const Command& command : commands) results[command] = result_of(command, *outcome++);
  return results;
}

std::optional<double> figure_of(const Results& results, const ValidationRow& row) {
  const auto figure = number_in(results, row.command, row.metric);
  if (row.over.empty() || !figure) return figure;
  const auto over = number_in(results, row.over, row.metric);
  return over ? std::optional(*figure / *over) : std::nullopt;
}

void run_validation(Validation& validation, const serve::PolicyRegistry& registry, int jobs) {
  std::set<Command> commands;
  for (const ValidationRow& row : validation.rows) {
    commands.insert(row.command);
    if (!row.over.empty()) commands.insert(row.over);
  }
  for (const Ablation& ablation : validation.ablations) {
    commands.insert(ablation.command);
    commands.insert(ablation.baseline);
  }
  const Results results = run_commands(commands, validation.root, registry, jobs);
  const auto required = [](const std::string& id, std::optional<double> figure) {
    if (!figure) throw ConfigError(fmt::format("row {} sets what has no effect", id));
    return *figure;
  };
  for (ValidationRow& row : validation.rows) row.ours = required(row.id, figure_of(results, row));
  for (Ablation& ablation : validation.ablations) {
    ablation.ours = required(ablation.id, number_in(results, ablation.baseline, ablation.metric));
    ablation.without = required(ablation.id, number_in(results, ablation.command, ablation.metric));
  }
}

}  // namespace cmsim::cli
