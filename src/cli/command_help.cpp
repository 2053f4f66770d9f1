#include "commands.hpp"
#include "terminal.hpp"
#include "usage.hpp"

namespace cmsim::cli {

void add_help(CLI::App& app, Session& session) {
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* sub = app.add_subcommand("help", "Show what there is, or the options of a command");
  sub->add_option("COMMAND", *words, "e.g. run, or trace inspect");
  sub->callback([words, &app, &session] {
    session.action = [words, &app] {
      CLI::App* command = &app;
      std::string prefix;
      for (const std::string& word : *words) {
        prefix = full_name(*command);
        command = find_command(*command, word);
      }
      command->clear();  // help shows the options of what was parsed, which is `help`
      print_text(command->help(prefix));
      return kOk;
    };
  });
}

}  // namespace cmsim::cli
