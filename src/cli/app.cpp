#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <string>

#include "cmsim/base/error.hpp"
#include "cmsim/base/version.hpp"
#include "commands.hpp"

namespace cmsim::cli {
namespace {

/// stdout belongs to results: the logger writes to stderr, and only warnings unless asked.
void set_up_logging(const std::string& level) {
  // A validation row calls main() again in a child of this process.
  auto logger = spdlog::get("cmsim");
  spdlog::set_default_logger(logger ? logger : spdlog::stderr_color_mt("cmsim"));
  spdlog::set_pattern("%^%l%$: %v");
  spdlog::set_level(spdlog::level::from_str(level));
}

int complain(const char* kind, const std::exception& error, int code) {
  std::fflush(stdout);
  fmt::print(stderr, "cmsim: {}{}\n", kind, error.what());
  return code;
}

/// A result that could not be delivered is not a success.
int flushed(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  fmt::print(stderr, "cmsim: standard output cannot be written\n");
  return code == kOk ? kFailed : code;
}

}  // namespace

int main(int argc, char** argv, serve::PolicyRegistry registry) {
  Session session{std::move(registry), {}};
  CLI::App app{"Simulates a CloudMatrix384 supernode serving DeepSeek-R1.", "cmsim"};
  app.set_version_flag("--version", std::string("cmsim ") + kVersion);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 ok, 2 usage or scenario error, 3 simulation failed or incomplete,\n"
      "70 internal error. `cmsim COMMAND --help` shows the options of a command.");
  std::string log_level = "warn";
  app.add_option("--log-level", log_level, "What is logged to stderr")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  for (const auto add : kCommands) add(app, session);
  try {
    app.parse(argc, argv);
    set_up_logging(log_level);
    return flushed(session.action());
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? flushed(kOk) : kUsage;
  } catch (const ConfigError& error) {
    return complain("", error, kUsage);
  } catch (const SimulationError& error) {
    return complain("simulation failed: ", error, kFailed);
  } catch (const std::exception& error) {
    return complain("internal error, please report it: ", error, kInternal);
  }
}

}  // namespace cmsim::cli
