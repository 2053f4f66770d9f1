// Microbatches running the same chain of tasks on a die's units (AIC, AIV, SDMA) that share its
// HBM.
//
// Each microbatch runs its chain in order, each unit one task at a time, first come first served
// (ties: lower microbatch). Running tasks that together ask for more HBM than there is share it
// max-min.
#pragma once

#include <span>
#include <vector>

#include "cmsim/model/cost.hpp"

namespace cmsim::model {

enum class DieUnit { kAic, kAiv, kSdma };
inline constexpr int kDieUnits = 3;

struct Task {
  const char* name;
  DieUnit unit;
  OperatorCost cost;
};

struct PlacedTask {
  int task = 0;  // index into the chain
  int microbatch = 0;
  int repetition = 0;  // which pass over the chain (layer)
  Seconds start = 0, end = 0;
};

struct Schedule {
  Seconds makespan = 0;
  std::vector<Seconds> repetition_end;  // when the last microbatch has ended each pass
  std::vector<PlacedTask> tasks;        // in order of start; empty with Keep::kEnds
};

/// What of a schedule is written down: recording every task costs as much as finding the ends.
enum class Keep { kEnds, kTasks };

/// Throws std::invalid_argument on a cost or bandwidth that is not a finite number from 0.
Schedule schedule_chains(std::span<const Task> chain, int microbatches, int repetitions,
                         BytesPerSecond hbm_bandwidth, Keep keep = Keep::kTasks);

}  // namespace cmsim::model
