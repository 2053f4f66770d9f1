#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "cmsim/base/error.hpp"
#include "cmsim/base/json_text.hpp"
#include "cmsim/run/output.hpp"
#include "cmsim/run/run.hpp"
#include "commands.hpp"
#include "interrupt.hpp"
#include "plugin.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "run_seeds.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

struct RunCommand {
  std::string scenario;
  std::vector<std::string> sets, plugins;
  std::optional<std::string> trace, network, out;
  std::optional<std::uint64_t> seed;
  std::optional<std::string> seeds;
  StudyOptions study;  // of a run with several seeds
  double policy_timeout = kPolicyTimeout;
  std::vector<double> percentiles{99};
  bool json = false, quiet = false, strict = false, detailed = false, aiperf = false;

  /// The options that have a scenario pointer are short for --set; they come last and win.
  std::vector<std::string> all_sets() const {
    std::vector<std::string> all = sets;
    if (trace) all.push_back("/workload/trace=" + *trace);
    if (seed) all.push_back("/seed=" + std::to_string(*seed));
    if (network) all.push_back("/network=" + *network);
    return all;
  }

  /// As typed, without what cannot change the result (where it goes, how it is shown).
  std::string provenance() const {
    std::string text = "cmsim run " + scenario;
    for (const std::string& set : sets) text += " --set " + set;
    for (const std::string& plugin : plugins) text += " --plugin " + plugin;
    if (trace) text += " --trace " + *trace;
    if (seed) text += " --seed " + std::to_string(*seed);
    if (network) text += " --network " + *network;
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
  const std::int64_t missing = result.requests.total - result.requests.finished;
  if (interrupted) {
    say("cmsim: interrupted, the result is partial: {} of {} requests ended\n",
        grouped(result.requests.total - result.requests.unfinished),
        grouped(result.requests.total));
    return kFailed;
  }
  if (!command.strict || missing == 0) return kOk;
  say("cmsim: --strict: {} of {} requests did not finish\n", grouped(missing),
      grouped(result.requests.total));
  return kFailed;
}

int execute_seeds(const RunCommand& command, serve::PolicyRegistry& registry) {
  SeedsRequest request{command.scenario, *command.seeds, command.all_sets(), {},
                       command.json,     command.study};
  if (command.out) request.out = *command.out;
  request.options.plugins = command.plugins;
  request.options.policy_timeout = command.policy_timeout;
  request.options.quiet = command.quiet;
  return run_seeds(request, registry);
}

int execute(const RunCommand& command, serve::PolicyRegistry& registry) {
  if (command.seeds) return execute_seeds(command, registry);
  serve::PolicyCall policy_call;
  PolicyWatch watch(policy_call, command.policy_timeout);
  load_plugins(command.plugins, registry, policy_call, watch);
  const run::Scenario scenario = run::load_scenario(command.scenario, command.all_sets(), registry);
  const auto directory = command.output_directory(scenario);
  if (directory) run::check_output_directory(*directory);
  if (command.aiperf && !directory) {
    throw ConfigError("--aiperf writes a file, and --json writes none unless --out says where");
  }

  Progress progress;
  std::optional<Interruptible> interruptible;
  run::RunOptions options;
  if (is_terminal(Stream::kError) && !command.quiet) options.listeners.push_back(&progress);
  options.on_start = [&](const work::Trace& trace) {
    progress.set_total(static_cast<std::int64_t>(trace.rows.size()));
    interruptible.emplace();
    watch.expect_exit();
  };
  options.interrupt = &interrupt_flag();
  options.registry = registry;
  options.policy_call = &policy_call;
  options.command = command.provenance();
  options.percentiles = command.percentiles;
  const metrics::Result result = run::run(scenario, options);
  interruptible.reset();  // from here on there is nothing to cut short
  progress.clear();

  // Files first: whatever happens to the terminal, they are there.
  const auto detail = command.detailed ? metrics::Detail::kPerRequest : metrics::Detail::kSummary;
  std::optional<run::OutputFiles> files;
  if (directory) {
    files = run::output_files(
        scenario, result, detail,
        command.aiperf ? run::RequestFormats::kCsvAndAiperf : run::RequestFormats::kCsv);
    for (const auto& file : run::write_outputs(*directory, *files)) {
      note(command, "wrote {}\n", file.string());
    }
  }
  if (command.json) {
    print_text(files ? files->result_json : json_text(metrics::to_json(result, detail)) + "\n");
  } else if (!command.quiet) {
    print_text(format_report(result, paint_for(Stream::kOut)));
  }
  flush_results();
  return verdict(command, result);
}

}  // namespace

