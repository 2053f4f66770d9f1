#include "cmsim/check/run_cases.hpp"

#include <fmt/format.h>

#include <iterator>

#include "cmsim/base/error.hpp"

namespace cmsim::check {
namespace {

/// Its metrics where they lie in what the point printed.
Figures figures_of(const Case& made, const study::Point& point, const study::Outcome& outcome) {
  const auto result = nlohmann::json::parse(outcome.result, nullptr, false);
  const std::string name = study::spelled(point);
  if (result.is_discarded()) throw ConfigError(name + ": printed no JSON");
  if (kind_of(result, name) != made.kind) {
    throw ConfigError(fmt::format("{}: printed no result of {}", name, to_string(made.kind)));
  }
  std::vector<Metric> metrics;
  for (const Expectation& expectation : made.expectations) metrics.push_back(expectation.metric);
  return figures_of(result, made.kind, metrics);
}

std::vector<study::Point> points_of(const Case& made) {
  if (made.seeds.empty()) return {made.point};
  std::vector<study::Point> points;
  for (const std::uint64_t seed : made.seeds) {
    points.push_back(made.point);
    points.back().seed = seed;
  }
  return points;
}

/// Takes over what one seed gave.
CaseRun gathered(const Case& made, std::span<const study::Point> points,
                 std::span<const study::Outcome> outcomes) {
  std::vector<Figures> figures;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::string seed = points[i].seed ? fmt::format("seed {}: ", *points[i].seed) : "";
    if (!outcomes[i].done()) {
      const bool ended = outcomes[i].ending != Ending::kNotEnded;
      return {std::nullopt, seed + (ended ? outcomes[i].error : "interrupted")};
    }
    try {
      figures.push_back(figures_of(made, points[i], outcomes[i]));
    } catch (const ConfigError& error) {
      return {std::nullopt, seed + error.what()};
    }
  }
  return {mean_of(figures), ""};
}

}  // namespace

std::vector<CaseRun> run_cases(const Baseline& baseline, const study::Work& work,
                               const study::RunnerOptions& options) {
  std::vector<study::Point> points;
  std::vector<std::size_t> begins;
  for (const Case& made : baseline.cases) {
    begins.push_back(points.size());
    std::ranges::copy(points_of(made), std::back_inserter(points));
  }
  begins.push_back(points.size());
  const std::vector<study::Outcome> outcomes = study::run_points(points, work, options);
  std::vector<CaseRun> runs;
  for (std::size_t i = 0; i < baseline.cases.size(); ++i) {
    const std::size_t begin = begins[i], count = begins[i + 1] - begin;
    runs.push_back(gathered(baseline.cases[i], std::span(points).subspan(begin, count),
                            std::span(outcomes).subspan(begin, count)));
  }
  return runs;
}

}  // namespace cmsim::check
