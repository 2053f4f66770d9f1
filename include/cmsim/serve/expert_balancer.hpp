// Who places the experts of decode instances anew while their popularity drifts. Internal to
// serve/.
//
// A policy is asked before every step of an instance whose experts do not move. A move is paid by
// the steps that follow: each waits for some layers (model::ExpertMove), which are then as old as
// the decision; a placement is as old as its layers on average. Does nothing where placements do
// not age. Instances are numbered over all supernodes. Invariant: of an instance at most one move
// is under way.
#pragma once

#include <cstdint>
#include <vector>

#include "cmsim/model/placement_ageing.hpp"
#include "cmsim/serve/cluster_state.hpp"
#include "cmsim/serve/policy.hpp"

namespace cmsim::serve {

class ExpertBalancer {
 public:
  ExpertBalancer(ClusterState& state, const Supernode& supernode, const model::DecodeModel& model,
                 const Policies& policies);

  /// Before a step of this batch: how long it waits for experts that move.
  Seconds begin_step(const model::DecodeBatch& batch);
  /// After it.
  void end_step(std::int32_t number);
  /// The weights of the instance have just been loaded, placed as the load is now.
  void load(std::int32_t number);
  /// Of the placement in the step that runs, or ran last.
  Seconds age(std::int32_t instance) const { return of(instance).age; }
  /// Of that step.
  double balancedness(std::int32_t instance) const;

 private:
  struct Instance {
    Seconds placed = 0;      // when the load was observed that the placement is for
    Seconds age = 0;         // in the step that runs
    std::int64_t steps = 0;  // with the placement, and while it was moved in
    const model::ExpertMove* move = nullptr;  // under way
    std::size_t moved = 0;                    // of its steps
    Seconds decided = 0;
    /// What the layers that have moved take off the age.
    Seconds replaced() const {
      if (move == nullptr) return 0;
      return (decided - placed) * static_cast<double>(moved) /
             static_cast<double>(move->steps.size());
    }
  };
  std::size_t at(std::int32_t instance) const {
    return static_cast<std::size_t>(instance - supernode_.first_decode);
  }
  const Instance& of(std::int32_t instance) const { return instances_[at(instance)]; }
  Instance& of(std::int32_t instance) { return instances_[at(instance)]; }
  void ask(const model::DecodeBatch& batch);
  void finish(std::int32_t number);

  ClusterState& state_;
  const Supernode& supernode_;
  const model::DecodeModel& model_;
  const Policies& policies_;
  const model::PlacementAgeing* ageing_;  // null: nothing to do
  std::vector<Instance> instances_;
};

}  // namespace cmsim::serve
