// Which policy is being called now, for whoever must name one that does not come back.
//
// Written by the thread that runs the simulation, a few plain stores a call; read by signal
// handlers, so all members are lock-free atomics. It cannot stop a call. Invariant: the name lives
// until the call is over.
#pragma once

#include <atomic>
#include <cstdint>

#include "cmsim/base/units.hpp"

namespace cmsim::serve {

class PolicyCall {
 public:
  enum class Stage { kNone, kLoading, kMaking, kDeciding, kDestroying };
  struct Seen {
    Stage stage = Stage::kNone;
    const char* slot = "";       // of a policy: not when a plugin is being loaded
    const char* name = nullptr;  // of the policy, or the plugin's file
    Seconds now = 0;             // of the simulation, when it decides
    std::uint64_t number = 0;    // of the call
  };

  /// A call is under way for as long as it lives. `call` may be null: nobody watches.
  class Scope {
   public:
    Scope(PolicyCall* call, const Seen& seen) : call_(call) {
      if (call_ != nullptr) call_->begin(seen);
    }
    ~Scope() {
      if (call_ != nullptr) call_->stage_.store(Stage::kNone, std::memory_order_release);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    PolicyCall* call_;
  };

  /// Stage::kNone when no policy is being called.
  Seen seen() const {
    return {stage_.load(std::memory_order_acquire), slot_.load(std::memory_order_relaxed),
            name_.load(std::memory_order_relaxed), now_.load(std::memory_order_relaxed),
            number_.load(std::memory_order_relaxed)};
  }

 private:
  void begin(const Seen& seen) {
    slot_.store(seen.slot, std::memory_order_relaxed);
    name_.store(seen.name, std::memory_order_relaxed);
    now_.store(seen.now, std::memory_order_relaxed);
    number_.store(number_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    stage_.store(seen.stage, std::memory_order_release);
  }

  std::atomic<Stage> stage_{Stage::kNone};
  std::atomic<const char*> slot_{nullptr};
  std::atomic<const char*> name_{nullptr};
  std::atomic<Seconds> now_{0};
  std::atomic<std::uint64_t> number_{0};
  static_assert(std::atomic<Seconds>::is_always_lock_free &&
                    std::atomic<std::uint64_t>::is_always_lock_free,
                "a signal handler may only touch such");
};

}  // namespace cmsim::serve
