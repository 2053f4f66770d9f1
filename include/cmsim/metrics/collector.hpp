// The listener that turns a run's events into a Result.
//
// Keeps one record a request, one sample an iteration and a timeline; O(1) per event. It draws no
// conclusion before result(). Times are simulated seconds.
#pragma once

#include <vector>

#include "cmsim/metrics/figures.hpp"
#include "cmsim/metrics/result.hpp"
#include "cmsim/metrics/timeline.hpp"
#include "cmsim/metrics/window.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

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
  void on_role(const serve::RoleEvent& event) override { roles_.push_back(event); }
  void on_rebalancing(const serve::RebalancingEvent& event) override;
  void on_plan_change(const serve::PlanChangeEvent& event) override;

  /// To be called once, after every request has ended. `run_end` is the clock at the end of the
  /// run. Provenance, links, breakdowns and the verdict on the load are left to the caller.
  Result result(Seconds run_end, const WindowSpec& window);

 private:
  SystemFacts facts_;
  Records records_;
  Iterations batches_, steps_;
  std::vector<StepPrompts> prompts_;  // of the steps of mixed instances
  std::vector<serve::RoleEvent> roles_;
  std::vector<StepExperts> step_experts_;
  std::vector<serve::RebalancingEvent> rebalancings_;
  std::vector<Seconds> plan_changes_;
  Timeline timeline_;
  CacheResult cache_;
  bool begun_ = false;
};

}  // namespace cmsim::metrics
