#include "scenario_options.hpp"

#include <fmt/format.h>

#include "cmsim/study/point.hpp"
#include "commands.hpp"

namespace cmsim::cli {

void ScenarioOptions::add_to(CLI::App& sub) {
  sub.add_option("SCENARIO", scenario, kScenarioHelp)->required();
  add_settings_to(sub);
  sub.add_option("--plugin", plugins, "Shared object that registers policies")
      ->type_name("FILE.so")
      ->allow_extra_args(false);
}

void ScenarioOptions::add_changes_to(CLI::App& sub) {
  sub.add_option("--set", sets,
                 "Change one key, with units: --set /slo/tpot=15ms (repeatable, in order)")
      ->type_name("/POINTER=VALUE")
      ->allow_extra_args(false);
  faults.add_to(sub);
}

void ScenarioOptions::add_settings_to(CLI::App& sub) {
  add_changes_to(sub);
  sub.add_option(
         "--trace", trace,
         "Short for --set /workload/trace=FILE. What the scenario says of its own trace (rate, "
         "resample, population, time_scale, start, ...) is retired and named")
      ->type_name("FILE");
  sub.add_option("--seed", seed, "Short for --set /seed=N")->transform(whole_from(0));
  CLI::Option* const by_rate =
      sub.add_option("--rate", rate,
                     "Requests per second: of drawn arrivals; a trace is stretched or squeezed in "
                     "time until its mean rate is this. Short for --set /workload/arrivals/rate=R")
          ->type_name("R")
          ->check(number_from(work::kLeastRate, work::kMostRate));
  sub.add_option("--speed", speed,
                 "The trace comes X times faster than recorded, or than the scenario's rate says; "
                 "2 = in half the time. Short for "
                 "--set /workload/time_scale=X")
      ->type_name("X")
      ->check(number_from(1e-6, 1e6))
      ->excludes(by_rate);
  sub.add_option("--network", network,
                 "Fidelity of exchanges: auto is the first rung that "
                 "leaves out nothing the scenario has")
      ->type_name("analytic|hose|flow|auto");
}

std::vector<run::Setting> ScenarioOptions::settings() const {
  std::vector<run::Setting> all = run::settings_of(sets);
  const auto add = [&](const char* pointer, const std::string& option, const auto& value) {
    if (!value) return;
    const std::string text = fmt::format("{}", *value);
    all.push_back({fmt::format("{}={}", pointer, text), option + " " + text});
  };
  add("/workload/trace", "--trace", trace);
  add("/workload/arrivals/rate", "--rate", rate);
  add("/workload/time_scale", "--speed", speed);
  add("/seed", "--seed", seed);
  add("/network", "--network", network);
  for (run::Setting& setting : faults.settings()) all.push_back(std::move(setting));
  return all;
}

std::string ScenarioOptions::text() const {
  using study::shell_word;
  std::string text = shell_word(scenario);
  for (const std::string& set : sets) text += " --set " + shell_word(set);
  for (const std::string& plugin : plugins) text += " --plugin " + shell_word(plugin);
  if (trace) text += " --trace " + shell_word(*trace);
  if (rate) text += fmt::format(" --rate {}", *rate);
  if (speed) text += fmt::format(" --speed {}", *speed);
  if (seed) text += " --seed " + std::to_string(*seed);
  if (network) text += " --network " + *network;
  text += faults.text();
  return text;
}

}  // namespace cmsim::cli
