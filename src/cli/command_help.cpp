#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cmsim/base/version.hpp"
#include "commands.hpp"
#include "terminal.hpp"
#include "usage.hpp"

namespace cmsim::cli {
namespace {

/// Text as roff shows it as it is.
std::string roff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    const bool begins = escaped.empty() || escaped.back() == '\n';
    if (begins && (c == '.' || c == '\'')) escaped += "\\&";
    escaped += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
  }
  return escaped;
}

/// The help of a command and of those below it, a section each.
std::string sections(CLI::App& app, const std::string& prefix) {
  app.clear();  // help shows the options of what was parsed, which is `help`
  const std::string name = prefix.empty() ? app.get_name() : prefix + " " + app.get_name();
  std::string title = name;
  std::ranges::transform(title, title.begin(), [](unsigned char c) { return std::toupper(c); });
  std::string text = fmt::format(".SH {}\n.nf\n{}.fi\n", roff(title), roff(app.help(prefix)));
  for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) {
    text += sections(*sub, name);
  }
  return text;
}

std::string manual_page(CLI::App& app) {
  return fmt::format(".TH CMSIM 1 \"\" \"cmsim {}\"\n.SH NAME\ncmsim \\- {}\n", kVersion,
                     roff(app.get_description())) +
         sections(app, "");
}

}  // namespace

void add_help(CLI::App& app, Session& session) {
  auto words = std::make_shared<std::vector<std::string>>();
  auto manual = std::make_shared<bool>(false);
  CLI::App* sub = app.add_subcommand("help", "Show what there is, or the options of a command");
  CLI::Option* names = sub->add_option("COMMAND", *words, "e.g. run, or trace inspect");
  sub->add_flag("--man", *manual, "All of it as a manual page: cmsim help --man > cmsim.1")
      ->excludes(names);
  sub->callback([words, manual, &app, &session] {
    session.action = [words, manual, &app] {
      if (*manual) {
        print_text(manual_page(app));
        return kOk;
      }
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
