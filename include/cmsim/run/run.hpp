// Scenario -> Result: wires the rooms together and holds the promises of docs/invariants.md.
//
// Deterministic: equal scenarios give equal results (the first run of a process, see
// engine/runtime.hpp). Prints nothing; whoever wants to watch passes a listener.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cmsim/metrics/result.hpp"
#include "cmsim/run/scenario.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::run {

using metrics::Result;

struct RunOptions {
  std::vector<serve::Listener*> listeners;       // beside the metrics; must outlive the run
  const std::atomic<bool>* interrupt = nullptr;  // set it to end the run early, result partial
  serve::PolicyRegistry registry = serve::builtin_policies();
  serve::PolicyCall* policy_call = nullptr;  // told which policy is called; must outlive the run
  std::optional<Seconds> time_series;        // interval of Result::time_series
  std::function<void(const work::Trace&)> on_start;  // called once, just before the first event
  std::string command;                               // for provenance
  std::vector<double> percentiles{99};               // of the latencies at the top, 0 to 100
};

/// Throws ConfigError when the workload cannot be read, SimulationError when the simulation could
/// not go on, serve::InvariantError when a promise is broken.
Result run(const Scenario& scenario, const RunOptions& options = {});

}  // namespace cmsim::run
