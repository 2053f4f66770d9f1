#include "cmsim/serve/expert_balancer.hpp"

#include <string>

#include "cmsim/serve/policy_guard.hpp"

namespace cmsim::serve {
namespace {

/// Of the batch that is about to run.
class StepForecast : public RebalancingForecast {
 public:
  StepForecast(const model::DecodeModel& model, const model::DecodeBatch& batch)
      : model_(model), batch_(batch) {}
  Seconds step() const override { return model_.iteration(batch_).duration; }
  Seconds step_after() const override {
    model::DecodeBatch after = batch_;
    after.placement_age = 0;
    return model_.iteration(after).duration;
  }

 private:
  const model::DecodeModel& model_;
  const model::DecodeBatch& batch_;
};

}  // namespace

ExpertBalancer::ExpertBalancer(ClusterState& state, const Supernode& supernode,
                               const model::DecodeModel& model, const Policies& policies)
    : state_(state),
      supernode_(supernode),
      model_(model),
      policies_(policies),
      ageing_(model.ageing()),
      instances_(supernode.placement.decode.size()) {
  if (ageing_ == nullptr) return;
  for (Instance& instance : instances_) instance.placed = -ageing_->initial_age();
}

Seconds ExpertBalancer::begin_step(const model::DecodeBatch& batch) {
  if (ageing_ == nullptr) return 0;
  Instance& instance = of(batch.instance);
  instance.age = state_.now() - instance.placed - instance.replaced();
  if (instance.move == nullptr) {
    model::DecodeBatch now = batch;
    now.placement_age = instance.age;
    ask(now);
  }
  ++instance.steps;
  return instance.move == nullptr ? 0 : instance.move->steps[instance.moved];
}

void ExpertBalancer::ask(const model::DecodeBatch& batch) {
  Instance& instance = of(batch.instance);
  const model::ExpertMove& move = ageing_->move(batch.instance, instance.age);
  const StepForecast forecast(model_, batch);
  const ExpertPlacementView view{state_.now(),
                                 batch.instance,
                                 instance.age,
                                 instance.steps,
                                 ageing_->balancedness(instance.age),
                                 ageing_->balancedness(0),
                                 move.bytes,
                                 move.duration(),
                                 &forecast};
  const Rebalancing decision = call_policy<ExpertPlacement>(policies_, view);
  switch (decision) {
    case Rebalancing::kKeep:
      return;
    case Rebalancing::kMove:
      instance.move = &move;
      instance.moved = 0;
      instance.decided = state_.now();
      instance.steps = 0;
      if (move.steps.empty()) finish(batch.instance);
      return;
    case Rebalancing::kForFree:
      instance.placed = state_.now();
      instance.age = 0;
      instance.steps = 0;
      return;
  }
  refuse<ExpertPlacement>(policies_, view,
                          "decided " + std::to_string(static_cast<std::int32_t>(decision)));
}

void ExpertBalancer::load(std::int32_t number) { of(number) = {.placed = state_.now()}; }

void ExpertBalancer::end_step(std::int32_t number) {
  Instance& instance = of(number);
  if (instance.move == nullptr) return;
  if (++instance.moved == instance.move->steps.size()) finish(number);
}

void ExpertBalancer::finish(std::int32_t number) {
  Instance& instance = of(number);
  const RebalancingEvent event{instance.decided, state_.now(), number, instance.move->experts,
                               instance.move->bytes};
  instance.placed = instance.decided;
  if (instance.move->steps.empty()) instance.age = 0;
  instance.move = nullptr;
  state_.listeners.emit(&Listener::on_rebalancing, event);
}

double ExpertBalancer::balancedness(std::int32_t instance) const {
  return ageing_ == nullptr ? 1 : ageing_->balancedness(of(instance).age);
}

}  // namespace cmsim::serve
