#include "task_schedule.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace cmsim::model {
namespace {

constexpr Seconds kNever = std::numeric_limits<Seconds>::infinity();
constexpr Seconds kSlack = 1e-12;

struct Chain {
  int task = 0, repetition = 0;
  Seconds ready = 0;
  bool waiting = true;
};

struct Running {
  int microbatch = -1;  // -1 = idle
  Seconds left = 0;     // of its time alone
  double demand = 0;    // bytes/s it asks for when alone
  std::size_t placed = 0;
};

/// Speeds of the running tasks under max-min sharing of the bandwidth.
std::array<double, kDieUnits> share(const std::array<Running, kDieUnits>& running,
                                    BytesPerSecond bandwidth) {
  std::array<double, kDieUnits> speed;
  speed.fill(1);
  std::array<int, kDieUnits> order{0, 1, 2};
  std::sort(order.begin(), order.end(),
            [&](int a, int b) { return running[a].demand < running[b].demand; });
  double left = bandwidth;
  int unserved = static_cast<int>(
      std::count_if(running.begin(), running.end(), [](const Running& r) { return r.demand > 0; }));
  for (const int unit : order) {
    const double demand = running[unit].demand;
    if (demand <= 0) continue;
    const double granted = std::min(demand, left / unserved);
    speed[unit] = granted / demand;
    left -= granted;
    --unserved;
  }
  return speed;
}

}  // namespace

Schedule schedule_chains(std::span<const Task> chain, int microbatches, int repetitions,
                         BytesPerSecond hbm_bandwidth) {
  Schedule schedule;
  schedule.repetition_end.assign(static_cast<std::size_t>(repetitions), 0);
  schedule.tasks.reserve(chain.size() * microbatches * repetitions);
  std::vector<Chain> chains(static_cast<std::size_t>(microbatches));
  std::array<Running, kDieUnits> running;
  Seconds now = 0;
  for (;;) {
    for (int unit = 0; unit < kDieUnits; ++unit) {  // start what can start
      if (running[unit].microbatch >= 0) continue;
      int next = -1;
      for (int m = 0; m < microbatches; ++m) {
        if (!chains[m].waiting || static_cast<int>(chain[chains[m].task].unit) != unit) continue;
        if (next < 0 || chains[m].ready < chains[next].ready) next = m;
      }
      if (next < 0) continue;
      const OperatorCost& cost = chain[chains[next].task].cost;
      const Seconds alone = cost.alone(hbm_bandwidth);
      running[unit] = {next, alone, alone > 0 ? cost.hbm_bytes / alone : 0, schedule.tasks.size()};
      schedule.tasks.push_back({chains[next].task, next, chains[next].repetition, now, now});
      chains[next].waiting = false;
    }
    const auto speed = share(running, hbm_bandwidth);
    Seconds step = kNever;
    for (int unit = 0; unit < kDieUnits; ++unit) {
      if (running[unit].microbatch >= 0) step = std::min(step, running[unit].left / speed[unit]);
    }
    if (step == kNever) break;
    now += step;
    for (int unit = 0; unit < kDieUnits; ++unit) {
      Running& task = running[unit];
      if (task.microbatch < 0) continue;
      task.left -= step * speed[unit];
      if (task.left > kSlack) continue;
      Chain& owner = chains[task.microbatch];
      schedule.tasks[task.placed].end = now;
      owner.ready = now;
      owner.waiting = true;
      if (++owner.task == static_cast<int>(chain.size())) {
        owner.task = 0;
        Seconds& end = schedule.repetition_end[owner.repetition];
        end = std::max(end, now);
        if (++owner.repetition == repetitions) owner.waiting = false;
      }
      task = {};
    }
  }
  schedule.makespan = now;
  return schedule;
}

}  // namespace cmsim::model
