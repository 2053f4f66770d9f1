#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cmsim/base/error.hpp"
#include "cmsim/check/difference_text.hpp"
#include "commands.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

struct CompareCommand {
  std::string old, now;
  bool json = false;
};

int compare(const CompareCommand& command) {
  const nlohmann::json old = check::load_result(command.old);
  const nlohmann::json now = check::load_result(command.now);
  const check::Kind kind = check::kind_of(old, command.old);
  if (const check::Kind other = check::kind_of(now, command.now); other != kind) {
    throw ConfigError(
        fmt::format("{} is the result of `cmsim {}`, {} of `cmsim {}`: they have no "
                    "figures in common",
                    command.old, to_string(kind), command.now, to_string(other)));
  }
  if (const auto phase = old.value("phase", ""); phase != now.value("phase", "")) {
    throw ConfigError(
        fmt::format("{} is a step of {}, {} one of {}: they have no operators in common",
                    command.old, phase, command.now, now.value("phase", "")));
  }
  const auto metrics = check::headlines(kind);
  const check::Difference difference = check::difference_of(
      check::figures_of(old, kind, metrics), check::figures_of(now, kind, metrics), metrics);
  if (command.json) {
    print("{}\n", to_json(difference).dump(2));
  } else {
    print("Old  {}\nNew  {}\n\n", command.old, command.now);
    print_text(difference_text(difference));
  }
  return kOk;
}

}  // namespace

void add_compare(CLI::App& app, Session& session) {
  const auto command = std::make_shared<CompareCommand>();
  CLI::App* sub = app.add_subcommand("compare", "What differs between two results, and why");
  sub->add_option("OLD", command->old,
                  "Result (JSON) of run, step, collective or p2p, or the "
                  "directory of a run")
      ->required();
  sub->add_option("NEW", command->now, "The other one")->required();
  sub->add_flag("--json", command->json, "Print JSON and nothing else");
  sub->footer(
      "Examples:\n"
      "  cmsim compare out/before out/after\n"
      "  cmsim compare old.json new.json --json\n"
      "  cmsim compare <(cmsim step a.json --phase decode --json) \\\n"
      "                <(cmsim step b.json --phase decode --json)");
  sub->callback([&session, command] { session.action = [command] { return compare(*command); }; });
}

}  // namespace cmsim::cli
