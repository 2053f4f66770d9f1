// Whether the experts of a decode instance are placed anew.
#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

class NeverAnew : public Policy<ExpertPlacement> {
 public:
  Rebalancing decide(const View&) override { return Rebalancing::kKeep; }
};

Rebalancing move_if(bool pays) { return pays ? Rebalancing::kMove : Rebalancing::kKeep; }

class AnewPeriodically : public Policy<ExpertPlacement> {
 public:
  explicit AnewPeriodically(const PolicyContext& context)
      : interval_(static_cast<std::int64_t>(context.parameter("interval"))) {}
  Rebalancing decide(const View& view) override { return move_if(view.steps >= interval_); }

 private:
  std::int64_t interval_;
};

class AnewWhenImbalanced : public Policy<ExpertPlacement> {
 public:
  explicit AnewWhenImbalanced(const PolicyContext& context)
      : imbalance_(context.parameter("imbalance")),
        improvement_(context.parameter("improvement")),
        quiet_(context.parameter("quiet")) {}
  Rebalancing decide(const View& view) override {
    const double now = 1 / view.balancedness, after = 1 / view.balancedness_after;
    return move_if(view.age >= quiet_ && now > imbalance_ && now - after > improvement_);
  }

 private:
  double imbalance_, improvement_;
  Seconds quiet_;
};

class AnewWhenPaidBack : public Policy<ExpertPlacement> {
 public:
  explicit AnewWhenPaidBack(const PolicyContext& context)
      : interval_(static_cast<std::int64_t>(context.parameter("interval"))),
        within_(context.parameter("within")) {}
  Rebalancing decide(const View& view) override {
    if (view.steps % interval_ != 0 || view.balancedness_after <= view.balancedness) {
      return Rebalancing::kKeep;
    }
    const Seconds saved = view.forecast->step() - view.forecast->step_after();
    return move_if(saved * within_ > view.move_time);
  }

 private:
  std::int64_t interval_;
  double within_;
};

class AlwaysFresh : public Policy<ExpertPlacement> {
 public:
  Rebalancing decide(const View&) override { return Rebalancing::kForFree; }
};

}  // namespace

void add_expert_placement(PolicyRegistry& registry) {
  registry.add<NeverAnew>({"static", "never: experts stay where they were placed"});
  registry.add<AnewPeriodically>(
      {"periodic",
       "after so many steps with a placement",
       {steps_parameter("interval", 3000, "of the instance, from one decision to the next")},
       "EPLB; vLLM's expert_rearrangement_step_interval"});
  registry.add<AnewWhenImbalanced>({"threshold",
                                    "when ranks are too uneven and a move makes them more even",
                                    {{.name = "imbalance",
                                      .otherwise = 1.1,
                                      .minimum = 1,
                                      .maximum = 1000,
                                      .unit = "max over mean",
                                      .help = "load of the ranks up to which nothing moves"},
                                     {.name = "improvement",
                                      .otherwise = 0.05,
                                      .maximum = 1000,
                                      .unit = "max over mean",
                                      .help = "less than that is not worth a move"},
                                     {.name = "quiet",
                                      .kind = ParameterKind::kTime,
                                      .otherwise = 5,
                                      .help = "the least age of a placement that is moved"}},
                                    "OmniPlacement, omni-infer"});
  registry.add<AnewWhenPaidBack>({"payback",
                                  "when the steps that a move makes shorter pay for it",
                                  {steps_parameter("interval", 100, "from one look to the next"),
                                   steps_parameter("within", 3000, "that pay")}});
  registry.add<AlwaysFresh>(
      {"oracle", "before every step, at once and for free: a bound that no balancer reaches"});
}

}  // namespace cmsim::serve
