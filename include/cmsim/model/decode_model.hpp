// The decode iteration as a max-plus recurrence over ranks, layers, microbatches and two streams.
//
// Stream 0 runs the attention of a microbatch (MLAProlog, FusedAttention, OProj), stream 1 its
// experts (Gate, Dispatch, MLP, Combine). A microbatch's layer l+1 starts when its combine of layer
// l ended; a stream runs one microbatch at a time; dispatch and combine end when the slowest rank
// has ended. With one microbatch both streams are one, with all cores. Pure: same arguments, same
// answer.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>

#include "cmsim/model/breakdown.hpp"
#include "cmsim/model/exchange.hpp"
#include "cmsim/model/expert_load.hpp"
#include "cmsim/model/memory.hpp"
#include "cmsim/model/operators.hpp"
#include "cmsim/model/step.hpp"

namespace cmsim::model {

/// How an iteration is run: microbatches and the cores of stream 0.
struct DecodePlan {
  int microbatches = 2;
  int attention_aic = 16, attention_aiv = 32;
};

/// What is taken away to see what it costs.
struct DecodeIdeal {
  bool balanced = false;       // every rank has the mean load
  bool free_exchange = false;  // dispatch and combine take no time
  bool free_launch = false;    // no operator overhead, no graph launch
};

class BusiestRankTables;

class DecodePipeline : public DecodeModel {
 public:
  DecodePipeline(const hw::Platform& platform, const Architecture& architecture,
                 const ModelOptions& options, int ranks, int max_sequences_per_rank);
  /// The same on a load of experts that others use too. `wire_scale`: how much slower an exchange
  /// is on the wire than uniformly spread peers make it.
  DecodePipeline(const hw::Platform& platform, const Architecture& architecture,
                 const ModelOptions& options, std::shared_ptr<const ExpertLoad> experts,
                 int max_sequences_per_rank, double wire_scale);

  /// What a die of such a pipeline holds, without building it. Throws like the constructor.
  static MemoryPlan plan_memory(const hw::Platform& platform, const Architecture& architecture,
                                const ModelOptions& options, int ranks, int max_sequences_per_rank);

  DecodeIteration iteration(const DecodeBatch& batch) const override;
  Tokens kv_capacity_per_die() const override { return memory_.kv_tokens(); }

  StepBreakdown breakdown(const DecodeBatch& batch) const;
  const MemoryPlan& memory() const { return memory_; }
  const ExpertLoad& experts() const { return *experts_; }
  /// The plan chosen for the batch (microbatches and split resolved).
  DecodePlan plan(const DecodeBatch& batch) const;
  Seconds duration(const DecodeBatch& batch, const DecodePlan& plan,
                   const DecodeIdeal& ideal = {}) const;

 private:
  friend class DecodeStep;
  /// A batch in coarse steps: sequences of the fullest rank and of the mean one, steps of their
  /// contexts.
  struct BatchShape {
    std::int32_t most_sequences = 0, mean_sequences = 0;
    int longest_context = 0, mean_context = 0;
    auto operator<=>(const BatchShape&) const = default;
  };
  DecodePlan best_plan(const BatchShape& shape) const;

  hw::Platform platform_;
  Architecture architecture_;
  DecodeOptions options_;
  OperatorList operators_;
  Device device_;
  std::shared_ptr<const ExpertLoad> experts_;
  ExpertLayout layout_;
  std::unique_ptr<TokenExchange> exchange_;
  MemoryPlan memory_;
  // Plans by shape of the batch, filled as they are met: a cache of a pure function.
  mutable std::map<BatchShape, DecodePlan> plans_;
  std::shared_ptr<BusiestRankTables> busiest_;  // another
};

}  // namespace cmsim::model
