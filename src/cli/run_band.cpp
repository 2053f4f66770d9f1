#include "run_band.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "cmsim/base/files.hpp"
#include "study_report.hpp"
#include "text_table.hpp"

namespace cmsim::cli {
namespace {

/// "operators/attention_overlap": what lies below the platform needs no such lead.
std::string short_name(std::string_view pointer) {
  constexpr std::string_view kPlatform = "/platform/";
  pointer.remove_prefix(pointer.starts_with(kPlatform) ? kPlatform.size() : 1);
  return std::string(pointer);
}

std::string dominant_text(const metrics::Band& band) {
  if (band.dominant.empty()) return band.low < band.high ? "not clear" : "nothing";
  return fmt::format("{}{} {}", band.correlation < 0 ? "-" : "+", short_name(band.dominant),
                     percent(band.share()));
}

/// The constants that may have an effect; the others are named.
void find_constants(const run::ScenarioFile& file, const BandRequest& request,
                    const serve::PolicyRegistry& registry, BandSamples& samples) {
  samples.constants =
      study::uncertain_constants(file.effective_document(request.settings, registry));
  for (const study::UncertainConstant& constant :
       study::uncertain_constants(file.document(request.settings))) {
    const bool kept =
        std::ranges::find(samples.constants, constant.pointer,
                          &study::UncertainConstant::pointer) != samples.constants.end();
    if (!kept) samples.idle.push_back(constant.pointer);
  }
  if (samples.constants.empty()) {
    throw ConfigError({.file = "--band", .line = 0, .pointer = ""},
                      "no constant of the scenario has a range; write one beside its value: "
                      "{\"value\": 1.2, \"range\": [1.05, 1.5]}");
  }
}

}  // namespace

BandSamples run_band(const BandRequest& request, serve::PolicyRegistry registry) {
  StudyEngine engine(request.options, registry);
  BandSamples samples;
  find_constants(engine.files().get(request.scenario), request, registry, samples);
  study::Study scenario;
  scenario.file = request.scenario;
  for (const run::Setting& setting : request.settings) {
    scenario.sets.push_back(setting.assignment);
  }
  const study::Study study =
      study::band_study(std::move(scenario), samples.constants, request.samples, request.seed);
  std::vector<study::StudyPoint> points = engine.points_of(study);
  engine.check_loads(points);
  check_place(request.directory);
  engine.check_fresh(request.directory);
  write_unit(request.directory, std::array{NamedContent{"study.json", study::to_json(study)}});
  std::vector<study::Outcome> outcomes = engine.run(points, request.directory);
  engine.check_interrupted(request.directory);
  samples.table = study::make_table(study, std::move(points), std::move(outcomes));
  const std::string csv = study::to_csv(samples.table);
  write_unit(request.directory, std::array{NamedContent{"points.csv", csv}});
  say_text(failures_report(samples.table));
  return samples;
}

metrics::Uncertainty uncertainty_of(const BandSamples& samples, const metrics::Result& nominal) {
  metrics::Uncertainty uncertainty =
      study::uncertainty(samples.table, samples.constants, metrics::to_json(nominal));
  uncertainty.idle = samples.idle;
  return uncertainty;
}

std::string format_bands(const metrics::Uncertainty& uncertainty, Paint paint) {
  TextTable table{3, {{"Band", "nominal, p5 to p95", "moved most by"}}};
  for (const metrics::Band& band : uncertainty.bands) {
    table.rows.push_back({band.metric,
                          fmt::format("{} {}, {} to {}", figure(band.nominal), band.unit,
                                      figure(band.low), figure(band.high)),
                          dominant_text(band)});
  }
  return "\n" + table.text(paint) +
         wrapped(fmt::format("{} samples of {} constants, each within its range. +: more of the "
                             "constant gives more; %: its share of the variance of ranks.",
                             uncertainty.samples, uncertainty.constants.size()),
                 0) +
         "\n";
}

}  // namespace cmsim::cli
