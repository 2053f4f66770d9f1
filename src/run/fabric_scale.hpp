// How much slower an exchange is on the wire of the real fabric than the step models assume, whose
// exchanges know only how far uniformly spread peers are. 1 on a fabric that is thin nowhere.
//
// The analytic rung adds the busiest port of the topology, hose and flow what SimGrid makes of it.
// A measurement runs in a child process, because SimGrid allows one engine in a process and that
// one belongs to the run.
#pragma once

#include <string>

#include "cmsim/coll/analytic.hpp"
#include "cmsim/coll/fabric.hpp"
#include "cmsim/coll/traffic.hpp"
#include "cmsim/hw/platform.hpp"
#include "cmsim/run/scenario.hpp"
#include "role_experts.hpp"

namespace cmsim::run {

/// Wire time that the exchanges of model/ assume for `rows` messages of `message_bytes` on the
/// busiest of `ranks` dies; 0 for a die alone.
Seconds assumed_wire_time(const hw::Platform& platform, int ranks, double rows,
                          double message_bytes);

struct FabricScale {
  double prefill = 1, decode = 1;
  std::string note;  // what was measured, for provenance; empty when nothing is to be said
};

/// A dispatch of the scenario's largest decode batch and of its largest prefill microbatch, with
/// the popularity of the layer whose busiest rank is the median one. Beyond kMostFlowRanks ranks
/// the flow rung is measured on the group's first ranks, and its ratio to the analytic rung taken
/// over. Throws SimulationError when the child process fails.
inline constexpr int kMostFlowRanks = 64;
FabricScale measure_fabric_scale(const Scenario& scenario, const RoleExperts& experts,
                                 const coll::Fabric& fabric);

}  // namespace cmsim::run
