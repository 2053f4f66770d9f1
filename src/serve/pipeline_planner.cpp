#include "cmsim/serve/pipeline_planner.hpp"

#include <string>

#include "cmsim/serve/policy_guard.hpp"

namespace cmsim::serve {
namespace {

/// Of the batch that is about to run.
class BatchForecast : public PlanForecast {
 public:
  BatchForecast(const model::DecodeModel& model, const model::DecodeBatch& batch)
      : model_(model), batch_(batch) {}
  Seconds step(std::size_t plan) const override {
    model::DecodeBatch planned = batch_;
    planned.plan = static_cast<std::int32_t>(plan);
    return model_.iteration(planned).duration;
  }

 private:
  const model::DecodeModel& model_;
  const model::DecodeBatch& batch_;
};

}  // namespace

PipelinePlanner::PipelinePlanner(ClusterState& state, const Supernode& supernode,
                                 const model::DecodeModel& model, const Policies& policies)
    : state_(state),
      supernode_(supernode),
      model_(model),
      policies_(policies),
      instances_(supernode.placement.decode.size()) {}

Seconds PipelinePlanner::begin_step(model::DecodeBatch& batch) {
  if (model_.plans().size() < 2) return 0;
  Instance& instance = instances_[at(batch.instance)];
  batch.plan = instance.plan;
  const auto chosen = static_cast<std::int32_t>(ask(batch));
  ++instance.steps;
  if (chosen == instance.plan) return 0;
  const PlanChangeEvent event{state_.now(), batch.instance, instance.plan, chosen};
  instance = {chosen, 1};
  batch.plan = chosen;
  state_.listeners.emit(&Listener::on_plan_change, event);
  return state_.config.plan_change;
}

std::size_t PipelinePlanner::ask(const model::DecodeBatch& batch) const {
  const Instance& instance = instances_[at(batch.instance)];
  const BatchForecast forecast(model_, batch);
  const PipelinePlanView view{state_.now(),    batch.instance,
                              batch.sequences, batch.kv_tokens,
                              model_.plans(),  static_cast<std::size_t>(instance.plan),
                              instance.steps,  state_.config.plan_change,
                              &forecast};
  const std::size_t chosen = call_policy<PipelinePlan>(policies_, view);
  if (chosen >= view.plans.size()) {
    refuse<PipelinePlan>(
        policies_, view,
        "chose plan " + std::to_string(chosen) + " of " + std::to_string(view.plans.size()));
  }
  return chosen;
}

}  // namespace cmsim::serve
