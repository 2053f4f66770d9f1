// Microbatches that run chains of operators on servers which share a die's HBM.
//
// A server is whatever runs one operator at a time: a unit of the die, or a stream that has a part
// of its cores. Each microbatch runs its chain in order, each server takes who came first (ties:
// lower microbatch). Running operators that together ask for more HBM than there is share it
// max-min. Prefill batches are placed by it; the decode recurrence asks it what two streams cost
// each other, and is the same for whole layers (tests/model/decode_recurrence_test.cpp).
#pragma once

#include <span>
#include <vector>

#include "cmsim/model/operators.hpp"

namespace cmsim::model {

inline constexpr int kMostServers = 4;

using Chain = std::span<const Operator>;

struct PlacedOperator {
  int index = 0;  // into the chain of its microbatch
  int microbatch = 0;
  int repetition = 0;  // which pass over the chain (layer)
  Seconds start = 0, end = 0;
};

struct Schedule {
  Seconds makespan = 0;
  std::vector<Seconds> repetition_end;  // when the last microbatch has ended each pass
  std::vector<PlacedOperator> placed;   // in order of start; empty with Keep::kEnds
};

/// What of a schedule is written down: recording every operator costs as much as finding the ends.
enum class Keep { kEnds, kOperators };

/// One chain a microbatch. Throws std::invalid_argument on a cost or bandwidth that is not a finite
/// number from 0, and on a server that is not one.
Schedule schedule_chains(std::span<const Chain> chains, int repetitions,
                         BytesPerSecond hbm_bandwidth, Keep keep = Keep::kOperators);
/// The same chain for all.
inline Schedule schedule_chain(Chain chain, int microbatches, int repetitions,
                               BytesPerSecond hbm_bandwidth, Keep keep = Keep::kOperators) {
  const std::vector<Chain> chains(static_cast<std::size_t>(microbatches), chain);
  return schedule_chains(chains, repetitions, hbm_bandwidth, keep);
}

}  // namespace cmsim::model
