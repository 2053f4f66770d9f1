#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "cmsim/base/error.hpp"
#include "cmsim/base/files.hpp"
#include "cmsim/check/formats.hpp"
#include "cmsim/check/program.hpp"
#include "cmsim/check/recording.hpp"
#include "cmsim/check/run_cases.hpp"
#include "commands.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

namespace fs = std::filesystem;

struct CheckCommand {
  std::string baseline, only;
  std::optional<std::string> against;
  std::optional<fs::path> junit, bencher, benchmark_action;
  int jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  bool update = false, allow_changes = false, json = false;
};

/// bench.json -> bench.bigger.json: the action wants one file a direction.
fs::path beside(const fs::path& file, const char* direction) {
  return fs::path(file).replace_extension(std::string(".") + direction + file.extension().string());
}

std::vector<check::CaseRun> run_by(const fs::path& program, const check::Baseline& baseline,
                                   const CheckCommand& command) {
  const auto work = [&](const study::Point& point) { return check::run_program(program, point); };
  return check::run_cases(baseline, work, {.jobs = command.jobs});
}

/// The program that this process runs, whatever happens to its file meanwhile.
std::vector<check::CaseRun> run_here(const check::Baseline& baseline, const CheckCommand& command) {
  return run_by("/proc/self/exe", baseline, command);
}

std::vector<check::CaseRun> recorded(const check::Baseline& baseline,
                                     const check::Recording& recording) {
  std::vector<check::CaseRun> runs;
  for (const check::Case& made : baseline.cases) {
    const auto found = recording.cases.find(made.name);
    if (found == recording.cases.end()) {
      runs.push_back({std::nullopt, "not recorded: --update records it"});
    } else {
      runs.push_back({found->second, ""});
    }
  }
  return runs;
}

std::vector<check::CaseVerdict> judged(const check::Baseline& baseline,
                                       const std::vector<check::CaseRun>& old,
                                       const std::vector<check::CaseRun>& now) {
  std::vector<check::CaseVerdict> verdicts;
  for (std::size_t i = 0; i < baseline.cases.size(); ++i) {
    verdicts.push_back(check::judge(baseline.cases[i], old[i], now[i]));
  }
  return verdicts;
}

void append(const fs::path& file, const std::string& text) {
  std::ofstream stream(file, std::ios::app | std::ios::binary);
  stream << text << std::flush;
  if (!stream) throw OutputError(fmt::format("{} cannot be written", file.string()));
}

/// What GitHub Actions reads, where it is what runs us: annotations from stderr, a summary from a
/// file.
void tell_github(const check::Verdict& verdict) {
  const char* actions = std::getenv("GITHUB_ACTIONS");
  const char* summary = std::getenv("GITHUB_STEP_SUMMARY");
  if (actions != nullptr && std::string_view(actions) == "true") {
    say_text(to_github_annotations(verdict));
  }
  if (summary != nullptr && *summary != '\0') append(summary, to_markdown(verdict));
}

void write_files(const CheckCommand& command, const check::Verdict& verdict) {
  if (command.junit) write_whole(*command.junit, to_junit(verdict));
  if (command.bencher) write_whole(*command.bencher, to_bencher(verdict));
  if (command.benchmark_action) {
    write_whole(beside(*command.benchmark_action, "bigger"),
                to_benchmark_action(verdict, check::Better::kHigher));
    write_whole(beside(*command.benchmark_action, "smaller"),
                to_benchmark_action(verdict, check::Better::kLower));
  }
}

int tell(const CheckCommand& command, const check::Verdict& verdict) {
  write_files(command, verdict);
  tell_github(verdict);
  if (command.json) {
    print("{}\n", to_json(verdict).dump(2));
  } else {
    print_text(to_table(verdict));
  }
  return verdict.passed() ? kOk : kCheckFailed;
}

