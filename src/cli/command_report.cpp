#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cmsim/base/error.hpp"
#include "cmsim/base/files.hpp"
#include "cmsim/report/page.hpp"
#include "cmsim/serve/placement.hpp"
#include "cmsim/study/point.hpp"
#include "commands.hpp"
#include "scenario_options.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

struct ReportCommand {
  std::vector<std::string> places;
  std::string out = "report.html";
};

/// The scenario options of a command line that a result was made by.
ScenarioOptions options_in(const std::string& line) {
  std::vector<std::string> words = study::words_in(line);
  if (words.size() < 3 || words[1] != "run") {
    throw ConfigError(fmt::format("it was not made by `cmsim run` but by: {}", line));
  }
  words.erase(words.begin(), words.begin() + 2);
  std::ranges::reverse(words);  // as CLI11 takes them
  ScenarioOptions options;
  CLI::App app;
  options.add_to(app);
  app.allow_extras();
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    throw ConfigError(fmt::format("its command line cannot be read: {}", error.what()));
  }
  return options;
}

report::Machine machine_of(const nlohmann::ordered_json& provenance,
                           const serve::PolicyRegistry& registry) {
  const ScenarioOptions options = options_in(provenance.at("command").get<std::string>());
  if (options.scenario == "-") throw ConfigError("its scenario was read from the standard input");
  const run::Scenario scenario = run::open_scenario(options.scenario, options.settings(), registry);
  if (scenario.digest != provenance.at("digest")) {
    throw ConfigError(
        fmt::format("{} is no longer the scenario that was run: its digest is {}, that of the "
                    "result {}",
                    options.scenario, scenario.digest, provenance.at("digest").get<std::string>()));
  }
  const std::vector<serve::Placement> supernodes =
      serve::place(scenario.deployment, scenario.platform, scenario.role);
  report::Machine machine{scenario.platform, serve::dies_of(supernodes, &serve::Placement::prefill),
                          serve::dies_of(supernodes, &serve::Placement::decode)};
  for (const serve::Placement& supernode : supernodes) {
    machine.prefill_of.push_back(supernode.prefill.size());
    machine.decode_of.push_back(supernode.decode.size());
  }
  return machine;
}

int execute(const ReportCommand& command, const serve::PolicyRegistry& registry) {
  check_place_of(command.out);
  std::vector<report::Source> sources;
  for (const std::string& place : command.places) {
    sources.push_back(report::load_source(place, [&](const nlohmann::ordered_json& provenance) {
      return machine_of(provenance, registry);
    }));
  }
  write_whole(command.out, report::page(sources));
  say("wrote {}\n", command.out);
  return kOk;
}

}  // namespace

void add_report(CLI::App& app, Session& session) {
  auto command = std::make_shared<ReportCommand>();
  CLI::App* sub =
      app.add_subcommand("report", "Results and studies as one page to look at, for a browser");
  sub->add_option("DIR", command->places,
                  "Directory or result.json of a run, directory or study.sqlite of a study; two "
                  "runs are shown side by side")
      ->required()
      ->expected(1, 8);
  sub->add_option("-o,--out", command->out, "The page; it needs no other file and no network")
      ->type_name("FILE.html")
      ->capture_default_str();
  sub->footer(
      "Examples:\n"
      "  cmsim run cloudmatrix384 --timeseries 1s --out out/run\n"
      "  cmsim report out/run -o run.html\n"
      "  cmsim report out/before out/after -o both.html\n"
      "  cmsim report out/study -o study.html");
  sub->callback([command, &session] {
    session.action = [command, &session] { return execute(*command, session.registry); };
  });
}

}  // namespace cmsim::cli
