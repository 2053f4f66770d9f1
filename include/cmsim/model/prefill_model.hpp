// The prefill batch of one instance: SP-TP-SP attention, expert-parallel MoE, microbatches that
// overlap AIC compute, AIV dispatch/combine work and SDMA all-to-alls (P §4.3).
//
// Tokens of the batch are packed evenly over the ranks (dies). The attention part with its
// all-gather and all-to-all runs in order on the compute stream; what overlaps is the token
// exchange of the other microbatch. All ranks wait for the most loaded one in the exchange and the
// experts. Pure.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>

#include "cmsim/model/breakdown.hpp"
#include "cmsim/model/exchange.hpp"
#include "cmsim/model/expert_load.hpp"
#include "cmsim/model/memory.hpp"
#include "cmsim/model/operators.hpp"
#include "cmsim/model/relay.hpp"
#include "cmsim/model/step.hpp"

namespace cmsim::model {

class PrefillPipeline : public PrefillModel {
 public:
  /// `max_tokens_per_rank` sizes the buffers: the token budget of a batch over its dies. Every
  /// instance has the load of `experts` at its own place.
  PrefillPipeline(const hw::Platform& platform, const Architecture& architecture,
                  const ModelOptions& options, std::shared_ptr<const ExpertLoad> experts,
                  double max_tokens_per_rank, const InstancePlaces& places);

  /// What a die of such a pipeline holds, without building it.
  static MemoryPlan plan_memory(const hw::Platform& platform, const Architecture& architecture,
                                const ModelOptions& options, int ranks, double max_tokens_per_rank);

  PrefillIteration batch(const PrefillBatch& batch) const override;
  Seconds stretched(const PrefillBatch& batch, double wire_stretch) const override;
  WireUse wire_use(std::int32_t instance) const override {
    return wires_[static_cast<std::size_t>(instance)];
  }
  Tokens kv_capacity() const override { return memory_.kv_tokens() * layout_.ranks; }

  StepBreakdown breakdown(const PrefillBatch& batch) const;
  const MemoryPlan& memory() const { return memory_; }
  const ExpertLoad& experts() const { return *experts_; }

 private:
  friend class PrefillStep;
  /// Instances whose places are alike share one.
  struct Place {
    ExchangeCosts exchange;
    std::optional<Relay> relay;     // in two levels
    coll::ExchangeCost collective;  // within tensor-parallel groups
    // Of a rank's bytes, what leaves its package.
    double exchange_leaves = 0, collective_leaves = 0;
    double exchange_moves = 1;  // bytes on all levels for each byte of a row
    // Choices by shape of the batch, filled as they are met: a cache of a pure function.
    std::map<std::array<int, 4>, int> splits;
    // Batches of the same totals take the same time; bounded, and dropped when full.
    std::map<PromptLoad, PrefillIteration> batches;
  };
  /// That the NPUs wait for the CPUs.
  Seconds host_time(std::int64_t cached_blocks) const;
  Place& place_of(std::int32_t instance) const {
    return *places_[static_cast<std::size_t>(instance)];
  }
  coll::ExchangeNetwork::Subgroups tensor_parallel_groups(
      const std::vector<std::int32_t>& dies) const;
  Place make_place(const InstancePlaces& places, const std::vector<std::int32_t>& dies,
                   const RowShares& received) const;
  /// Microbatches of a batch: as the options say, or the faster of one and two.
  int microbatches(const PromptLoad& totals, std::int32_t instance) const;

  hw::Platform platform_;
  PrefillOptions options_;
  int mtp_layers_;  // run when decode drafts
  int tp_;          // dies that share the heads of a sequence
  OperatorList operators_;
  Device device_;
  std::vector<std::string> servers_;     // units of the die, each name once
  std::array<int, 3> server_of_unit_{};  // of matrix, vector and DMA work
  std::shared_ptr<const ExpertLoad> experts_;
  ExpertLayout layout_;
  MemoryPlan memory_;
  std::vector<std::shared_ptr<Place>> places_;  // by instance
  std::vector<WireUse> wires_;                  // by instance
  static constexpr std::size_t kMostRemembered = 16384;
};

}  // namespace cmsim::model
