// The decode iteration while the popularity of the experts drifts: one pipeline for each level of
// the staleness of a placement (expert_drift.hpp), made when it is first met.
//
// The pipelines differ in the load of their experts alone: plan, memory and the shape of exchanges
// are those of the placement just made. A batch says how old its instance's placement is. Pure but
// for keeping what was made.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "cmsim/model/decode_model.hpp"
#include "cmsim/model/expert_drift.hpp"
#include "cmsim/model/placement_ageing.hpp"

namespace cmsim::model {

class DriftingDecode : public DecodeModel, private PlacementAgeing {
 public:
  /// `fresh` is of a placement just made, of the same arguments, and outlives this.
  DriftingDecode(const hw::Platform& platform, const Architecture& architecture,
                 const ModelOptions& options, const DecodePipeline& fresh,
                 const InstancePlaces& places);

  DecodeIteration iteration(const DecodeBatch& batch) const override;
  Seconds stretched(const DecodeBatch& batch, double wire_stretch) const override;
  WireUse wire_use(std::int32_t instance) const override { return fresh_.wire_use(instance); }
  Tokens kv_capacity_per_die() const override { return fresh_.kv_capacity_per_die(); }
  std::span<const DecodePlan> plans() const override { return fresh_.plans(); }
  const PlacementAgeing* ageing() const override { return this; }

  /// While the placement is so old.
  const DecodePipeline& aged(Seconds age) const;

 private:
  Seconds initial_age() const override { return options_.experts.drift.age; }
  double balancedness(Seconds age) const override;
  const ExpertMove& move(std::int32_t instance, Seconds age) const override;

  const DecodePipeline& of_level(int level) const;
  ExpertMove move_of(int level, const coll::ExchangeCost& wires) const;

  Architecture architecture_;
  ModelOptions options_;
  const DecodePipeline& fresh_;
  Drift drift_;
  double bytes_of_expert_;
  Seconds startup_;                        // of the copies of a layer
  std::vector<coll::ExchangeCost> wires_;  // between the dies with experts, by instance
  mutable std::array<std::unique_ptr<DecodePipeline>, Drift::kLevels> stale_;  // from level 1
  mutable std::vector<std::array<std::unique_ptr<ExpertMove>, Drift::kLevels>> moves_;
};

}  // namespace cmsim::model
