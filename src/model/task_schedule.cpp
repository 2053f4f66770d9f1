#include "task_schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>

namespace cmsim::model {
namespace {

constexpr Seconds kNever = std::numeric_limits<Seconds>::infinity();
constexpr Seconds kSlack = 1e-12;

/// An operator by what the schedule asks of it.
struct Need {
  int server = 0;
  Seconds alone = 0;
  double demand = 0;  // bytes/s it asks for when alone
  bool keeps_server = false;
};

struct Microbatch {
  std::vector<Need> needs;
  int task = 0, repetition = 0;
  int waits_for = -1;  // server; -1 = running or done
  Seconds ready = 0;
};

struct Running {
  int microbatch = -1;  // -1 = idle
  Seconds left = 0;     // of its time alone
  double demand = 0;
  std::size_t placed = 0;
};

/// Speeds of the running operators under max-min sharing of the bandwidth.
std::array<double, kMostServers> share(const std::array<Running, kMostServers>& running,
                                       BytesPerSecond bandwidth) {
  std::array<double, kMostServers> speed;
  speed.fill(1);
  std::array<int, kMostServers> asking;  // smallest demand first
  int unserved = 0;
  for (int server = 0; server < kMostServers; ++server) {
    const double demand = running[server].demand;
    if (demand <= 0) continue;
    int at = unserved++;
    for (; at > 0 && running[asking[at - 1]].demand > demand; --at) asking[at] = asking[at - 1];
    asking[at] = server;
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

/// The waiting microbatch that gets an idle server; there is one.
int first_come(const std::vector<Microbatch>& microbatches, int server) {
  int next = -1;
  for (int m = 0; m < static_cast<int>(microbatches.size()); ++m) {
    if (microbatches[m].waits_for != server) continue;
    if (next < 0 || microbatches[m].ready < microbatches[next].ready) next = m;
  }
  return next;
}

std::vector<Need> needs_of(Chain chain, BytesPerSecond hbm_bandwidth) {
  std::vector<Need> needs;
  needs.reserve(chain.size());
  for (const Operator& op : chain) {
    check_cost(op.cost, hbm_bandwidth);
    if (op.server < 0 || op.server >= kMostServers) {
      throw std::invalid_argument(fmt::format("operator {} on server {}, allowed are 0 to {}",
                                              op.name, op.server, kMostServers - 1));
    }
    const Seconds alone = op.cost.alone(hbm_bandwidth);
    needs.push_back({op.server, alone, alone > 0 ? op.cost.hbm_bytes / alone : 0, op.keeps_server});
  }
  return needs;
}

std::vector<Microbatch> microbatches_of(std::span<const Chain> chains,
                                        BytesPerSecond hbm_bandwidth) {
  std::vector<Microbatch> microbatches(chains.size());
  for (std::size_t m = 0; m < chains.size(); ++m) {
    const bool is_as_before = m > 0 && chains[m].data() == chains[m - 1].data() &&
                              chains[m].size() == chains[m - 1].size();
    Microbatch& one = microbatches[m];
    one.needs = is_as_before ? microbatches[m - 1].needs : needs_of(chains[m], hbm_bandwidth);
    if (!one.needs.empty()) one.waits_for = one.needs.front().server;
  }
  return microbatches;
}

}  // namespace

Schedule schedule_chains(std::span<const Chain> chains, int repetitions,
                         BytesPerSecond hbm_bandwidth, Keep keep) {
  Schedule schedule;
  schedule.repetition_end.assign(static_cast<std::size_t>(repetitions), 0);
  std::vector<Microbatch> microbatches = microbatches_of(chains, hbm_bandwidth);
  if (repetitions == 0) return schedule;
  if (keep == Keep::kOperators) {
    std::size_t tasks = 0;
    for (const Chain& chain : chains) tasks += chain.size();
    schedule.placed.reserve(tasks * static_cast<std::size_t>(repetitions));
  }
  std::array<Running, kMostServers> running;
  std::array<int, kMostServers> waiting{};  // microbatches by server
  for (const Microbatch& one : microbatches) {
    if (one.waits_for >= 0) ++waiting[one.waits_for];
  }
  Seconds now = 0;
  for (;;) {  // each pass ends an operator, until none runs
    for (int server = 0; server < kMostServers; ++server) {  // start what can start
      if (waiting[server] == 0 || running[server].microbatch >= 0) continue;
      --waiting[server];
      const int next = first_come(microbatches, server);
      Microbatch& owner = microbatches[next];
      const Need& need = owner.needs[owner.task];
      running[server] = {next, need.alone, need.demand, schedule.placed.size()};
      if (keep == Keep::kOperators) {
        schedule.placed.push_back({owner.task, next, owner.repetition, now, now});
      }
      owner.waits_for = -1;
    }
    const auto speed = share(running, hbm_bandwidth);
    std::array<Seconds, kMostServers> ends_in;
    for (int server = 0; server < kMostServers; ++server) {
      ends_in[server] =
          running[server].microbatch < 0 ? kNever : running[server].left / speed[server];
    }
    const Seconds step = *std::min_element(ends_in.begin(), ends_in.end());
    if (step == kNever) break;
    now += step;
    for (int server = 0; server < kMostServers; ++server) {
      Running& task = running[server];
      if (task.microbatch < 0) continue;
      task.left -= step * speed[server];
      if (ends_in[server] > step && task.left > kSlack)
        continue;  // what ends does, despite rounding
      Microbatch& owner = microbatches[task.microbatch];
      if (keep == Keep::kOperators) schedule.placed[task.placed].end = now;
      task = {};
      owner.ready = owner.needs[owner.task].keeps_server ? -1 : now;  // ahead of all others
      if (++owner.task == static_cast<int>(owner.needs.size())) {
        owner.task = 0;
        schedule.repetition_end[owner.repetition] = now;  // `now` never falls
        if (++owner.repetition == repetitions) continue;
      }
      owner.waits_for = owner.needs[owner.task].server;
      ++waiting[owner.waits_for];
    }
  }
  schedule.makespan = now;
  return schedule;
}

}  // namespace cmsim::model
