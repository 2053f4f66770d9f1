// Work done in child processes forked from this one, several at a time: what a piece does to its
// process (SimGrid's one engine, a crash, memory that runs out) stays there, and what this process
// has loaded is there already.
//
// Not for work that shares results while it runs, and not to be called while other threads run.
// Times are wall-clock seconds but for `cpu`. Invariant: outcomes are in the order of the pieces,
// whatever order they end in, and no child outlives the call.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "cmsim/base/units.hpp"

namespace cmsim {

struct ChildLimits {
  Seconds time = 0;  // an attempt may take; 0: for ever
  Bytes memory = 0;  // private data of a child, what it inherits included; 0: no limit
  int attempts = 1;  // times a piece is started whose process died or took too long
};

enum class Ending {
  kDone,      // the text is what the work returned
  kRefused,   // it threw a ConfigError; here and below the text says what went wrong
  kFailed,    // a SimulationError or an OutputError, or memory ran out
  kBug,       // any other exception
  kDied,      // its process was ended by a signal, or left without an answer
  kTooLong,   // it was killed at the limit of time
  kNotEnded,  // interrupted before its end
};

struct ChildOutcome {
  Ending ending = Ending::kNotEnded;
  std::string text;
  int attempts = 0;
  Seconds cpu = 0;        // of the last attempt, its own children included
  Bytes peak_memory = 0;  // resident, of the last attempt's process
};

struct PoolOptions {
  int jobs = 1;
  ChildLimits limits = {};
  const std::atomic<bool>* interrupt = nullptr;  // once true, what runs is killed
  std::function<void(std::size_t, const ChildOutcome&)> on_end = {};  // called here, as pieces end
  // Asked in a child that has done a piece: whether it may do another, where the first has left
  // nothing that changes it. None, or with limits, which are of one piece: a process a piece.
  std::function<bool()> stays = {};
};

/// Runs `work(0)` to `work(count - 1)` in children. What a child writes to stderr is kept from
/// the terminal and becomes part of the text when it dies; its stdout must not be used. Throws
/// SimulationError when the system gives no process or pipe.
std::vector<ChildOutcome> run_in_children(std::size_t count,
                                          const std::function<std::string(std::size_t)>& work,
                                          const PoolOptions& options = {});

}  // namespace cmsim
