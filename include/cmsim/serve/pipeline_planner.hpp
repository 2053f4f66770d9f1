// How the iterations of decode instances are run: in how many microbatches, with which division of
// the cores. Internal to serve/.
//
// A policy is asked before every step of an instance that could run it otherwise than deployed. A
// step with another plan than the one before waits for the change.
#pragma once

#include <cstdint>
#include <vector>

#include "cmsim/model/step.hpp"
#include "cmsim/serve/cluster_state.hpp"
#include "cmsim/serve/policy.hpp"

namespace cmsim::serve {

class PipelinePlanner {
 public:
  PipelinePlanner(ClusterState& state, const Supernode& supernode, const model::DecodeModel& model,
                  const Policies& policies);

  /// Before a step of this batch, whose plan it sets: how long the step waits for a change of it.
  Seconds begin_step(model::DecodeBatch& batch);
  /// Of the step that runs, or ran last: one of the model's plans.
  std::int32_t plan(std::int32_t instance) const { return instances_[at(instance)].plan; }

 private:
  struct Instance {
    std::int32_t plan = 0;
    std::int64_t steps = 0;  // with it
  };
  std::size_t at(std::int32_t instance) const {
    return static_cast<std::size_t>(instance - supernode_.first_decode);
  }
  std::size_t ask(const model::DecodeBatch& batch) const;

  ClusterState& state_;
  const Supernode& supernode_;
  const model::DecodeModel& model_;
  const Policies& policies_;
  std::vector<Instance> instances_;
};

}  // namespace cmsim::serve
