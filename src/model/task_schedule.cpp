#include "task_schedule.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace cmsim::model {
namespace {

constexpr Seconds kNever = std::numeric_limits<Seconds>::infinity();
constexpr Seconds kSlack = 1e-12;

/// A task of the chain by what the schedule asks of it.
struct Need {
  int unit = 0;
  Seconds alone = 0;
  double demand = 0;  // bytes/s it asks for when alone
};

struct Chain {
  int task = 0, repetition = 0;
  int waits_for = 0;  // unit; -1 = running or done
  Seconds ready = 0;
};

struct Running {
  int microbatch = -1;  // -1 = idle
  Seconds left = 0;     // of its time alone
  double demand = 0;
  std::size_t placed = 0;
};

/// Speeds of the running tasks under max-min sharing of the bandwidth.
std::array<double, kDieUnits> share(const std::array<Running, kDieUnits>& running,
                                    BytesPerSecond bandwidth) {
  std::array<double, kDieUnits> speed{1, 1, 1};
  std::array<int, kDieUnits> asking;  // smallest demand first
  int unserved = 0;
  for (int unit = 0; unit < kDieUnits; ++unit) {
    const double demand = running[unit].demand;
    if (demand <= 0) continue;
    int at = unserved++;
    for (; at > 0 && running[asking[at - 1]].demand > demand; --at) asking[at] = asking[at - 1];
    asking[at] = unit;
  }
  double left = bandwidth;
  for (int i = 0; unserved > 0; ++i, --unserved) {
    const double demand = running[asking[i]].demand;
    const double granted = std::min(demand, left / unserved);
    speed[asking[i]] = granted / demand;
    left -= granted;
  }
  return speed;
}

/// The waiting microbatch that gets an idle unit; there is one.
int first_come(const std::vector<Chain>& chains, int unit) {
  int next = -1;
  for (int m = 0; m < static_cast<int>(chains.size()); ++m) {
    if (chains[m].waits_for != unit) continue;
    if (next < 0 || chains[m].ready < chains[next].ready) next = m;
  }
  return next;
}

std::vector<Need> needs_of(std::span<const Task> chain, BytesPerSecond hbm_bandwidth) {
  std::vector<Need> needs;
  needs.reserve(chain.size());
  for (const Task& task : chain) {
    check_cost(task.cost, hbm_bandwidth);
    const Seconds alone = task.cost.alone(hbm_bandwidth);
    needs.push_back(
        {static_cast<int>(task.unit), alone, alone > 0 ? task.cost.hbm_bytes / alone : 0});
  }
  return needs;
}

}  // namespace

Schedule schedule_chains(std::span<const Task> chain, int microbatches, int repetitions,
                         BytesPerSecond hbm_bandwidth, Keep keep) {
  Schedule schedule;
  schedule.repetition_end.assign(static_cast<std::size_t>(repetitions), 0);
  if (chain.empty() || repetitions == 0) return schedule;
  if (keep == Keep::kTasks) schedule.tasks.reserve(chain.size() * microbatches * repetitions);
  const std::vector<Need> needs = needs_of(chain, hbm_bandwidth);
  std::vector<Chain> chains(static_cast<std::size_t>(microbatches),
                            Chain{.waits_for = needs.front().unit});
  std::array<Running, kDieUnits> running;
  std::array<int, kDieUnits> waiting{};  // microbatches by unit
  waiting[needs.front().unit] = microbatches;
  Seconds now = 0;
  for (;;) {                                        // each pass ends a task, until none runs
    for (int unit = 0; unit < kDieUnits; ++unit) {  // start what can start
      if (waiting[unit] == 0 || running[unit].microbatch >= 0) continue;
      --waiting[unit];
      const int next = first_come(chains, unit);
      Chain& owner = chains[next];
      const Need& need = needs[owner.task];
      running[unit] = {next, need.alone, need.demand, schedule.tasks.size()};
      if (keep == Keep::kTasks) {
        schedule.tasks.push_back({owner.task, next, owner.repetition, now, now});
      }
      owner.waits_for = -1;
    }
    const auto speed = share(running, hbm_bandwidth);
    std::array<Seconds, kDieUnits> ends_in;
    for (int unit = 0; unit < kDieUnits; ++unit) {
      ends_in[unit] = running[unit].microbatch < 0 ? kNever : running[unit].left / speed[unit];
    }
    const Seconds step = *std::min_element(ends_in.begin(), ends_in.end());
    if (step == kNever) break;
    now += step;
    for (int unit = 0; unit < kDieUnits; ++unit) {
      Running& task = running[unit];
      if (task.microbatch < 0) continue;
      task.left -= step * speed[unit];
      if (ends_in[unit] > step && task.left > kSlack) continue;  // what ends does, despite rounding
      Chain& owner = chains[task.microbatch];
      if (keep == Keep::kTasks) schedule.tasks[task.placed].end = now;
      task = {};
      owner.ready = now;
      if (++owner.task == static_cast<int>(needs.size())) {
        owner.task = 0;
        schedule.repetition_end[owner.repetition] = now;  // `now` never falls
        if (++owner.repetition == repetitions) continue;
      }
      owner.waits_for = needs[owner.task].unit;
      ++waiting[owner.waits_for];
    }
  }
  schedule.makespan = now;
  return schedule;
}

}  // namespace cmsim::model
