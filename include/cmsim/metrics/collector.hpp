// The listener that turns a run's events into a Result.
//
// Keeps one record a request (160 B), one sample a decode step (40 B) and running sums; O(1) per
// event. It draws no conclusion before result(). Times are simulated seconds.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "cmsim/metrics/result.hpp"
#include "cmsim/serve/deployment.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

/// What the events do not say about the system they happen in.
struct SystemFacts {
  serve::Role role = serve::Role::kAll;
  serve::DeploymentSpec deployment;
  int dies_per_npu = 2;
  BytesPerSecond hbm_bandwidth = 0;  // of a die
  Tokens decode_kv_per_die = 0;
  std::int64_t cache_capacity_blocks = 0;
  std::size_t requests = 0;  // of the trace
  SloSpec slo;
};

class Collector : public serve::Listener {
 public:
  explicit Collector(const SystemFacts& facts);

  void on_request_sent(const serve::RequestRecord& record) override;
  void on_request_end(const serve::RequestRecord& record) override;
  void on_prefill_batch(const serve::PrefillBatchEvent& event) override;
  void on_decode_step(const serve::DecodeStepEvent& event) override;
  void on_transfer(const serve::TransferEvent& event) override;
  void on_queue(const serve::QueueEvent& event) override;
  void on_cache(const serve::CacheEvent& event) override;

  /// To be called once, after every request has ended. `run_end` is the clock at the end of the
  /// run. Provenance, links and decode_layer_us are left to the caller.
  Result result(Seconds run_end);

 private:
  struct RoleSums {
    std::vector<double> durations;
    double busy = 0, sequences = 0, tokens = 0, weighted_occupancy = 0;
    double hbm_bytes = 0, ub_bytes = 0;  // all dies of an instance
  };
  struct TransferSums {
    std::int64_t count = 0;
    double bytes = 0, seconds = 0, longest = 0;
  };

  RoleResult role_result(const RoleSums& sums, int instances, int npus_per_instance,
                         Seconds elapsed) const;
  void add_prefill(Result& result, Seconds elapsed) const;
  void add_decode(Result& result, Seconds elapsed) const;
  void add_kv_and_queues(Result& result, Seconds run_end);
  void add_transfers(Result& result) const;

  SystemFacts facts_;
  std::vector<serve::RequestRecord> records_;
  std::vector<StepSample> steps_;
  RoleSums prefill_, decode_;
  std::array<TransferSums, 3> transfers_;
  std::array<Gauge, 4> queues_;
  WideGauge kv_reserved_;
  CacheResult cache_;
  bool begun_ = false;
};

}  // namespace cmsim::metrics
