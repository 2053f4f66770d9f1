// How a deployment runs its decode iterations: in how many microbatches, and how a die's cores are
// divided between the two streams.
//
// Decided once, for the batch and the context that the deployment is meant for, and kept whatever
// batch comes: dividing a die anew takes a restart of its streams. P divides 16 : 8 at 4,096 tokens
// of context and says that the division follows the length of the KV, without a rule. Ours, from
// what an operator can count:
//   * two microbatches where a rank is meant for 8 sequences or more (P ran one at 4 a rank, and by
//     the shape of its results two at 12: the limit is an assumption);
//   * cube cores in proportion to the matrix work of the two streams, the busiest expert rank's on
//     the one side, in pairs: attention gets the pair of which it needs more than a quarter (an
//     assumption, in view of P's results at three lengths). Vector cores in the same proportion.
#pragma once

namespace cmsim::model {

struct DecodePlan {
  int microbatches = 2;
  int attention_aic = 16, attention_aiv = 32;  // of stream 0; all cores with one microbatch
};

/// Least sequences of a rank that two microbatches are planned for.
inline constexpr double kSequencesForTwo = 8;
/// Context that is planned for where nothing is said, tokens: P's evaluation.
inline constexpr double kPlannedContext = 4096;
/// Of a pair of cores, from which on attention gets it.
inline constexpr double kPartOfPair = 0.25;

/// Cube cores of `cores` for attention when it has the part `share` in (0, 1) of the work; at least
/// one is left for either stream.
int cores_for(double share, int cores);

}  // namespace cmsim::model