void add_run(CLI::App& app, Session& session) {
  auto command = std::make_shared<RunCommand>();
  CLI::App* sub = app.add_subcommand("run", "Replay a workload through the supernode");
  sub->add_option("SCENARIO", command->scenario, "Scenario file, JSON with comments")->required();
  sub->add_option("--set", command->sets,
                  "Change one key, with units: --set /slo/tpot=15ms (repeatable, in order)")
      ->type_name("/POINTER=VALUE")
      ->allow_extra_args(false);
  sub->add_option("--trace", command->trace, "Short for --set /workload/trace=FILE")
      ->type_name("FILE");
  sub->add_option("--seed", command->seed, "Short for --set /seed=N")->transform(whole_from(0));
  CLI::Option* seeds = sub->add_option(
      "--seeds", command->seeds,
      "Several seeds, e.g. 1..12: every headline with its interval, in how many the SLO is met");
  sub->get_option("--seed")->excludes(seeds);
  add_pool_options(*sub, command->study);
  for (const char* name : {"--jobs", "--time-limit", "--memory-limit", "--retries"}) {
    sub->get_option(name)->needs(seeds);
  }
  sub->add_option("--network", command->network, "Fidelity of the collectives")
      ->type_name("analytic|hose|flow");
  sub->add_option("--out", command->out,
                  "Directory for result.json and requests.csv [out/<scenario>; with --json only "
                  "when given]")
      ->type_name("DIR");
  sub->add_option("--plugin", command->plugins, "Shared object that registers policies")
      ->type_name("FILE.so")
      ->allow_extra_args(false);
  sub->add_option("--policy-timeout", command->policy_timeout,
                  "Wall-clock seconds that one call of a policy may take before the run ends with "
                  "exit code 3 and its name; 0: for ever")
      ->type_name("SECONDS")
      ->check(number_from(0, 1e6))
      ->capture_default_str();
  sub->add_flag("--json", command->json, "Print the result as JSON and nothing else on stdout");
  sub->add_flag("--quiet", command->quiet, "No table, no notes");
  sub->add_flag("--strict", command->strict, "Exit with 3 when any request did not finish");
  sub->add_flag("--detailed,--save-detailed", command->detailed,
                "Add ttfts, itls, input_lens and output_lens to the JSON");
  sub->add_option("--percentiles", command->percentiles,
                  "Of the latencies in the JSON: 50,90,99 gives p50_ttft_ms, p90_ttft_ms, ...")
      ->type_name("P,P,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(number_from(0, 100))
      ->default_str("99");
  sub->add_flag("--aiperf", command->aiperf,
                "Write AIPerf's profile_export.jsonl too, beside requests.csv");
  sub->footer(
      "Examples:\n"
      "  cmsim run workloads/scenarios/cloudmatrix384.json\n"
      "  cmsim run workloads/scenarios/cloudmatrix384.json --trace mooncake.jsonl.gz \\\n"
      "      --set /workload/time_scale=10 --set /deployment/decode/max_num_seqs=64\n"
      "  cmsim run workloads/scenarios/cloudmatrix384.json --set /platform/ub/sub_planes=4 --json\n"
      "  cmsim run workloads/scenarios/cloudmatrix384.json --seeds 1..12 --jobs 4\n"
      "Ctrl-C ends a run early: files are written, marked partial, exit code 3.");
  sub->callback([command, &session] {
    session.action = [command, &session] { return execute(*command, session.registry); };
  });
}

}  // namespace cmsim::cli
