#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>

#include "cmsim/base/files.hpp"
#include "cmsim/run/digest.hpp"
#include "cmsim/run/shipped.hpp"
#include "cmsim/study/sensitivity.hpp"
#include "commands.hpp"
#include "shard_note.hpp"
#include "slurm_parts.hpp"
#include "study_engine.hpp"
#include "study_report.hpp"
#include "study_search.hpp"
#include "study_settings.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

namespace fs = std::filesystem;

struct SweepCommand {
  std::string file, of;  // of: the command that is studied, with its options
  std::vector<std::string> sets, vary, zip, traces, metrics;
  std::optional<std::string> seeds, out, shard, pareto;
  std::vector<std::string> requirements;
  std::optional<std::string> sensitivity;
  std::string executor = "local";
  SlurmRequest slurm;
  bool jobs_given = false, share_given = false;
  double share = 1;
  bool gather = false, json = false;
  StudyOptions options;
};

/// --command: what is run at each point, with its options.
void add_command(study::Study& study, const std::string& command) {
  std::istringstream words(command);
  for (std::string word; words >> word;) {
    if (study.options.empty() && !word.starts_with('-')) {
      study.command = word;
    } else {
      study.options.push_back(word);
    }
  }
}

/// The study of the file, if it is one, and what the command line adds.
study::Study study_of(const SweepCommand& command) {
  study::Study study;
  study.file = command.file;
  add_command(study, command.of);
  study::check_lasting(study.file);
  const fs::path file = study::file_of(study);
  if (study::is_study(file)) {
    study = study::read_study(file);
    add_command(study, command.of);
  }
  study.sets.insert(study.sets.end(), command.sets.begin(), command.sets.end());
  if (command.traces.size() == 1) {
    study.sets.push_back("/workload/trace=" + command.traces[0]);
  } else if (!command.traces.empty()) {
    study.dimensions.push_back({study::Axis{"/workload/trace", command.traces}});
  }
  for (const std::string& axis : command.vary) {
    study.dimensions.push_back({study::parse_axis(axis, "--vary")});
  }
  std::vector<study::Axis> together;
  for (const std::string& axis : command.zip) {
    together.push_back(study::parse_axis(axis, "--zip", study::Repeats::kAllowed));
  }
  if (!together.empty()) study.dimensions.push_back(std::move(together));
  if (command.seeds) study.seeds = study::parse_seeds(*command.seeds, "--seeds");
  for (const std::string& metric : command.metrics) {
    study.metrics.push_back(study::find_metric(metric, study.command));
  }
  if (study.metrics.empty()) study.metrics = study::headlines(study.command);
  settle(study.command, study.options, study.sets);
  return study;
}

/// Its axis is the last of the study.
std::optional<study::Sensitivity> sensitivity_of(const SweepCommand& command, StudyEngine& engine,
                                                 study::Study& study) {
  if (!command.sensitivity) return std::nullopt;
  study::Sensitivity found = study::sensitivity(
      engine.document(study), *command.sensitivity, study.axes(),
      [&](const std::string& assignment) {
        study::Point point{study.command, study.file, study.sets, study.options, {}};
        point.sets.push_back(assignment);
        return engine.refusal_of(point).empty();
      });
  study.dimensions.push_back({found.axis});
  return found;
}

/// Both metrics, which the study then looks at.
ParetoAxes pareto_of(const SweepCommand& command, study::Study& study) {
  if (!command.pareto) return std::nullopt;
  const std::size_t comma = command.pareto->find(',');
  if (comma == std::string::npos) {
    throw ConfigError({"--pareto " + *command.pareto, 0, ""},
                      "expected two metrics, e.g. "
                      "tokens_per_s_per_npu,tpot");
  }
  const auto find = [&](const std::string& name) {
    study::Metric metric = study::find_metric(name, study.command, "--pareto");
    if (metric.better == study::Better::kUnknown) {
      throw ConfigError({"--pareto " + name, 0, ""},
                        "needs metrics of which it is known whether more or less is better");
    }
    const bool known =
        std::any_of(study.metrics.begin(), study.metrics.end(),
                    [&](const study::Metric& one) { return one.pointer == metric.pointer; });
    if (!known) study.metrics.push_back(metric);
    return metric;
  };
  study::Metric first = find(command.pareto->substr(0, comma));
  study::Metric second = find(command.pareto->substr(comma + 1));
  return std::pair(std::move(first), std::move(second));
}

/// out/<scenario>-sweep-<what it is made of>, so that the same command finds its points again.
fs::path directory_of(const SweepCommand& command, const std::vector<study::StudyPoint>& points) {
  if (command.out) return *command.out;
  run::Digest digest;
  for (const study::StudyPoint& point : points) digest.add(point.digest);
  for (const std::string& requirement : command.requirements) digest.add(requirement);
  return fs::path("out") / fmt::format("{}-sweep-{}", fs::path(command.file).stem().string(),
                                       digest.hex().substr(0, 8));
}

