// The decode iteration as a max-plus recurrence over ranks, layers, microbatches and two streams.
//
// Stream 0 runs the attention of a microbatch (MLAProlog, FusedAttention, OProj), stream 1 its
// experts (Gate, Dispatch, MLP, Combine). A microbatch's layer l+1 starts when its combine of layer
// l ended; a stream runs one microbatch at a time; dispatch and combine end when the slowest rank
// has ended. With one microbatch both streams are one, with all cores. Pure: same arguments, same
// answer.
#pragma once

#include <cstdint>
#include <memory>

#include "cmsim/model/breakdown.hpp"
#include "cmsim/model/decode_plan.hpp"
#include "cmsim/model/exchange.hpp"
#include "cmsim/model/expert_load.hpp"
#include "cmsim/model/memory.hpp"
#include "cmsim/model/operators.hpp"
#include "cmsim/model/step.hpp"

namespace cmsim::model {

class BusiestRankTables;
class TokenTimesTable;

class DecodePipeline : public DecodeModel {
 public:
  /// Every instance has the load of `experts` at its own place.
  DecodePipeline(const hw::Platform& platform, const Architecture& architecture,
                 const ModelOptions& options, std::shared_ptr<const ExpertLoad> experts,
                 int max_sequences_per_rank, const InstancePlaces& places);
  /// The same deployment, planned as it is, with another placement of the experts: exchanges keep
  /// their shape.
  DecodePipeline with_experts(std::shared_ptr<const ExpertLoad> experts) const;

  /// What a die of such a pipeline holds, without building it. Throws like the constructor.
  static MemoryPlan plan_memory(const hw::Platform& platform, const Architecture& architecture,
                                const ModelOptions& options, int ranks, int max_sequences_per_rank);
  /// What one of the `ranks` dies with the experts of a disaggregated instance holds.
  static MemoryPlan plan_expert_memory(const hw::Platform& platform,
                                       const Architecture& architecture,
                                       const ModelOptions& options, int ranks,
                                       int max_sequences_per_rank);

  DecodeIteration iteration(const DecodeBatch& batch) const override;
  Seconds stretched(const DecodeBatch& batch, double wire_stretch) const override;
  WireUse wire_use(std::int32_t instance) const override {
    return wires_[static_cast<std::size_t>(instance)];
  }
  Tokens kv_capacity_per_die() const override { return memory_.kv_tokens(); }
  std::span<const DecodePlan> plans() const override { return plans_; }

  StepBreakdown breakdown(const DecodeBatch& batch) const;
  const MemoryPlan& memory() const { return memory_; }
  const ExpertLoad& experts() const { return *experts_; }
  /// Data-parallel ranks of an instance.
  int ranks() const { return attending_dies() / options_.attention_group.dies; }
  /// How the batch is run: as it says, or whole where no rank has a sequence for every microbatch.
  DecodePlan plan(const DecodeBatch& batch) const;
  Seconds duration(const DecodeBatch& batch, const DecodePlan& plan,
                   const StepVariant& variant = {}) const;

 private:
  friend class DecodeStep;
  /// Instances whose places are alike share one.
  struct Place {
    std::shared_ptr<const TokenExchange> exchange;
    coll::ExchangeCost collective;  // within the dies of a rank
    double collective_leaves = 0;   // of their bytes, what leaves its package
    // Filled as they are met: a cache of a pure function.
    std::shared_ptr<BusiestRankTables> busiest;
    std::shared_ptr<TokenTimesTable> token_times;
  };
  Place& place_of(const DecodeBatch& batch) const {
    return *places_[static_cast<std::size_t>(batch.instance)];
  }
  int attending_dies() const {
    return options_.is_disaggregated() ? options_.attention_dies : layout_.ranks;
  }
  /// The dies of each rank.
  coll::ExchangeNetwork::Subgroups rank_dies(const std::vector<std::int32_t>& dies) const;
  struct MeanLoad {  // of a rank
    double sequences = 0, kv_tokens = 0, tokens_per_sequence = 1;
    int microbatches = 1;
    PromptLoad prompts;
    double sequence_tokens = 1;  // routed alike
    double tokens() const { return sequences * tokens_per_sequence + prompts.tokens; }
    double sampled() const { return sequences * tokens_per_sequence + prompts.sequences; }
  };
  struct Totals {  // of all ranks
    std::int64_t sequences = 0, kv_tokens = 0;
    std::int32_t most_sequences = 0;  // of one
  };
  static Totals totals_of(const DecodeBatch& batch);
  DecodePlan plan(const DecodeBatch& batch, const Totals& totals) const;
  MeanLoad mean_load(const DecodeBatch& batch, const Totals& totals, int microbatches) const;
  double collective_bytes(const MeanLoad& load) const;  // of a layer, on a die
  double attention_bytes(const MeanLoad& load, bool mtp) const;
  double expert_bytes(const MeanLoad& load) const;
  struct FullBatch {  // of every rank alike
    std::vector<std::int32_t> sequences;
    std::vector<std::int64_t> kv_tokens;
    std::vector<PromptLoad> prompts;
    DecodeBatch batch() const { return {sequences, kv_tokens, 0, prompts}; }
  };
  FullBatch full_batch(double sequences_per_rank) const;
  DecodePlan planned_apart(double sequences_per_rank) const;
  DecodePlan whole() const { return {1, platform_.die.aic_cores, platform_.die.aiv_cores}; }
  /// For full ranks of so many sequences.
  DecodePlan planned(double sequences_per_rank) const;
  /// What the die, or the two groups of dies, could run.
  std::vector<DecodePlan> possible() const;
  DecodePlan tuned(int microbatches) const;
  DecodePlan fastest(const DecodeBatch& full, const std::vector<DecodePlan>& splits,
                     const StepVariant& variant) const;

  hw::Platform platform_;
  Architecture architecture_;
  DecodeOptions options_;
  OperatorList operators_;
  Device device_;
  std::shared_ptr<const ExpertLoad> experts_;
  ExpertLayout layout_;
  double dies_ = 0;                             // of an instance
  std::vector<std::shared_ptr<Place>> places_;  // by instance
  std::vector<WireUse> wires_;                  // by instance
  MemoryPlan memory_;
  std::vector<DecodePlan> plans_;  // first the deployment's
};

}  // namespace cmsim::model
