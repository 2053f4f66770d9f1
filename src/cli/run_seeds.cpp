#include "run_seeds.hpp"

#include <fmt/format.h>

#include <array>

#include "cmsim/base/files.hpp"
#include "cmsim/run/digest.hpp"
#include "study_report.hpp"
#include "text_table.hpp"

namespace cmsim::cli {
namespace {

namespace fs = std::filesystem;

fs::path directory_of(const SeedsRequest& request, const std::vector<study::StudyPoint>& points) {
  if (request.out) return *request.out;
  run::Digest digest;
  for (const study::StudyPoint& point : points) digest.add(point.digest);
  return fs::path("out") / fmt::format("{}-seeds-{}", fs::path(request.scenario).stem().string(),
                                       digest.hex().substr(0, 8));
}

/// The least and the largest over the seeds.
std::string range_text(const study::Table& table, std::size_t metric) {
  std::optional<double> least, largest;
  for (std::size_t seed = 0; seed < table.study.seeds.size(); ++seed) {
    const auto number = study::number_of(table, 0, seed, metric);
    if (!number) continue;
    least = std::min(least.value_or(*number), *number);
    largest = std::max(largest.value_or(*number), *number);
  }
  return least ? fmt::format("{} to {}", figure(*least), figure(*largest)) : "";
}

std::string report(const study::Table& table, Paint paint) {
  const auto figures = study::cell_figures(table);
  const std::size_t seeds = table.study.seeds.size();
  std::string text = fmt::format(
      "{} with {} seed{}\n\n", table.study.file.string(), seeds,
      seeds > 1 ? "s: mean ± half of the 95 % t-interval" : ": no interval can be given");
  TextTable rows{1, {{"", "mean", "of the seeds"}}};
  for (std::size_t m = 0; m < table.study.metrics.size(); ++m) {
    const std::string cell = cell_text(figures[0][m]);
    if (cell != "-") {
      rows.rows.push_back({title_of(table.study.metrics[m]), cell, range_text(table, m)});
    }
  }
  return text + rows.text(paint) + provenance_notes(table);
}

}  // namespace

int run_seeds(const SeedsRequest& request, serve::PolicyRegistry& registry) {
  study::Study study;
  study.file = request.scenario;
  study.sets = request.sets;
  study.seeds = study::parse_seeds(request.seeds, "--seeds");
  study.metrics = study::headlines(study.command);
  StudyEngine engine(request.options, registry);
  std::vector<study::StudyPoint> points = engine.points_of(study);
  const fs::path directory = directory_of(request, points);
  check_place(directory);
  write_unit(directory, std::array{NamedContent{"study.json", study::to_json(study)}});
  std::vector<study::Outcome> outcomes = engine.run(points, directory);
  engine.check_interrupted(directory);
  const study::Table table = study::make_table(study, std::move(points), std::move(outcomes));
  return engine.deliver(table, directory, request.json ? Format::kJson : Format::kText,
                        [&](Paint paint) { return report(table, paint); });
}

}  // namespace cmsim::cli
