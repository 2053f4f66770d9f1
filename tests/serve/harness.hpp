// A cluster on a fake clock with step models whose times can be worked out by hand.
//
// Machine: 2 nodes x 4 NPUs x 2 dies, 2 CPUs a node. Deployment: one prefill NPU (2 dies) and one
// decode NPU (2 dies, 2 ranks) unless a test says otherwise. KV: 1,000 B a token. Wires: RDMA 1
// MB/s, so 1 ms a token; UB 10 MB/s, so 0.1 ms a token; nothing contends.
#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cmsim/serve/cluster.hpp"
#include "cmsim/serve/placement.hpp"
#include "tests/coll/fake_runtime.hpp"

namespace cmsim::serve::testing {

inline constexpr double kTiny = 1e-9;  // seconds: rounding, not time

/// 1 ms a computed token, unless a test says otherwise.
class LinearPrefill : public model::PrefillModel {
 public:
  model::PrefillIteration batch(const model::PrefillBatch& batch) const override {
    model::PrefillIteration iteration;
    for (const auto& s : batch.sequences) {
      iteration.duration += per_token * static_cast<double>(s.new_tokens);
    }
    batches.emplace_back(batch.sequences.begin(), batch.sequences.end());
    return iteration;
  }
  Seconds stretched(const model::PrefillBatch& of, double) const override {
    return batch(of).duration;
  }
  model::WireUse wire_use(std::int32_t) const override { return {}; }
  Tokens kv_capacity() const override { return capacity; }

  Seconds per_token = 1e-3;
  Tokens capacity = 1'000'000;
  mutable std::vector<std::vector<model::PrefillSequence>> batches;  // seen
};

/// 50 ms a step unless told otherwise, whatever runs.
class ConstantDecode : public model::DecodeModel {
 public:
  model::DecodeIteration iteration(const model::DecodeBatch& batch) const override {
    if (keep) {
      sequences.emplace_back(batch.sequences.begin(), batch.sequences.end());
      kv_tokens.emplace_back(batch.kv_tokens.begin(), batch.kv_tokens.end());
      prompts.emplace_back(batch.prompts.begin(), batch.prompts.end());
    }
    return {duration, 0, 0};
  }
  Seconds stretched(const model::DecodeBatch&, double) const override { return duration; }
  model::WireUse wire_use(std::int32_t) const override { return {}; }
  Tokens kv_capacity_per_die() const override { return capacity; }

  Tokens capacity = 100'000;
  Seconds duration = 0.050;
  bool keep = true;
  mutable std::vector<std::vector<std::int32_t>> sequences;  // seen, one element a step
  mutable std::vector<std::vector<std::int64_t>> kv_tokens;
  mutable std::vector<std::vector<model::PromptLoad>> prompts;
};

class Recorder : public Listener {
 public:
  void on_request_sent(const RequestRecord& r) override { sent.push_back(r.id); }
  void on_request_end(const RequestRecord& r) override {
    if (!records.emplace(r.id, r).second) throw std::logic_error("a request ended twice");
  }
  void on_prefill_batch(const PrefillBatchEvent& e) override { batches.push_back(e); }
  void on_decode_step(const DecodeStepEvent& e) override { steps.push_back(e); }
  void on_transfer(const TransferEvent& e) override { transfers.push_back(e); }
  void on_queue(const QueueEvent& e) override { queues.push_back(e); }
  void on_cache(const CacheEvent& e) override { lookups.push_back(e); }

  std::vector<std::int64_t> sent;
  std::map<std::int64_t, RequestRecord> records;
  std::vector<PrefillBatchEvent> batches;
  std::vector<DecodeStepEvent> steps;
  std::vector<TransferEvent> transfers;
  std::vector<QueueEvent> queues;
  std::vector<CacheEvent> lookups;
};

inline hw::Platform small_platform() {
  hw::Platform platform;
  platform.nodes = 2;
  platform.npus_per_node = 4;
  platform.dies_per_npu = 2;
  platform.cpus_per_node = 2;
  platform.dram_per_node = 1'000'000'000;
  platform.ub.cpu_bandwidth = 160e9;
  return platform;
}

struct Ask {
  Seconds arrival;
  int prompt, output;
  std::vector<std::uint64_t> blocks = {};
};

inline work::Trace make_trace(const std::vector<Ask>& asks, int block_size = 100) {
  work::Trace trace;
  trace.block_size = block_size;
  for (const Ask& ask : asks) {
    trace.rows.push_back({ask.arrival, ask.prompt, ask.output,
                          static_cast<std::uint32_t>(trace.block_ids.size()),
                          static_cast<std::uint32_t>(ask.blocks.size())});
    trace.block_ids.insert(trace.block_ids.end(), ask.blocks.begin(), ask.blocks.end());
  }
  return trace;
}

/// The default of every slot but those named.
inline Policies policies_with(const PolicyChoices& choices) {
  return make_policies(builtin_policies(), choices, 1);
}

/// Set the members, then run().
struct Harness {
  Harness() {
    config.deployment.prefill = {1, 1, 2, 1000};
    config.deployment.decode = {1, 1, 2, 4};  // 4 sequences an NPU: 2 slots a rank
    config.deployment.cache.enabled = false;
    config.deployment.cache.block_size = 100;
    config.deployment.cache.dram_per_node = 100'000'000;  // 1,000 blocks a node
    config.mtp = {0, 0};
    config.kv_bytes_per_token = 1000;
    runtime.wire(coll::Plane::kRdma).bandwidth = 1e6;
    runtime.wire(coll::Plane::kUb).bandwidth = 1e7;
  }

  /// Until all is done, or to `until` (and then interrupted).
  void run(const std::vector<Ask>& asks, Seconds until = 1e300) {
    trace = make_trace(asks, trace_block_size);
    trace.progress = progress;
    trace.waits = waits;
    check_deployment(config.deployment, platform, config.role);
    check_cache_blocks(config.deployment.cache, trace);
    std::vector<Policies> of_supernodes;
    of_supernodes.push_back(std::move(policies));
    while (of_supernodes.size() < static_cast<std::size_t>(config.deployment.supernodes)) {
      of_supernodes.push_back(policies_with(choices));
    }
    Cluster cluster(runtime, platform, config, {&prefill, model == nullptr ? &decode : model},
                    std::move(of_supernodes), trace);
    cluster.add_listener(seen);
    for (Listener* listener : listeners) cluster.add_listener(*listener);
    cluster.start();
    runtime.run(until);
    cluster.finish(until < 1e300 ? RunEnd::kInterrupted : RunEnd::kDrained);
    totals = cluster.totals();
  }
  const RequestRecord& record(std::int64_t id) const { return seen.records.at(id); }

  coll::FakeRuntime runtime;
  hw::Platform platform = small_platform();
  ClusterConfig config;
  LinearPrefill prefill;
  ConstantDecode decode;
  const model::DecodeModel* model = nullptr;  // in its place
  Policies policies = policies_with({});
  PolicyChoices choices;  // of other supernodes than the first
  int trace_block_size = 100;
  std::vector<double> progress;  // of those under way at the start
  std::vector<work::Wait> waits;
  work::Trace trace;
  Recorder seen;
  std::vector<Listener*> listeners;  // beside it
  ClusterTotals totals;
};

}  // namespace cmsim::serve::testing
