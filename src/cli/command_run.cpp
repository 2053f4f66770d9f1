#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "cmsim/base/error.hpp"
#include "cmsim/base/json_text.hpp"
#include "cmsim/run/digest.hpp"
#include "cmsim/run/file_kind.hpp"
#include "cmsim/run/output.hpp"
#include "cmsim/run/run.hpp"
#include "cmsim/run/shipped.hpp"
#include "cmsim/study/point.hpp"
#include "commands.hpp"
#include "decision_log.hpp"
#include "interrupt.hpp"
#include "option_rules.hpp"
#include "plugin.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "requirements.hpp"
#include "run_band.hpp"
#include "run_seeds.hpp"
#include "scenario_options.hpp"
#include "terminal.hpp"
#include "timeline_options.hpp"

namespace cmsim::cli {
namespace {

struct RunCommand {
  ScenarioOptions scenario;
  std::vector<std::string> required;
  std::optional<std::string> out;
  std::optional<std::string> seeds, time_series;
  TimelineOptions timeline;
  std::optional<std::size_t> band;  // samples
  StudyOptions study;               // of a run with several seeds or a band
  double policy_timeout = kPolicyTimeout;
  std::vector<double> percentiles{99};
  bool json = false, quiet = false, strict = false, detailed = false, aiperf = false, force = false;

  /// As typed, without what cannot change the result (where it goes, how it is shown).
  std::string provenance() const {
    std::string text = "cmsim run " + scenario.text();
    if (band) text += fmt::format(" --band {}", *band);
    if (percentiles != std::vector<double>{99}) {
      text += fmt::format(" --percentiles {}", fmt::join(percentiles, ","));
    }
    return text;
  }

