#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

#include "cmsim/base/error.hpp"
#include "cmsim/base/utf8.hpp"
#include "cmsim/base/version.hpp"
#include "commands.hpp"
#include "guarded.hpp"
#include "help_format.hpp"
#include "terminal.hpp"
#include "usage.hpp"

namespace cmsim::cli {
namespace {

/// stdout belongs to results: the logger writes to stderr, and only warnings unless asked.
void set_up_logging(const std::string& level) {
  // A validation row calls main() again in a child of this process.
  auto logger = spdlog::get("cmsim");
  const auto mode = paint_for(Stream::kError) == Paint::kColour ? spdlog::color_mode::automatic
                                                                : spdlog::color_mode::never;
  spdlog::set_default_logger(logger ? logger : spdlog::stderr_color_mt("cmsim", mode));
  spdlog::set_pattern("%^%l%$: %v");
  spdlog::set_level(spdlog::level::from_str(level));
}

/// Runs what the command line asks for and delivers what it prints.
int execute(CLI::App& app, Session& session, const std::string& log_level, int argc, char** argv) {
  int code = kOk;
  try {
    for (int i = 1; i < argc; ++i) {
      require_utf8(argv[i]);
      refuse_empty(std::string_view(argv[i]));
    }
    app.parse(argc, argv);
    refuse_empty(app);
    set_up_logging(log_level);
    code = session.action();
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) != 0) return kUsage;
  }
  flush_results();
  return code;
}

}  // namespace

int main(int argc, char** argv, serve::PolicyRegistry registry) {
  secure_standard_streams();
  Session session{std::move(registry), {}};
  CLI::App app{"Simulates a CloudMatrix384 supernode serving DeepSeek-R1.", "cmsim"};
  app.formatter(std::make_shared<HelpFormat>());  // of the commands too, which take it over
  app.set_version_flag("--version", std::string("cmsim ") + kVersion);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 ok, 1 a check failed, 2 usage or scenario error, 3 simulation failed, was "
      "ended\n"
      "early, or its results could not be written, 4 some points of a study failed, 70 internal "
      "error.\n"
      "`cmsim COMMAND --help` shows the options of a command.");
  app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
    return usage_message(*failed, error);
  });
  app.fallthrough();  // what belongs to cmsim may stand after the command as well
  std::string log_level = "warn";
  app.add_option("--log-level", log_level,
                 "What is logged to stderr: info has the phases of a run, debug what is decided")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  for (const auto add : kCommands) add(app, session);
  return guarded([&] { return execute(app, session, log_level, argc, argv); });
}

}  // namespace cmsim::cli
