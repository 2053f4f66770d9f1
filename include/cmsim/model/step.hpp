// Time of an iteration, of decode with or without prompts beside it and of prefill: the interface
// that serve/ and run/ use.
//
// Pure functions of the loads given; no clock, no randomness after construction.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <span>

#include "cmsim/base/units.hpp"
#include "cmsim/coll/group_routes.hpp"
#include "cmsim/model/decode_plan.hpp"

namespace cmsim::model {

/// What an iteration moves, mean over the dies of its instance.
struct IterationBytes {
  Bytes hbm = 0;         // read and written
  Bytes ub = 0;          // sent out of the package by the two below
  Bytes exchange = 0;    // sent by dispatch and combine, what stays in the die included
  Bytes collective = 0;  // by all-gather and all-to-all, likewise
  bool operator==(const IterationBytes&) const = default;
};

/// What an iteration of an instance puts on the wires, and how often.
struct WireUse {
  int exchanges = 0;  // in an iteration: one in every layer
  // Of a byte of IterationBytes::exchange and collective of all dies; null where none is sent.
  std::shared_ptr<const coll::PortLoads> exchange, collective;
};

/// Changes that show what something costs.
struct StepVariant {
  bool balanced = false;       // every rank has the mean load
  bool free_exchange = false;  // exchanges and collectives take no time
  bool free_launch = false;    // no operator overhead, no graph launch, no wait for the host
  bool no_jitter = false;      // ranks reach a barrier as their load says
  double wire_stretch = 1;     // exchanges and collectives take so many times as long on the wire
};

/// One sequence (or chunk of one) whose prompt is computed.
struct PrefillSequence {
  Tokens new_tokens = 0;     // to be computed
  Tokens cached_tokens = 0;  // context before them whose KV is already there
};

/// Prompts, or parts of them, that are computed together: sums over them.
struct PromptLoad {
  double tokens = 0;   // to be computed
  double context = 0;  // that they see, themselves included
  double pairs = 0;    // of a token and one that it sees
  double sequences = 0;

  PromptLoad part(double of) const {
    return {tokens * of, context * of, pairs * of, sequences * of};
  }
  PromptLoad& operator+=(const PromptLoad& other) {
    tokens += other.tokens;
    context += other.context;
    pairs += other.pairs;
    sequences += other.sequences;
    return *this;
  }
  auto operator<=>(const PromptLoad&) const = default;
};
/// Of sequences that are packed, or padded to the longest of them.
PromptLoad prompt_load(std::span<const PrefillSequence> sequences, bool packed = true);

/// The load of every data-parallel rank (die) of a decode instance before the iteration.
/// The spans have one element a rank.
struct DecodeBatch {
  std::span<const std::int32_t> sequences;  // running sequences on the rank
  std::span<const std::int64_t> kv_tokens;  // sum of their context lengths, tokens
  std::int32_t instance = 0;                // whose ranks these are
  // Of prompts, what each rank computes beside its sequences (chunked prefill); empty: nothing.
  std::span<const PromptLoad> prompts = {};
  Seconds placement_age = 0;  // of its experts; see model/placement_ageing.hpp
  std::int32_t plan = 0;      // how it is run: of DecodeModel::plans()
};

struct DecodeIteration {
  Seconds duration = 0;  // until every rank has its sampled tokens
  IterationBytes bytes_per_die;
};

class PlacementAgeing;

class DecodeModel {
 public:
  virtual ~DecodeModel() = default;
  virtual DecodeIteration iteration(const DecodeBatch& batch) const = 0;
  /// Its duration when its exchanges take so many times as long on the wire.
  virtual Seconds stretched(const DecodeBatch& batch, double wire_stretch) const = 0;
  virtual WireUse wire_use(std::int32_t instance) const = 0;
  /// Tokens of KV cache one die can hold beside weights and buffers.
  virtual Tokens kv_capacity_per_die() const = 0;
  /// How an instance can run its iterations, first as it is deployed. Empty: it has no choice.
  virtual std::span<const DecodePlan> plans() const { return {}; }
  /// Null where placements of experts stay as good as they are.
  virtual const PlacementAgeing* ageing() const { return nullptr; }
};

struct PrefillBatch {
  std::span<const PrefillSequence> sequences;
  std::int32_t instance = 0;       // that computes it
  std::int64_t cached_blocks = 0;  // of the context cache that were read for it
};

struct PrefillIteration {
  Seconds duration = 0;
  IterationBytes bytes_per_die;
};

class PrefillModel {
 public:
  virtual ~PrefillModel() = default;
  virtual PrefillIteration batch(const PrefillBatch& batch) const = 0;
  /// Its duration when its exchanges and collectives take so many times as long on the wire.
  virtual Seconds stretched(const PrefillBatch& batch, double wire_stretch) const = 0;
  virtual WireUse wire_use(std::int32_t instance) const = 0;
  /// Tokens of KV cache one prefill instance can hold beside weights and buffers.
  virtual Tokens kv_capacity() const = 0;
};

}  // namespace cmsim::model
