// The figures of a part of a run, from its request records, iterations and timeline.
//
// The same formulas (docs/output.md) for the measurement window and for the whole run. What happens
// at a moment belongs to the part (from, to] it lies in; what lasts belongs to it by the share of
// its time; latencies are those of a cohort, chosen by when its requests were sent.
#pragma once

#include <span>

#include "cmsim/metrics/result.hpp"
#include "cmsim/metrics/timeline.hpp"
#include "cmsim/serve/cluster.hpp"
#include "cmsim/serve/deployment.hpp"

namespace cmsim::metrics {

/// What the events do not say about the system they happen in.
struct SystemFacts {
  serve::Role role = serve::Role::kAll;
  serve::DeploymentSpec deployment;
  int dies_per_npu = 2;
  BytesPerSecond hbm_bandwidth = 0;  // of a die
  Tokens decode_kv_per_die = 0;
  std::int64_t cache_capacity_blocks = 0, ssd_capacity_blocks = 0;
  Bytes kv_bytes_per_token = 0;  // as the context cache keeps it
  bool drifts = false;           // the popularity of experts in decode
  std::size_t requests = 0;      // of the trace
  SloSpec slo;
  std::vector<serve::RequestClass>
      classes;  // none: all requests are of one, with the limits of slo
  BenchmarkArguments arguments;

  Tokens decode_kv_capacity() const {
    return decode_kv_per_die * dies_per_npu * deployment.decode.attending_npus() /
           deployment.decode.attention_tp * deployment.decode_instances();
  }
};

struct Evidence {
  const Records& records;
  const Iterations &batches, &steps;
  const Timeline& timeline;
  std::span<const StepPrompts> prompts = {};       // of each step, where instances are mixed
  std::span<const serve::RoleEvent> roles = {};    // where they can change
  std::span<const StepExperts> step_experts = {};  // as `steps`, where popularity drifts
  std::span<const serve::RebalancingEvent> rebalancings = {};
  std::span<const Seconds> plan_changes = {};  // of decode instances
};

/// Links and binds are left to the caller. `from` and `to` begin bins of the timeline, or are its
/// ends.
Figures figures_of(const Evidence& evidence, const SystemFacts& facts, Seconds from, Seconds to,
                   const Cohort& cohort = {});

/// Output tokens a finished request had from this run (in a prefill-only run: the first alone).
Tokens output_of(const serve::RequestRecord& record, serve::Role role);

/// Whether a finished request kept both limits. One without a TPOT keeps any TPOT limit, one that
/// was under way when the run began any TTFT limit.
struct SloCheck {
  bool ttft = false, tpot = false;
  bool both() const { return ttft && tpot; }
};
SloCheck check_slo(const serve::RequestRecord& record, const serve::LatencyLimits& limits,
                   serve::Role role);
/// By the limits of its class.
SloCheck check_slo(const serve::RequestRecord& record, const SystemFacts& facts);

/// How long [from, to] and [begin, end] overlap.
Seconds overlap(Seconds from, Seconds to, Seconds begin, Seconds end);
/// The part of [from, to] inside [begin, end], as a share of it; of a moment 1 or 0.
double share_inside(Seconds from, Seconds to, Seconds begin, Seconds end);

}  // namespace cmsim::metrics
