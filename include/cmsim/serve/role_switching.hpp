// Blocks of NPUs that go from one role to the other, as a policy says. Internal to serve/.
//
// A block holds a whole number of instances of either role. To change it, the pool it serves in
// takes nothing new onto it (draining), until the last request has left; then it loads weights and
// its groups are built anew (loading), and it serves in the other. Nobody is asked again while
// nothing happens, so that a run in which nothing can happen ends. Invariant: a block serves in
// each role.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cmsim/serve/cluster_state.hpp"
#include "cmsim/serve/decode_pool.hpp"
#include "cmsim/serve/prefill_pool.hpp"

namespace cmsim::serve {

class RoleSwitching {
 public:
  /// `comes` says whether another request is to come.
  RoleSwitching(ClusterState& state, std::int32_t supernode, PrefillPool& prefill,
                DecodePool& decode, const Policies& policies, std::function<bool()> comes);

  /// Says who serves where, and asks for the first time.
  void start();
  /// The last request has ended: nothing is asked or loaded any more.
  void stop();

 private:
  struct Block {
    InstanceState state = InstanceState::kServing;
    bool decodes = false;  // serves, or served before it began to drain; then what it loads for
  };
  const RoleSwitchSpec& spec() const { return *state_.config.deployment.role_switch; }
  std::int32_t serving(bool decodes) const;
  void ask();
  void ask_again(Seconds after);
  std::int32_t planned() const;
  void change();
  void drain(std::int32_t block);
  void emit(std::int32_t block) const;
  void later(Seconds after, std::function<void()> what);
  std::int64_t work() const;
  void drained(std::int32_t block);
  void loaded(std::int32_t block);
  template <class Use>
  void for_each_instance(std::int32_t block, const Use& use);

  ClusterState& state_;
  std::int32_t supernode_;
  PrefillPool& prefill_;
  DecodePool& decode_;
  const Policies& policies_;
  std::function<bool()> comes_;
  std::vector<Block> blocks_;
  std::int32_t wanted_ = 0;  // decode blocks
  LatencyLimits limits_;
  std::vector<coll::EventId> pending_;  // events of its own, some of which are over
  std::int64_t work_ = 0;               // that had been done at the last question
};

}  // namespace cmsim::serve
