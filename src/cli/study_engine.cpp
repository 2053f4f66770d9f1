#include "study_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "captured.hpp"
#include "cmsim/base/files.hpp"
#include "cmsim/run/prepare.hpp"
#include "cmsim/run/shipped.hpp"
#include "interrupt.hpp"
#include "plugin.hpp"
#include "study_progress.hpp"
#include "study_report.hpp"
#include "study_settings.hpp"

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

/// A step exercises one of the two roles: keys of the other have no effect.
std::vector<std::string> sets_of(const study::Point& point) {
  std::vector<std::string> sets = study::all_sets(point);
  const auto phase = std::ranges::find(point.options, "--phase");
  if (point.command == "step" && phase != point.options.end() && phase + 1 != point.options.end()) {
    sets.push_back("/workload/role=" + *(phase + 1));
  }
  return sets;
}

/// Each message and how many points it is about.
using Refusals = std::vector<std::pair<std::string, std::size_t>>;

std::string text_of(const Refusals& refusals, std::size_t points) {
  const auto& [first, count] = refusals.front();
  if (count == points) return first;
  std::string others;
  if (refusals.size() > 1) {
    others = fmt::format(", {} other mistake{} in others", refusals.size() - 1,
                         refusals.size() > 2 ? "s" : "");
  }
  return fmt::format("{} ({} of {} points{}; nothing was run)", first, count, points, others);
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
  sub.add_flag("--resume", options.resume, "Run only what is missing or has failed");
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
  for (study::StudyPoint& one : points) {
    settle(one.point.command, one.point.options, one.point.sets);
  }
  address(points);
  command_ = study.command;
  metrics_ = study.metrics;
  return points;
}

ConfigDocument StudyEngine::document(const study::Study& study) {
  return study.command == "run" || study.command == "step"
             ? files_.get(study.file).document(run::settings_of(study.sets))
             : run::platform_document(study.file.string(), study.sets);
}

/// Calls `use` with the scenario of the point, or with the platform where its command has none.
template <class Use>
void StudyEngine::read(const study::Point& point, const Use& use) {
  if (point.command == "run" || point.command == "step") {
    use(files_.get(point.file).scenario(run::settings_of(sets_of(point)), registry_));
  } else {
    const ConfigDocument platform = run::platform_document(point.file.string(), point.sets);
    use(hw::read_platform(ConfigNode(platform)));
  }
}

void StudyEngine::load(const study::Point& point) {
  read(point, [](const auto&) {});
}

std::string StudyEngine::refusal_of(const study::Point& point) {
  try {
    load(point);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

void StudyEngine::check_loads(const std::vector<study::StudyPoint>& points) {
  Refusals refusals;
  std::string message;  // of the last cell; "" when it loads
  std::optional<std::size_t> cell;
  std::size_t checked = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!study::in_shard(i, options_.shard)) continue;
    ++checked;
    if (cell != points[i].cell) message = refusal_of(points[i].point);
    cell = points[i].cell;
    if (message.empty()) continue;
    auto same = std::ranges::find(refusals, message, &Refusals::value_type::first);
    if (same == refusals.end()) same = refusals.insert(same, {message, 0});
    ++same->second;
  }
  if (!refusals.empty()) throw ConfigError(text_of(refusals, checked));
}

void StudyEngine::check_fresh(const std::filesystem::path& directory) const {
  std::error_code error;
  if (options_.resume || std::filesystem::is_empty(directory / "points", error) || error) return;
  throw ConfigError({directory.string(), 0, ""},
                    "has points of a study already; add --resume to run only what is missing, or "
                    "choose another place with --out");
}

void StudyEngine::address(std::vector<study::StudyPoint>& points) {
  for (study::StudyPoint& point : points) point.digest = digests_.of(point.point);
}

void StudyEngine::prepare(const study::Point& point) {
  read(point, [](const auto& of) { run::prepare(of); });
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
  bool checked = false;
  execute.runner.on_end = [&](std::size_t, const study::Outcome& outcome) {
    progress.ended(outcome.done());
    if (checked || !outcome.done()) return;
    checked = true;
    try {
      study::check_metrics(nlohmann::json::parse(outcome.result), metrics_, command_);
    } catch (const ConfigError& error) {
      throw ConfigError(std::string(error.what()) + " (stopped at the first result)");
    }
  };
  execute.shard = options_.shard;
  execute.missing = options_.missing;
  execute.on_start = [&](std::span<const std::size_t> to_run) {
    progress.start(to_run.size());
    // Points that have a limit are held to it alone, with all that they need.
    const ChildLimits& limits = execute.runner.limits;
    if (to_run.size() > 1 && limits.time == 0 && limits.memory == 0) {
      prepare(points[to_run.front()].point);
    }
  };
  const Interruptible interruptible;
  return study::execute(
      points, study::Store(directory), [&](const study::Point& point) { return result_of(point); },
      execute);
}

void StudyEngine::check_interrupted(const std::filesystem::path& directory) const {
  if (!interrupt_flag()) return;
  throw Interrupted(
      fmt::format("interrupted; what was finished is in {}, the same command "
                  "with --resume runs the rest",
                  directory.string()));
}

int StudyEngine::deliver(const study::Table& table, const std::filesystem::path& directory,
                         Format format, const std::function<std::string(Paint)>& report) const {
  const std::string csv = study::to_csv(table), database = study::to_database(table);
  const std::string costs = study::to_costs(table);
  const std::array files{NamedContent{"points.csv", csv}, NamedContent{"study.sqlite", database},
                         NamedContent{"costs.csv", costs}};
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
