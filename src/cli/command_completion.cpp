#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cmsim/base/error.hpp"
#include "cmsim/run/scenario.hpp"
#include "cmsim/run/shipped.hpp"
#include "commands.hpp"
#include "completion.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

using nlohmann::json;

struct CompletionCommand {
  std::string what, file;
};

/// "/POINTER=" of every value; a number with its origin is one.
void add_pointers(const json& value, const std::string& pointer, std::vector<std::string>& into) {
  if (!value.is_object() || value.contains("value")) {
    into.push_back(pointer + "=");
    return;
  }
  for (const auto& [key, inner] : value.items()) {
    add_pointers(inner, pointer + (json::json_pointer() / key).to_string(), into);
  }
}

std::vector<std::string> scenario_pointers(const std::string& named,
                                           const serve::PolicyRegistry& registry) {
  std::vector<std::string> pointers;
  add_pointers(run::ScenarioFile(named).document().value(), "", pointers);
  for (const serve::SlotInfo& slot : serve::slots()) {
    for (const serve::PolicyInfo& policy : registry.of(slot.name)) {
      pointers.push_back(fmt::format("/policies/{}={}", slot.name, policy.name));
    }
  }
  return pointers;
}

std::vector<std::string> platform_pointers(const std::string& named) {
  std::vector<std::string> pointers;
  add_pointers(run::platform_document(named, {}).value(), "", pointers);
  return pointers;
}

int execute(const CompletionCommand& command, const CLI::App& app,
            const serve::PolicyRegistry& registry) {
  const auto lines = [](const std::vector<std::string>& names) {
    print_text(fmt::format("{}\n", fmt::join(names, "\n")));
    return kOk;
  };
  if (command.what == "scenarios") return lines(run::shipped_scenarios());
  if (command.what == "platforms") return lines(run::shipped_platforms());
  if (command.what == "pointers") return lines(scenario_pointers(command.file, registry));
  if (command.what == "platform-pointers") return lines(platform_pointers(command.file));
  const std::vector<CommandWords> commands = completion_words(app);
  print_text(command.what == "bash"  ? bash_completion(commands)
             : command.what == "zsh" ? zsh_completion(commands)
                                     : fish_completion(commands));
  return kOk;
}

}  // namespace

void add_completion(CLI::App& app, Session& session) {
  auto command = std::make_shared<CompletionCommand>();
  CLI::App* sub =
      app.add_subcommand("completion", "Print what makes a shell complete commands and options");
  sub->add_option("WHAT", command->what,
                  "The script of a shell, or what the scripts ask for: names of scenarios and "
                  "platforms that come with cmsim, and the JSON pointers of FILE")
      ->required()
      ->check(CLI::IsMember(
          {"bash", "zsh", "fish", "scenarios", "platforms", "pointers", "platform-pointers"}));
  sub->add_option("FILE", command->file, "A scenario or platform, its file or its name");
  sub->footer(
      "Examples:\n"
      "  source <(cmsim completion bash)\n"
      "  cmsim completion zsh > ~/.zfunc/_cmsim\n"
      "  cmsim completion fish > ~/.config/fish/completions/cmsim.fish");
  sub->callback([command, &app, &session] {
    session.action = [command, &app, &session] {
      if (command->what.ends_with("pointers") && command->file.empty()) {
        throw ConfigError("completion " + command->what +
                          ": expected FILE, a scenario or a platform");
      }
      return execute(*command, app, session.registry);
    };
  });
}

}  // namespace cmsim::cli
