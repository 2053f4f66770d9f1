// A scenario is a value: everything a run depends on. Result run(const Scenario&) has no other
// input.
//
// Loading reports every mistake that can be seen before simulating as a ConfigError naming file,
// line and JSON pointer. Keys: docs/scenario.schema.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/coll/analytic.hpp"
#include "cmsim/hw/platform.hpp"
#include "cmsim/metrics/slo.hpp"
#include "cmsim/metrics/window.hpp"
#include "cmsim/model/architecture.hpp"
#include "cmsim/model/options.hpp"
#include "cmsim/serve/cluster.hpp"
#include "cmsim/serve/deployment.hpp"
#include "cmsim/serve/policy.hpp"
#include "cmsim/work/workload.hpp"

namespace cmsim::run {

using coll::Network;  // fidelity of exchanges; transfers are always flows

/// What decode holds when the run begins; /workload/population.
enum class Start { kEmpty, kStationary };

struct Scenario {
  std::string name;                   // the file it came from, as given
  std::string device;                 // the name of its file, of the platform when it has none
  std::vector<std::string> borrowed;  // pointers of figures measured on another device or model
  std::string digest;  // of the fully resolved document (platform and model spliced in)
  std::vector<std::string> retired_by_trace;  // keys of the file that were of another trace
  std::uint64_t seed = 1;
  hw::Platform platform;
  model::Architecture model;
  model::ModelOptions options;
  serve::DeploymentSpec deployment;
  serve::Role role = serve::Role::kAll;  // /workload/role: all | prefill | decode
  serve::PolicyChoices policies = serve::default_choices();  // /policies; see `cmsim policies`
  work::WorkloadSpec workload;
  Start start = Start::kEmpty;
  metrics::SloSpec slo;
  std::vector<serve::RequestClass> classes;  // /workload/classes, their limits
  metrics::WindowSpec window;
  std::optional<Network> network = Network::kAnalytic;  // none: the first that is exact enough
  Seconds horizon = 1e300;  // /horizon: simulated time at which an overloaded run is cut
};

/// One thing that the command line sets, and as what the user gave it ("--trace x.jsonl").
struct Setting {
  std::string assignment;  // "/pointer=value"
  std::string origin;      // stands for the file in messages
};

/// Those of --set, in order.
std::vector<Setting> settings_of(const std::vector<std::string>& sets);

/// Reads the file with what it extends, splices in /platform and /model (a path or an object),
/// applies `sets` ("/pointer=value") in order, and checks everything that can be checked before
/// simulating. A path in a set is looked for from the working directory first, then beside the
/// scenario. Keys without effect are refused or retired (docs/scenarios.md). Throws ConfigError.
Scenario load_scenario(const std::filesystem::path& file, const std::vector<std::string>& sets = {},
                       const serve::PolicyRegistry& registry = serve::builtin_policies());

/// The same for what a user names, see ScenarioFile.
Scenario open_scenario(const std::string& named, const std::vector<Setting>& settings,
                       const serve::PolicyRegistry& registry);

/// A scenario file that is read once with what it extends, of which scenarios that differ in their
/// settings are made.
class ScenarioFile {
 public:
  /// What a user names: a file, "-" for the standard input (paths are then relative to the working
  /// directory), or a scenario that comes with the program (run/shipped.hpp). Throws ConfigError.
  explicit ScenarioFile(const std::string& named);

  /// The document with platform and model spliced in and the settings applied; throws ConfigError.
  ConfigDocument document(const std::vector<Setting>& settings = {}) const;
  /// The same without the keys that are retired: each that is there may have an effect.
  ConfigDocument effective_document(const std::vector<Setting>& settings,
                                    const serve::PolicyRegistry& registry) const;
  /// As load_scenario().
  Scenario scenario(const std::vector<Setting>& settings,
                    const serve::PolicyRegistry& registry) const;

 private:
  ScenarioFile(const std::string& named, const std::filesystem::path& file);

  std::string named_;
  std::filesystem::path directory_;
  ConfigDocument document_;
};

/// Of such a document. Where its trace lies does not matter, only its name; what is in it has a
/// digest of its own.
std::string scenario_digest(const ConfigDocument& document);
/// Where the trace of such a document lies; "" when it has none.
std::filesystem::path trace_of(const ConfigDocument& document);

/// load_scenario() from text; `name` stands for the file in messages, paths are relative to the
/// working directory.
Scenario parse_scenario(const std::string& text, const std::string& name,
                        const std::vector<std::string>& sets = {},
                        const serve::PolicyRegistry& registry = serve::builtin_policies());

}  // namespace cmsim::run
