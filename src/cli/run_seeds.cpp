#include "run_seeds.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <nlohmann/json.hpp>

#include "cmsim/base/files.hpp"
#include "cmsim/run/digest.hpp"
#include "requirements.hpp"
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
  std::string text = wrapped(table.study.file.string() + ": " + seeds_text(table), 0) + "\n\n";
  TextTable rows{1, {{"", "mean", "of the seeds"}}};
  for (std::size_t m = 0; m < table.study.metrics.size(); ++m) {
    const std::string cell = cell_text(figures[0][m]);
    if (cell != "-") {
      rows.rows.push_back({title_of(table.study.metrics[m]), cell, range_text(table, m)});
    }
  }
  if (rows.rows.size() > 1) text += rows.text(paint);
  return text + provenance_notes(table);
}

/// Says which of the seeds that are done do not have what was asked for; whether there are any.
bool some_lack(const study::Table& table, const std::string& option,
               const std::function<std::string(const RequiredFacts&)>& complaint) {
  std::string seeds;
  std::size_t lacking = 0, done = 0;
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    if (!table.outcomes[i].done()) continue;
    ++done;
    const std::string what =
        complaint(required_facts(nlohmann::json::parse(table.outcomes[i].result)));
    if (what.empty()) continue;
    ++lacking;
    seeds += fmt::format("  seed {}: {}\n", *table.points[i].point.seed, what);
  }
  if (lacking > 0) say("cmsim: {}: not in {} of {} seeds\n{}", option, lacking, done, seeds);
  return lacking > 0;
}

int verdict_of(const SeedsRequest& request, const study::Table& table) {
  const bool unfinished =
      request.strict && some_lack(table, "--strict", [](const RequiredFacts& facts) {
        return facts.missing() > 0 ? missing_text(facts) : "";
      });
  const bool lacks = some_lack(table, "--require", [&](const RequiredFacts& facts) {
    return fmt::format("{}", fmt::join(unmet(request.required, facts), "; "));
  });
  return unfinished ? kFailed : lacks ? kCheckFailed : kOk;
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
  engine.check_loads(points);
  const fs::path directory = directory_of(request, points);
  check_place(directory);
  engine.check_fresh(directory);
  write_unit(directory, std::array{NamedContent{"study.json", study::to_json(study)}});
  std::vector<study::Outcome> outcomes = engine.run(points, directory);
  engine.check_interrupted(directory);
  const study::Table table = study::make_table(study, std::move(points), std::move(outcomes));
  const int code = engine.deliver(table, directory, request.json ? Format::kJson : Format::kText,
                                  [&](Paint paint) { return report(table, paint); });
  const int verdict = verdict_of(request, table);
  return code == kOk ? verdict : code;
}

}  // namespace cmsim::cli
