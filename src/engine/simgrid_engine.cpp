#include "simgrid_engine.hpp"

#include <fmt/format.h>
#include <simgrid/version.h>

#include <csignal>
#include <optional>
#include <stdexcept>

namespace cmsim::engine {
namespace {

/// Exact fluid sharing: no TCP factors, no cross traffic, no window, events kept apart down to 1
/// ps.
std::vector<std::string> options_of(const RuntimeOptions& options) {
  std::vector<std::string> list{"network/model:CM02", "network/crosstraffic:no",
                                "network/TCP-gamma:1e30", "surf/precision:1e-12"};
  list.push_back(options.sharing == Sharing::kFull ? "network/optim:Full" : "network/optim:Lazy");
  list.insert(list.end(), options.simgrid_options.begin(), options.simgrid_options.end());
  return list;
}

// What SimGrid was told in this process: it takes options once.
std::optional<std::vector<std::string>>& process_options() {
  static std::optional<std::vector<std::string>> options;
  return options;
}
bool& engine_alive() {
  static bool alive = false;
  return alive;
}

}  // namespace

bool engine_was_made() { return process_options().has_value(); }

SimGridEngine::SimGridEngine(const RuntimeOptions& options) {
  if (engine_alive()) throw std::logic_error("only one SimGridRuntime at a time in a process");
  const std::vector<std::string> wanted = options_of(options);
  std::vector<std::string> arguments{"cmsim"};
  if (!process_options()) {
    arguments.push_back("--log=root.thres:warning");
    for (const std::string& option : wanted) arguments.push_back("--cfg=" + option);
    process_options() = wanted;
  } else if (*process_options() != wanted) {
    throw std::logic_error("SimGrid takes its options once in a process, and they were others");
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  int argc = static_cast<int>(arguments.size());

  struct sigaction before {};
  sigaction(SIGINT, nullptr, &before);
  engine_ = std::make_unique<simgrid::s4u::Engine>(&argc, argv.data());
  sigaction(SIGINT, &before, nullptr);
  epoch_ = simgrid::s4u::Engine::get_clock();
  engine_alive() = true;
}

SimGridEngine::~SimGridEngine() {
  engine_.reset();
  engine_alive() = false;
}

std::vector<std::string> SimGridEngine::settings() const {
  std::vector<std::string> list{fmt::format("SimGrid {}.{}.{}", SIMGRID_VERSION_MAJOR,
                                            SIMGRID_VERSION_MINOR, SIMGRID_VERSION_PATCH)};
  list.insert(list.end(), process_options()->begin(), process_options()->end());
  return list;
}

}  // namespace cmsim::engine
