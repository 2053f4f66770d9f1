// The serving system of one or several supernodes: prefill, decode and caching as peers, on a
// Runtime.
//
// It takes requests of a trace, makes them pass prefill queue, cache read, prefill, KV pull and
// decode, asks a policy for every decision, and tells listeners what happened. It knows no SimGrid,
// computes no operator cost (model/ does) and no statistics (metrics/ does). Invariant (checked by
// finish()): every row of the trace ends exactly once, under a named outcome.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "cmsim/base/units.hpp"
#include "cmsim/coll/runtime.hpp"
#include "cmsim/hw/platform.hpp"
#include "cmsim/model/step.hpp"
#include "cmsim/serve/deployment.hpp"
#include "cmsim/serve/events.hpp"
#include "cmsim/serve/policy.hpp"
#include "cmsim/work/trace.hpp"

namespace cmsim::serve {

/// Requests that are promised the same; /workload/classes.
struct RequestClass {
  std::string name = "all";
  std::int32_t priority = 0;  // higher goes first, where a policy looks at it
  LatencyLimits limits = {std::numeric_limits<double>::infinity(),
                          std::numeric_limits<double>::infinity()};
};

struct ClusterConfig {
  DeploymentSpec deployment;
  MtpSpec mtp;
  Role role = Role::kAll;
  Bytes kv_bytes_per_token = 0;
  std::vector<RequestClass> classes = {RequestClass()};  // by TraceRow::request_class
  /// 0: a request is sent when it is due. C > 0: at most C are in the system; the next is sent when
  /// one ends and it is due.
  std::int64_t concurrency = 0;
  Seconds plan_change = 0;  // what it costs a decode step to be run otherwise than the one before
  /// A request is due when it is sent.
  bool closed_loop = false;
  std::uint64_t seed = 1;  // streams "serve/..."
};

/// Times of the steps. The model of a role that is not exercised may be null.
struct StepModels {
  const model::PrefillModel* prefill = nullptr;
  const model::DecodeModel* decode = nullptr;
};

/// A promise of docs/invariants.md is broken: a bug, exit code 70.
class InvariantError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// How runtime.run() came to its end.
enum class RunEnd {
  kDrained,      // nothing left to do: every request must have ended
  kInterrupted,  // stop() was called: requests may be left over
};

/// Sums over the run, for invariants and performance figures.
struct ClusterTotals {
  std::int64_t requests = 0;  // rows of the trace
  std::int64_t sent = 0, finished = 0, rejected = 0, failed = 0, unfinished = 0;
  std::int64_t preemptions = 0;
  std::int64_t swaps = 0;  // of them
  std::int64_t prefill_batches = 0, decode_steps = 0, transfers = 0;
  Tokens prefill_kv_reserved = 0, prefill_kv_released = 0;
  Tokens decode_kv_reserved = 0, decode_kv_released = 0;
};

class Cluster {
 public:
  /// Everything passed by reference or pointer must outlive the cluster. The deployment has passed
  /// check_deployment(), the trace check_cache_blocks(). Of the policies there is one set for every
  /// supernode, the first of which routes requests to them.
  Cluster(coll::Runtime& runtime, const hw::Platform& platform, const ClusterConfig& config,
          const StepModels& models, std::vector<Policies> policies, const work::Trace& trace);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// Listeners are called in the order they were added; add them before start().
  void add_listener(Listener& listener);
  /// Schedules the first arrivals; then call runtime.run().
  void start();
  /// After run(): ends what is left as kUnfinished and checks the invariants. Throws
  /// InvariantError.
  void finish(RunEnd end);

  const ClusterTotals& totals() const;
  /// Requests ended so far, for a progress bar.
  std::int64_t ended() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cmsim::serve
