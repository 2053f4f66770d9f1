// A scenario is a value: everything a run depends on. Result run(const Scenario&) has no other input.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cmsim/hw/platform.hpp"
#include "cmsim/model/architecture.hpp"
#include "cmsim/model/options.hpp"
#include "cmsim/serve/deployment.hpp"
#include "cmsim/work/workload.hpp"

namespace cmsim::run {

enum class Network { kAnalytic, kHose, kFlow };   // fidelity of the collectives; transfers are always flows

struct SloSpec {
  Seconds ttft = 2.0;
  Seconds tpot = 0.050;
};

struct PolicyNames {                  // /policies/*; see `cmsim policies`
  std::string prefill_routing = "least_loaded";
  std::string prefill_batching = "fcfs";
  std::string decode_routing = "least_loaded";
  std::string decode_admission = "fcfs";
};

struct Scenario {
  std::string name;                   // file it came from
  std::string digest;                 // of the fully resolved document (platform and model spliced in)
  std::uint64_t seed = 1;
  hw::Platform platform;
  model::Architecture model;
  model::ModelOptions options;
  serve::DeploymentSpec deployment;
  serve::Role role = serve::Role::kAll;     // /workload/role: all | prefill | decode
  PolicyNames policies;
  work::WorkloadSpec workload;
  SloSpec slo;
  Network network = Network::kAnalytic;
  Seconds horizon = 1e300;            // /horizon: simulated time at which an overloaded run is cut
};

/// Reads the file, splices in /platform and /model, applies `sets` ("/pointer=value") in order, checks
/// everything that can be checked before simulating. Throws ConfigError.
Scenario load_scenario(const std::filesystem::path& file, const std::vector<std::string>& sets = {});

}  // namespace cmsim::run
