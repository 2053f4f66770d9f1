// How a deployment runs its decode iterations: in how many microbatches, and how a die's cores are
// divided between the two streams.
//
// Decided once, for the context and the batch that the deployment is meant for, and kept whatever
// batch comes, unless a policy changes it (serve/policy_slots.hpp, PipelinePlan). P divides 16 : 8
// at 4,096 tokens of context and says that the division follows the length of the KV, without a
// rule. Ours:
//   * two microbatches where a rank is meant for 8 sequences or more (P ran one at 4 a rank, and by
//     the shape of its results two at 12: the limit is an assumption);
//   * cores in pairs of cube cores with their vector cores, divided so that kTunedSequences a rank
//     are the fastest with balanced experts, as recipes tune it, and one pair more for the experts'
//     stream where their load is not balanced (an assumption, in view of P's results at three
//     lengths). A division that followed the batch of each deployment would jump between two that
//     differ by a sequence.
#pragma once

namespace cmsim::model {

struct DecodePlan {
  int microbatches = 2;
  int attention_aic = 16, attention_aiv = 32;  // of stream 0; all cores with one microbatch
  bool operator==(const DecodePlan&) const = default;
};

/// Least sequences of a rank that two microbatches are planned for.
inline constexpr double kSequencesForTwo = 8;
/// Sequences of a rank that cores are divided for, whatever a deployment has: P's largest batch.
inline constexpr double kTunedSequences = 64;
/// Context that is planned for where nothing is said, tokens: P's evaluation.
inline constexpr double kPlannedContext = 4096;

}  // namespace cmsim::model
