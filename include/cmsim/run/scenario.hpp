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
#include "cmsim/serve/deployment.hpp"
#include "cmsim/serve/policy.hpp"
#include "cmsim/work/workload.hpp"

namespace cmsim::run {

using coll::Network;  // fidelity of the collectives; transfers are always flows

struct PolicyNames {  // /policies/*; see `cmsim policies`
  std::string prefill_routing = "least_loaded";
  std::string prefill_batching = "fcfs";
  std::string decode_routing = "least_loaded";
  std::string decode_admission = "fcfs";
};

/// What decode holds when the run begins; /workload/population.
enum class Start { kEmpty, kStationary };

struct Scenario {
  std::string name;    // the file it came from, as given
  std::string digest;  // of the fully resolved document (platform and model spliced in)
  std::uint64_t seed = 1;
  hw::Platform platform;
  model::Architecture model;
  model::ModelOptions options;
  serve::DeploymentSpec deployment;
  serve::Role role = serve::Role::kAll;  // /workload/role: all | prefill | decode
  PolicyNames policies;
  work::WorkloadSpec workload;
  Start start = Start::kEmpty;
  metrics::SloSpec slo;
  metrics::WindowSpec window;
  Network network = Network::kAnalytic;
  Seconds horizon = 1e300;  // /horizon: simulated time at which an overloaded run is cut
};

/// Reads the file, splices in /platform and /model (a path or an object), applies `sets`
/// ("/pointer=value") in order, and checks everything that can be checked before simulating.
/// A path in a set is looked for from the working directory first, then beside the scenario.
/// Throws ConfigError.
Scenario load_scenario(const std::filesystem::path& file, const std::vector<std::string>& sets = {},
                       const serve::PolicyRegistry& registry = serve::builtin_policies());

/// A scenario file that is read once, of which scenarios that differ in their sets are made.
class ScenarioFile {
 public:
  explicit ScenarioFile(const std::filesystem::path& file);

  /// The document with platform and model spliced in and `sets` applied; throws ConfigError.
  ConfigDocument document(const std::vector<std::string>& sets = {}) const;
  /// Where the trace of such a document lies; "" when it has none.
  std::filesystem::path trace_of(const ConfigDocument& document) const;
  /// As load_scenario().
  Scenario scenario(const std::vector<std::string>& sets,
                    const serve::PolicyRegistry& registry) const;

 private:
  std::filesystem::path directory_;
  ConfigDocument document_;
};

/// Of such a document. Where its trace lies does not matter, only its name; what is in it has a
/// digest of its own.
std::string scenario_digest(const ConfigDocument& document);

/// load_scenario() from text; `name` stands for the file in messages, paths are relative to the
/// working directory.
Scenario parse_scenario(const std::string& text, const std::string& name,
                        const std::vector<std::string>& sets = {},
                        const serve::PolicyRegistry& registry = serve::builtin_policies());

}  // namespace cmsim::run