/// Throws ConfigError when an axis replaces what --set says.
void check_sets_last(const std::vector<std::string>& sets, const std::string& axis,
                     const char* option) {
  const std::string place = axis.substr(0, axis.find('='));
  for (const std::string& set : sets) {
    if (!study::is_within(set.substr(0, set.find('=')), place)) continue;
    throw ConfigError(
        {"--set " + set, 0, ""},
        fmt::format("has no effect: {} {} gives another value to every point", option, place));
  }
}

/// An option that would have no effect beside the others is a mistake.
void check_options(const SweepCommand& command) {
  const auto refuse = [&](bool given, const char* option, const char* why) {
    if (given) throw ConfigError({option, 0, ""}, why);
  };
  const bool slurm = command.executor == "slurm";
  const bool capacity = !command.requirements.empty();
  for (const auto& [option, axes] :
       {std::pair{"--vary", &command.vary}, std::pair{"--zip", &command.zip}}) {
    for (const std::string& axis : *axes) check_sets_last(command.sets, axis, option);
  }
  refuse(command.share_given && !capacity, "--share", "needs --capacity");
  refuse(capacity && command.pareto, "--pareto",
         "compares the cells of a sweep; --capacity searches one load for each");
  refuse(capacity && command.sensitivity, "--sensitivity",
         "changes the figures of one load; --capacity searches the load");
  refuse(command.sensitivity && command.pareto, "--pareto", "is not of the table of --sensitivity");
  constexpr const char* kNoTable =
      "is of the tables, which --shard does not make; give it to "
      "--gather";
  refuse(command.shard && command.pareto, "--pareto", kNoTable);
  refuse(command.shard && command.json, "--json", kNoTable);
  refuse(command.shard && command.gather, "--gather",
         "makes the tables when all parts have run; leave out --shard");
  refuse(command.shard && capacity, "--capacity",
         "searches point by point, which cannot be divided into parts");
  refuse(slurm && command.shard, "--shard", "--executor slurm makes the parts itself");
  refuse(slurm && command.gather, "--gather", "runs nothing, so it needs no --executor");
  refuse(slurm && capacity, "--capacity",
         "searches point by point, which --executor slurm does not");
  refuse(slurm && command.jobs_given, "--jobs",
         "is of this machine; a task of Slurm runs as many as it has CPUs: --sbatch "
         "\"--cpus-per-task=N\"");
  refuse(!slurm && command.slurm.tasks > 0, "--tasks", "needs --executor slurm");
  refuse(!slurm && !command.slurm.sbatch.empty(), "--sbatch", "needs --executor slurm");
}

int execute(SweepCommand command, serve::PolicyRegistry& registry) {
  check_options(command);
  const bool slurm = command.executor == "slurm";
  if (slurm) command.options.missing = study::Missing::kLeave;  // here; the parts run it
  study::Study study = study_of(command);
  const ParetoAxes pareto = pareto_of(command, study);
  std::optional<CapacityRequest> capacity;
  if (!command.requirements.empty()) {
    capacity = capacity_request(command.requirements, command.share, study.command);
    capacity->json = command.json;
  }
  if (command.shard) command.options.shard = study::parse_shard(*command.shard);
  if (command.gather) command.options.missing = study::Missing::kLeave;
  StudyEngine engine(command.options, registry);
  const auto sensitivity = sensitivity_of(command, engine, study);
  std::vector<study::StudyPoint> points = engine.points_of(study);
  if (!command.gather) engine.check_loads(points);
  const fs::path directory = directory_of(command, points);
  check_place(directory);
  if (!command.gather && !command.shard) engine.check_fresh(directory);
  write_unit(directory, std::array{NamedContent{"study.json", study::to_json(study)}});

  if (capacity) return search_capacity(engine, study, *capacity, directory);
  if (slurm) run_on_slurm(command.slurm, engine, points, directory);
  std::vector<study::Outcome> outcomes = engine.run(points, directory);
  engine.check_interrupted(directory);
  const study::Table table = study::make_table(study, std::move(points), std::move(outcomes));
  if (command.shard) {
    say_text(failures_of_shard(table, command.options.shard));
    if (!command.options.quiet) say_text(shard_note(command.options.shard, directory));
    return exit_code_of_shard(table, command.options.shard);
  }
  const Format format = command.json ? Format::kJson : Format::kText;
  return engine.deliver(table, directory, format, [&](Paint paint) {
    return sensitivity ? tornado_report(table, *sensitivity, paint)
                       : study_report(table, pareto, paint);
  });
}