  /// Files are written unless JSON on stdout is all that was asked for.
  std::optional<std::filesystem::path> output_directory(const run::Scenario& loaded) const {
    if (out) return *out;
    if (json) return std::nullopt;
    return run::default_output_directory(loaded);
  }
};

template <class... Args>
void note(const RunCommand& command, fmt::format_string<Args...> format, Args&&... args) {
  if (!command.quiet) say(format, std::forward<Args>(args)...);
}

int verdict(const RunCommand& command, const metrics::Result& result) {
  const bool interrupted = interrupt_flag() && result.partial;  // it may come when all is done
  const RequiredFacts facts = required_facts(result);
  if (interrupted) {
    say("cmsim: interrupted, the result is partial: {} of {} requests ended\n",
        grouped(result.requests.total - result.requests.unfinished),
        grouped(result.requests.total));
    return kFailed;
  }
  const bool unfinished = command.strict && facts.missing() > 0;
  if (unfinished) say("cmsim: --strict: {}\n", missing_text(facts));
  const std::vector<std::string> failed = unmet(command.required, facts);
  if (!failed.empty()) say("cmsim: --require {}\n", fmt::join(failed, "; "));
  return unfinished ? kFailed : failed.empty() ? kOk : kCheckFailed;
}

StudyOptions study_options(const RunCommand& command) {
  StudyOptions options = command.study;
  options.plugins = command.scenario.plugins;
  options.policy_timeout = command.policy_timeout;
  options.quiet = command.quiet;
  return options;
}

int execute_seeds(const RunCommand& command, serve::PolicyRegistry& registry) {
  SeedsRequest request{.scenario = command.scenario.scenario,
                       .seeds = *command.seeds,
                       .sets = {},
                       .out = {},
                       .required = command.required,
                       .strict = command.strict,
                       .json = command.json,
                       .options = study_options(command)};
  for (const run::Setting& setting : command.scenario.settings()) {
    request.sets.push_back(setting.assignment);
  }
  if (command.out) request.out = *command.out;
  return run_seeds(request, registry);
}

BandSamples execute_band(const RunCommand& command, const run::Scenario& scenario,
                         const std::filesystem::path& directory,
                         const serve::PolicyRegistry& registry) {
  return run_band({.scenario = command.scenario.scenario,
                   .settings = command.scenario.settings(),
                   .seed = scenario.seed,
                   .samples = *command.band,
                   .directory = directory / "band",
                   .options = study_options(command)},
                  registry);
}

int execute(const RunCommand& command, serve::PolicyRegistry& registry) {
  if (command.seeds) return execute_seeds(command, registry);
  const serve::PolicyRegistry without_plugins = registry;
  serve::PolicyCall policy_call;
  std::optional<PolicyWatch> watch(std::in_place, policy_call, command.policy_timeout);
  load_plugins(command.scenario.plugins, registry, policy_call, *watch);
  const std::string& named = command.scenario.scenario;
  if (named != "-") run::expect_kind(run::find_scenario(named), run::FileKind::kScenario);
  const run::Scenario scenario = run::open_scenario(named, command.scenario.settings(), registry);
  spdlog::info("read scenario {}, digest {}", scenario.name, scenario.digest);
  const auto directory = command.output_directory(scenario);
  for (const auto& [given, option] : {std::pair{command.aiperf, "--aiperf"},
                                      std::pair{command.time_series.has_value(), "--timeseries"}}) {
    if (!given || directory) continue;
    throw ConfigError(
        fmt::format("{} writes a file, and --json writes none unless --out says where", option));
  }
  std::optional<run::ExistingResult> existing;
  if (directory) {
    run::check_output_directory(*directory);
    existing = run::existing_result(*directory);
    if (existing && !command.force) {
      run::check_replaceable(*existing, *directory, scenario.digest);
    }
  }

  std::optional<BandSamples> band;
  if (command.band) {
    watch.reset();  // the samples have one of their own, and there is one at a time
    band =
        execute_band(command, scenario, directory.value_or(run::default_output_directory(scenario)),
                     without_plugins);
    watch.emplace(policy_call, command.policy_timeout);
    if (!command.scenario.plugins.empty()) watch->catch_crashes();
  }
  std::optional<metrics::RunTrace> timeline = command.timeline.listener(scenario);
  Progress progress;
  std::optional<Interruptible> interruptible;
  run::RunOptions options;
  DecisionLog decisions;
  if (spdlog::should_log(spdlog::level::debug)) {
    options.listeners.push_back(&decisions);
  } else if (is_terminal(Stream::kError) && !command.quiet) {
    options.listeners.push_back(&progress);
  }
  if (timeline) options.listeners.push_back(&*timeline);
  options.on_start = [&](const work::Trace& trace) {
    if (existing && !command.force) {
      run::check_replaceable(*existing, *directory, scenario.digest, run::digest_of(trace));
    }
    progress.set_total(static_cast<std::int64_t>(trace.rows.size()));
    interruptible.emplace();
    watch->expect_exit();
  };
  options.interrupt = &interrupt_flag();
  options.registry = registry;
  options.policy_call = &policy_call;
  options.command = command.provenance();
  options.percentiles = command.percentiles;
  if (command.time_series) {
    options.time_series = parse_quantity(*command.time_series, Dimension::kTime);
  }
  metrics::Result result = run::run(scenario, options);
  interruptible.reset();  // from here on there is nothing to cut short
  progress.clear();
  if (band) result.uncertainty = uncertainty_of(*band, result);

  // Files first: whatever happens to the terminal, they are there.
  const auto detail = command.detailed ? metrics::Detail::kPerRequest : metrics::Detail::kSummary;
  std::optional<run::Written> written;
  if (directory) {
    written = run::write_outputs(
        run::place_for(result, existing, *directory), scenario, result, detail,
        command.aiperf ? run::RequestFormats::kCsvAndAiperf : run::RequestFormats::kCsv);
    for (const auto& file : written->files) {
      spdlog::info("wrote {}", file.string());
      note(command, "wrote {}\n", file.string());
    }
  }
  if (timeline) note(command, "{}", command.timeline.write(*timeline));
  if (command.json) {
    const bool spared = command.detailed && is_terminal(Stream::kOut);  // gigabytes on a screen
    const auto shown = spared ? metrics::Detail::kSummary : detail;
    print_text(written && !spared ? written->result_json
                                  : json_text(metrics::to_json(result, shown)) + "\n");
  } else if (!command.quiet) {
    print_text(format_report(result, paint_for(Stream::kOut)));
  }
  flush_results();
  const int code = verdict(command, result);
  return code == kOk && band ? exit_code_of(band->table) : code;
}

}  // namespace

void add_run(CLI::App& app, Session& session) {
  auto command = std::make_shared<RunCommand>();
  CLI::App* sub = app.add_subcommand("run", "Replay a workload through the supernode");
  command->scenario.add_to(*sub);
  CLI::Option* seeds = sub->add_option(
      "--seeds", command->seeds,
      "Several seeds, e.g. 1..12: every headline with its interval, in how many the SLO is met");
  sub->get_option("--seed")->excludes(seeds);
  add_pool_options(*sub, command->study);
  sub->add_option("--band", command->band,
                  "How sure the headlines are: from the 5th to the 95th percentile of N samples in "
                  "which every constant that has a range lies somewhere in it, and which constant "
                  "moves each most")
      ->type_name("N")
      ->expected(0, 1)
      ->default_str("32")
      ->transform(whole_from(study::kFewestSamples, study::kMostSamples))
      ->excludes(seeds);
  sub->add_option(
         "--out", command->out,
         "Directory for result.json and requests.csv [out/<scenario>-<digest>; with --json "
         "only when given]. A result of another scenario in it is not replaced")
      ->type_name("DIR");
  sub->add_flag("--force", command->force,
                "Replace whatever result the directory holds, with a whole one");
  sub->add_option("--policy-timeout", command->policy_timeout,
                  "Wall-clock seconds that one call of a policy may take before the run ends with "
                  "exit code 3 and its name; 0: for ever")
      ->type_name("SECONDS")
      ->check(number_from(0, 1e6))
      ->capture_default_str();
  sub->add_flag("--json", command->json, "Print the result as JSON and nothing else on stdout");
  sub->add_flag("--quiet", command->quiet, "No table, no notes");
  sub->add_flag("--strict", command->strict,
                "Exit with 3 when any request did not finish (of any seed)");
  sub->add_option("--require", command->required,
                  "Exit with 1, and say why, unless the result (of every seed) has all of these: "
                  "the SLO met at p99, a stable load, every request finished")
      ->type_name("slo,stable,finished")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember(requirement_names()));
  sub->add_flag("--detailed,--save-detailed", command->detailed,
                "Add ttfts, itls, input_lens and output_lens to result.json (and to what --json "
                "prints, unless that is a terminal)");
  sub->add_option("--percentiles", command->percentiles,
                  "Of the latencies in the JSON: 50,90,99 gives p50_ttft_ms, p90_ttft_ms, ...")
      ->type_name("P,P,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(number_from(0, 100))
      ->default_str("99");
  sub->add_option(
         "--timeseries", command->time_series,
         "Write timeseries.csv too: queues, batches, KV, cache and utilisation in intervals "
         "of this length, e.g. 1s")
      ->type_name("DT")
      ->check(quantity_from(Dimension::kTime, 1e-6, 1e7));
  command->timeline.add_to(*sub);
  sub->add_flag("--aiperf", command->aiperf,
                "Write AIPerf's profile_export.jsonl too, beside requests.csv");
  sub->footer(
      "Examples:\n"
      "  cmsim run cloudmatrix384\n"
      "  cmsim run cloudmatrix384 --rate 80 --require slo,stable,finished\n"
      "  cmsim run cloudmatrix384 --trace mooncake.jsonl.gz \\\n"
      "      --set /workload/time_scale=10 --set /deployment/decode/max_num_seqs=64\n"
      "  cmsim run cloudmatrix384 --set /platform/ub/sub_planes=4 --json\n"
      "  cmsim run cloudmatrix384 --seeds 1..12 --jobs 4\n"
      "  cmsim run paper-decode --band 64\n"
      "Ctrl-C ends a run early: files are written, marked partial, exit code 3. A partial result\n"
      "does not replace a whole one, it goes into partial/ beside it.");
  sub->callback([command, sub, &session] {
    session.action = [command, sub, &session] {
      const bool several = command->seeds.has_value();
      const bool alone = !several && !command->band;
      const bool no_file = command->json && !command->out && !several;
      refuse_idle(
          *sub,
          {{{"--timeseries", "--timeline", "--aiperf", "--detailed", "--percentiles"},
            several,
            "with --seeds, which keeps the plain result of every seed; run one with --seed"},
           {{"--jobs", "--time-limit", "--memory-limit", "--retries", "--resume"},
            alone,
            "on one run, it needs --seeds or --band"},
           {{"--timeline-sample", "--timeline-window"},
            !command->timeline.file.has_value(),
            "without --timeline FILE"},
           {{"--force"}, several, "with --seeds, whose points are never replaced; see --resume"},
           {{"--detailed"},
            no_file && is_terminal(Stream::kOut),
            "with --json on a terminal, it needs --out DIR or a stdout that is a file"},
           {{"--force"}, no_file, "with --json, which writes no file, it needs --out DIR"}});
      return execute(*command, session.registry);
    };
  });
}

}  // namespace cmsim::cli
