#include "study_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <thread>

#include "captured.hpp"
#include "cmsim/base/files.hpp"
#include "interrupt.hpp"
#include "plugin.hpp"
#include "study_progress.hpp"
#include "study_report.hpp"

namespace cmsim::cli {
namespace {

/// What every result depends on beside its point.
std::string salt_of(const StudyOptions& options) {
  std::string salt = study::program_digest();
  for (const std::string& plugin : options.plugins) salt += " " + study::content_digest(plugin);
  return salt;
}

StudyOptions with_plugins(StudyOptions options, serve::PolicyRegistry& registry) {
  serve::PolicyCall call;
  PolicyWatch watch(call, options.policy_timeout);
  load_plugins(options.plugins, registry, call, watch);
  return options;
}

ChildLimits limits_of(const StudyOptions& options) {
  ChildLimits limits{options.time_limit, 0, options.retries + 1};
  if (options.memory_limit.empty()) return limits;
  try {
    limits.memory = parse_bytes(options.memory_limit);
  } catch (const UnitError& error) {
    throw ConfigError({"--memory-limit " + options.memory_limit, 0, ""}, error.what());
  }
  return limits;
}

}  // namespace

int default_jobs() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

void add_pool_options(CLI::App& sub, StudyOptions& options) {
  options.jobs = default_jobs();
  sub.add_option("--jobs", options.jobs, "Processes at a time [processors of this machine]")
      ->transform(whole_from(1, 4096));
  sub.add_option("--time-limit", options.time_limit,
                 "Wall-clock seconds that a point may take; 0: for ever")
      ->type_name("SECONDS")
      ->check(number_from(0, 1e8))
      ->capture_default_str();
  sub.add_option("--memory-limit", options.memory_limit, "Memory that a point may take, e.g. 4GB")
      ->type_name("SIZE");
  sub.add_option("--retries", options.retries,
                 "Times that a point is started again whose process died or took too long")
      ->transform(whole_from(0, 100))
      ->capture_default_str();
}

StudyEngine::StudyEngine(StudyOptions options, serve::PolicyRegistry& registry)
    : options_(with_plugins(std::move(options), registry)),
      registry_(registry),
      digests_(files_, salt_of(options_)) {
  limits_of(options_);  // refuses what is no size
}

std::vector<study::StudyPoint> StudyEngine::points_of(const study::Study& study) {
  study::check(study);
  std::vector<study::StudyPoint> points = study::expand(study);
  address(points);
  if (study.command == "run" || study.command == "step") {
    files_.get(study.file)
        .scenario(run::settings_of(study::all_sets(points.front().point)), registry_);
  }
  return points;
}

void StudyEngine::address(std::vector<study::StudyPoint>& points) {
  for (study::StudyPoint& point : points) point.digest = digests_.of(point.point);
}

std::string StudyEngine::result_of(const study::Point& point) {
  if (point.command != "run") return json_of(study::words_of(point), registry_);
  serve::PolicyCall call;
  PolicyWatch watch(call, options_.policy_timeout);
  if (!options_.plugins.empty()) watch.catch_crashes();
  run::RunOptions run;
  run.registry = registry_;
  run.policy_call = &call;
  run.on_start = [&](const work::Trace&) { watch.expect_exit(); };
  return study::run_scenario(point, files_.get(point.file), std::move(run));
}

std::vector<study::Outcome> StudyEngine::run(const std::vector<study::StudyPoint>& points,
                                             const std::filesystem::path& directory) {
  StudyProgress progress(is_terminal(Stream::kError) && !options_.quiet);
  study::ExecuteOptions execute;
  execute.runner.jobs = options_.jobs;
  execute.runner.limits = limits_of(options_);
  execute.runner.interrupt = &interrupt_flag();
  execute.runner.on_end = [&](std::size_t, const study::Outcome& outcome) {
    progress.ended(outcome.done());
  };
  execute.shard = options_.shard;
  execute.missing = options_.missing;
  execute.on_start = [&](std::size_t count) { progress.start(count); };
  const Interruptible interruptible;
  return study::execute(
      points, study::Store(directory), [&](const study::Point& point) { return result_of(point); },
      execute);
}

void StudyEngine::check_interrupted(const std::filesystem::path& directory) const {
  if (!interrupt_flag()) return;
  throw SimulationError(
      fmt::format("interrupted; what was finished is in {}, the same command "
                  "with --resume runs the rest",
                  directory.string()));
}

int StudyEngine::deliver(const study::Table& table, const std::filesystem::path& directory,
                         Format format, const std::function<std::string(Paint)>& report) const {
  const std::string csv = study::to_csv(table), database = study::to_database(table);
  const std::array files{NamedContent{"points.csv", csv}, NamedContent{"study.sqlite", database}};
  write_unit(directory, files);
  for (const NamedContent& file : files) {
    if (!options_.quiet) say("wrote {}\n", (directory / file.name).string());
  }
  if (format == Format::kJson) {
    print_text(study::to_summary(table));
  } else if (!options_.quiet) {
    print_text(report(paint_for(Stream::kOut)));
  }
  flush_results();
  say_text(failures_report(table));
  return exit_code_of(table);
}

int exit_code_of(const study::Table& table) {
  const bool all = std::all_of(table.outcomes.begin(), table.outcomes.end(),
                               [](const study::Outcome& outcome) { return outcome.done(); });
  return all ? kOk : kSomeFailed;
}

}  // namespace cmsim::cli