void add_what(CLI::App& sub, SweepCommand& command) {
  const auto many = [&](const char* name, std::vector<std::string>& into, const char* type,
                        const char* what) {
    sub.add_option(name, into, what)->type_name(type)->allow_extra_args(false);
  };
  sub.add_option(
         "STUDY", command.file,
         "Scenario, study, or the platform of a collective: a file, or the name of one that "
         "comes with cmsim")
      ->required();
  sub.add_option("--command", command.of,
                 "What is run at each point, with its options, e.g. \"step --phase decode\" [run]")
      ->type_name("run|step|collective|p2p");
  many("--vary", command.vary, "/POINTER=VALUES",
       "An axis: a,b,c or lo..hi:n or log:lo..hi:n, with units (repeatable: all combinations)");
  many("--zip", command.zip, "/POINTER=VALUES",
       "An axis that advances together with the other --zip ones");
  sub.add_option("--seeds", command.seeds, "Seeds that replicate every cell, e.g. 1..5");
  many("--trace", command.traces, "FILE", "A trace; several are an axis");
  many("--set", command.sets, "/POINTER=VALUE", "Change one key at every point");
  many("--metric", command.metrics, "NAME|/POINTER",
       "What is looked at: a headline or a place in the result (repeatable) [the headlines]");
  sub.add_option("--pareto", command.pareto, "Show the cells that no other beats in both")
      ->type_name("METRIC,METRIC");
  many("--capacity", command.requirements, "METRIC<=X",
       "Find the largest load at which this holds: p99_tpot<=50ms, goodput>=60, slo (repeatable: "
       "all of them)");
  sub.add_option("--share", command.share, "Share of the seeds in which --capacity must hold")
      ->check(number_from(0, 1))
      ->capture_default_str();
  sub.add_option(
         "--sensitivity", command.sensitivity,
         "Change every number at or below this one alone by 10 %, down and up, or as far as "
         "the scenario allows")
      ->type_name("/POINTER");
}

void add_how(CLI::App& sub, SweepCommand& command) {
  add_pool_options(sub, command.options);
  sub.add_option("--plugin", command.options.plugins, "Shared object that registers policies")
      ->type_name("FILE.so")
      ->allow_extra_args(false);
  sub.add_option("--policy-timeout", command.options.policy_timeout,
                 "Wall-clock seconds that one call of a policy may take; 0: for ever")
      ->type_name("SECONDS")
      ->check(number_from(0, 1e6))
      ->capture_default_str();
  sub.add_option("--out", command.out,
                 "Directory of the points and the tables [out/<scenario>-sweep-<digest>]")
      ->type_name("DIR");
  sub.add_flag("--gather", command.gather,
               "Run nothing: make the tables of the points that are there");
  sub.add_option("--executor", command.executor, "Where points are run")
      ->check(CLI::IsMember({"local", "slurm"}))
      ->capture_default_str();
  sub.add_option("--tasks", command.slurm.tasks,
                 "Tasks that Slurm gets, each a part of the points [a point each, at most 1000]")
      ->transform(whole_from(1, 1'000'000));
  sub.add_option("--sbatch", command.slurm.sbatch,
                 "Further options of sbatch, e.g. \"--partition=short --cpus-per-task=8\"; a task "
                 "runs as many processes as it has CPUs")
      ->type_name("WORDS");
  sub.add_option("--shard", command.shard, "Run the i-th of n parts and make no tables")
      ->type_name("i/n");
  sub.add_flag("--json", command.json, "Print the cells as JSON instead of the table");
  sub.add_flag("--quiet", command.options.quiet, "No table, no notes");
}

}  // namespace

void add_sweep(CLI::App& app, Session& session) {
  const auto command = std::make_shared<SweepCommand>();
  CLI::App* sub = app.add_subcommand("sweep", "Run a scenario over axes and seeds, and compare");
  add_what(*sub, *command);
  add_how(*sub, *command);
  sub->footer(
      "Examples:\n"
      "  cmsim sweep paper-decode --seeds 1..5 \\\n"
      "      --vary /deployment/decode/max_num_seqs=8,48,96\n"
      "  cmsim sweep cloudmatrix384 --seeds 1..5 \\\n"
      "      --vary /policies/decode_routing=least_sequences,round_robin \\\n"
      "      --vary /workload/time_scale=0.5..1:3\n"
      "  cmsim sweep cloudmatrix384 --seeds 1..5 --capacity slo\n"
      "  cmsim sweep paper-decode --sensitivity /platform --metric tpot\n"
      "  cmsim sweep cloudmatrix384 --vary=--ep=8,16,32,64 \\\n"
      "      --command \"collective --op dispatch --tokens 128\"\n"
      "Ctrl-C ends a sweep early; --resume goes on. Exit code 4 when some points failed.");
  sub->callback([command, sub, &session] {
    command->jobs_given = sub->count("--jobs") > 0;
    command->share_given = sub->count("--share") > 0;
    session.action = [command, &session] { return execute(*command, session.registry); };
  });
}

}  // namespace cmsim::cli
