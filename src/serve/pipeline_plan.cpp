// How a decode instance runs its iterations: microbatches, and the division of its cores.
#include <algorithm>
#include <numeric>

#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

class AsDeployed : public Policy<PipelinePlan> {
 public:
  std::size_t decide(const View&) override { return 0; }
};

class ByBatch : public Policy<PipelinePlan> {
 public:
  explicit ByBatch(const PolicyContext& context)
      : least_(context.parameter("least")), hysteresis_(context.parameter("hysteresis")) {}

  std::size_t decide(const View& view) override {
    const auto whole = static_cast<std::size_t>(
        std::ranges::find(view.plans, 1, &model::DecodePlan::microbatches) - view.plans.begin());
    if (whole == view.plans.size()) return 0;
    const double mean = static_cast<double>(std::accumulate(
                            view.sequences.begin(), view.sequences.end(), std::int64_t{0})) /
                        static_cast<double>(view.sequences.size());
    const double limit = view.current == whole ? least_ * (1 + hysteresis_) : least_;
    return mean < limit ? whole : 0;
  }

 private:
  double least_, hysteresis_;
};

class Fastest : public Policy<PipelinePlan> {
 public:
  explicit Fastest(const PolicyContext& context)
      : interval_(static_cast<std::int64_t>(context.parameter("interval"))),
        gain_(context.parameter("gain")) {}

  std::size_t decide(const View& view) override {
    if (view.steps % interval_ != 0) return view.current;
    const Seconds now = view.forecast->step(view.current);
    std::size_t best = view.current;
    Seconds least = now * (1 - gain_);
    for (std::size_t plan = 0; plan < view.plans.size(); ++plan) {
      const Seconds step = view.forecast->step(plan);
      if (step >= least) continue;
      least = step;
      best = plan;
    }
    const bool pays = (now - least) * static_cast<double>(interval_) > view.change;
    return pays ? best : view.current;
  }

 private:
  std::int64_t interval_;
  double gain_;
};

}  // namespace

void add_pipeline_plan(PolicyRegistry& registry) {
  registry.add<AsDeployed>({"deployed", "as /decode says, for the batch that is planned for"});
  registry.add<ByBatch>({"by_batch",
                         "one microbatch while ranks have few sequences, else as deployed",
                         {{.name = "least",
                           .otherwise = model::kSequencesForTwo,
                           .maximum = 1e6,
                           .unit = "sequences of a rank",
                           .help = "mean from which it runs as deployed"},
                          {.name = "hysteresis",
                           .otherwise = 0.1,
                           .maximum = 10,
                           .help = "above that by which it must grow to run as deployed again"}}});
  registry.add<Fastest>(
      {"fastest",
       "the plan whose predicted step is the shortest, where that pays for the change",
       {steps_parameter("interval", 100, "from one look to the next"),
        {.name = "gain",
         .otherwise = 0.02,
         .maximum = 1,
         .help = "share by which a step must be shorter"}}});
}

}  // namespace cmsim::serve