/// Records what the cases give now and shows how it differs from what was recorded. A case that
/// cannot be run keeps what it had.
int update(const check::Baseline& baseline, check::Recording recording,
           const CheckCommand& command) {
  const auto now = run_here(baseline, command);
  check::Verdict moved{"", check::Changes::kAllow,
                       judged(baseline, recorded(baseline, recording), now)};
  if (command.only.empty()) {
    std::erase_if(recording.cases, [&](const auto& entry) {
      return std::ranges::find(baseline.cases, entry.first, &check::Case::name) ==
             baseline.cases.end();
    });
  }
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (now[i].figures) recording.cases[baseline.cases[i].name] = *now[i].figures;
  }
  const fs::path file = check::recording_of(command.baseline);
  write_whole(file, to_text(recording));
  const std::size_t first = std::erase_if(moved.cases, [](const check::CaseVerdict& made) {
    return made.state == check::State::kMissing && made.metrics.empty();
  });
  moved.title = fmt::format("{}: {} cases recorded for the first time, {} again", command.baseline,
                            first, moved.cases.size());
  print_text(moves_table(moved));
  say("wrote {}\n", file.string());
  // What could not be recorded: cases that do not run, metrics that results do not have.
  const check::Verdict left{"", check::Changes::kAllow, judged(baseline, now, now)};
  return left.passed() ? kOk : kCheckFailed;
}

int execute(const CheckCommand& command) {
  for (const auto& file : {command.junit, command.bencher, command.benchmark_action}) {
    if (file) check_place_of(*file);
  }
  check::Baseline baseline = check::load_baseline(command.baseline);
  if (!command.only.empty()) baseline = check::only(std::move(baseline), command.only);
  if (command.allow_changes) baseline.changes = check::Changes::kAllow;
  const std::string title = fmt::format("cmsim check {}", command.baseline);
  if (command.against) {
    const fs::path program = check::find_program(*command.against);
    auto old = run_by(program, baseline, command);
    for (check::CaseRun& run : old) {
      if (!run.figures) run.error = fmt::format("by {}: {}", *command.against, run.error);
    }
    return tell(command, {fmt::format("{} against {}", title, *command.against), baseline.changes,
                          judged(baseline, old, run_here(baseline, command))});
  }
  const check::Recording recording = check::load_recording(check::recording_of(command.baseline));
  if (command.update) return update(baseline, recording, command);
  return tell(command,
              {title, baseline.changes,
               judged(baseline, recorded(baseline, recording), run_here(baseline, command))});
}

}  // namespace

void add_check(CLI::App& app, Session& session) {
  const auto command = std::make_shared<CheckCommand>();
  CLI::App* sub =
      app.add_subcommand("check", "Runs the cases of a baseline: did a figure change or regress?");
  sub->add_option("BASELINE", command->baseline, "Baseline file, JSON with comments")->required();
  CLI::Option* against =
      sub->add_option("--against", command->against,
                      "Compare with what another build of cmsim gives, not with what is recorded")
          ->type_name("PROGRAM");
  CLI::Option* update_option =
      sub->add_flag("--update", command->update,
                    "Record what the cases give now in BASELINE's .recorded.json, and show the "
                    "difference")
          ->excludes(against);
  sub->add_flag("--allow-changes", command->allow_changes,
                "Changes within the tolerances do not fail the check");
  sub->add_option("--only", command->only, "Only cases whose name contains this text");
  sub->add_option("--jobs", command->jobs, "Processes at a time")
      ->transform(whole_from(1, 256))
      ->capture_default_str();
  const auto add_file = [&](const char* name, std::optional<fs::path>& file, const char* what) {
    sub->add_option(name, file, what)->type_name("FILE")->excludes(update_option);
  };
  add_file("--junit", command->junit, "Write JUnit XML, a test case a metric");
  add_file("--bencher", command->bencher, "Write Bencher Metric Format (JSON)");
  add_file("--benchmark-action", command->benchmark_action,
           "Write github-action-benchmark's JSON, FILE.bigger.json and FILE.smaller.json");
  sub->add_flag("--json", command->json, "Print JSON and nothing else")->excludes(update_option);
  sub->footer(
      "Exit code 1 when a metric is REGRESSED or MISSING, or a case INVALID or MISSING; also when\n"
      "one CHANGED, unless --allow-changes or the baseline's \"changes\": \"allow\" says "
      "otherwise.\n"
      "Under GITHUB_ACTIONS it annotates the baseline's lines and writes the step summary.\n"
      "Examples:\n"
      "  cmsim check workloads/baselines/project.json\n"
      "  cmsim check workloads/baselines/project.json --update\n"
      "  cmsim check workloads/baselines/project.json \\\n"
      "      --against ./before/cmsim --allow-changes");
  sub->callback([&session, command] { session.action = [command] { return execute(*command); }; });
}

}  // namespace cmsim::cli
