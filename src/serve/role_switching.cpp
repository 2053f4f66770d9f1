#include "cmsim/serve/role_switching.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "cmsim/serve/policy_guard.hpp"

namespace cmsim::serve {

RoleSwitching::RoleSwitching(ClusterState& state, std::int32_t supernode, PrefillPool& prefill,
                             DecodePool& decode, const Policies& policies,
                             std::function<bool()> comes)
    : state_(state),
      supernode_(supernode),
      prefill_(prefill),
      decode_(decode),
      policies_(policies),
      comes_(std::move(comes)),
      limits_{std::numeric_limits<Seconds>::infinity(), std::numeric_limits<Seconds>::infinity()} {
  const DeploymentSpec& deployment = state.config.deployment;
  const int first_decode = deployment.prefill_blocks();
  wanted_ = deployment.decode_blocks();
  for (int i = 0; i < first_decode + wanted_; ++i)
    blocks_.push_back({.decodes = i >= first_decode});
  for (const RequestClass& one : state.config.classes) {
    limits_.ttft = std::min(limits_.ttft, one.limits.ttft);
    limits_.tpot = std::min(limits_.tpot, one.limits.tpot);
  }
}

template <class Use>
void RoleSwitching::for_each_instance(std::int32_t block, const Use& use) {
  const DeploymentSpec& deployment = state_.config.deployment;
  const int npus = blocks_[static_cast<std::size_t>(block)].decodes
                       ? deployment.decode.npus_per_instance
                       : deployment.prefill.npus_per_instance;
  const int of_block = deployment.npus_of_block() / npus;
  for (int i = 0; i < of_block; ++i) use(block * of_block + i);
}

void RoleSwitching::start() {
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(blocks_.size()); ++i) emit(i);
  ask();
}

std::int32_t RoleSwitching::serving(bool decodes) const {
  return static_cast<std::int32_t>(std::ranges::count_if(blocks_, [&](const Block& block) {
    return block.state == InstanceState::kServing && block.decodes == decodes;
  }));
}

void RoleSwitching::ask() {
  const auto all = static_cast<std::int32_t>(blocks_.size());
  ProportionView seen{.now = state_.now(),
                      .npus_of_block = state_.config.deployment.npus_of_block(),
                      .limits = limits_};
  seen.prefill.blocks = serving(false);
  seen.decode.blocks = serving(true);
  seen.decode_blocks = wanted_;
  seen.changing = all - seen.prefill.blocks - seen.decode.blocks;
  prefill_.look(seen);
  decode_.look(seen);
  const Proportion decided = call_policy<ProportionChoice>(policies_, seen);
  if (decided.decode_blocks < 1 || decided.decode_blocks >= all) {
    refuse<ProportionChoice>(policies_, seen,
                             fmt::format("chose {} of {} blocks for decode, allowed are 1 to {}",
                                         decided.decode_blocks, all, all - 1));
  }
  if (!(decided.again > 0)) {
    refuse<ProportionChoice>(policies_, seen,
                             fmt::format("wants to be asked again after {} s", decided.again));
  }
  wanted_ = decided.decode_blocks;
  change();
  if (std::isfinite(decided.again)) ask_again(decided.again);
}

void RoleSwitching::ask_again(Seconds after) {
  work_ = work();
  later(after, [this] {
    const bool runs = state_.prefill_running > 0 || state_.decode_running > 0;
    const auto all = static_cast<std::int32_t>(blocks_.size());
    const bool changes = serving(false) + serving(true) < all;
    if (runs || changes || comes_() || work() > work_) ask();
  });
}

/// Counts up with whatever happens.
std::int64_t RoleSwitching::work() const {
  const ClusterTotals& totals = state_.totals;
  return totals.sent + totals.prefill_batches + totals.decode_steps + totals.transfers;
}

void RoleSwitching::later(Seconds after, std::function<void()> what) {
  pending_.push_back(
      state_.runtime.schedule_at(state_.now() + after, coll::Priority::kDecision, std::move(what)));
}

void RoleSwitching::stop() {
  for (const coll::EventId event : std::exchange(pending_, {})) state_.runtime.cancel(event);
}

/// With those that are on their way.
std::int32_t RoleSwitching::planned() const {
  return static_cast<std::int32_t>(std::ranges::count_if(blocks_, [](const Block& block) {
    return block.decodes != (block.state == InstanceState::kDraining);
  }));
}

/// Towards what is wanted; the last that serves in a role stays until another does.
void RoleSwitching::change() {
  while (planned() != wanted_) {
    const bool decodes = planned() > wanted_;
    if (serving(decodes) <= 1) return;
    const auto found = std::ranges::find_if(blocks_, [&](const Block& block) {
      return block.state == InstanceState::kServing && block.decodes == decodes;
    });
    drain(static_cast<std::int32_t>(found - blocks_.begin()));
  }
}

void RoleSwitching::drain(std::int32_t number) {
  Block& block = blocks_[static_cast<std::size_t>(number)];
  block.state = InstanceState::kDraining;
  emit(number);
  auto left = std::make_shared<std::int32_t>(0);
  for_each_instance(number, [&](std::int32_t) { ++*left; });
  // Called once for each instance, when its last request has left.
  const auto emptied = [this, number, left] {
    if (--*left == 0) drained(number);
  };
  const bool decodes = block.decodes;
  for_each_instance(number, [&](std::int32_t instance) {
    if (decodes) {
      decode_.drain(instance, state_.now() + spec().drain, emptied);
    } else {
      prefill_.drain(instance, emptied);
    }
  });
}

void RoleSwitching::drained(std::int32_t number) {
  Block& block = blocks_[static_cast<std::size_t>(number)];
  block.state = InstanceState::kLoading;
  block.decodes = !block.decodes;
  emit(number);
  later(spec().load + spec().rebuild, [this, number] { loaded(number); });
}

void RoleSwitching::loaded(std::int32_t number) {
  Block& block = blocks_[static_cast<std::size_t>(number)];
  block.state = InstanceState::kServing;
  emit(number);
  for_each_instance(number, [&](std::int32_t instance) {
    block.decodes ? decode_.serve(instance) : prefill_.serve(instance);
  });
  change();
  state_.flush_queue();
}

void RoleSwitching::emit(std::int32_t number) const {
  const Block& block = blocks_[static_cast<std::size_t>(number)];
  state_.listeners.emit(&Listener::on_role, RoleEvent{state_.now(), supernode_, number,
                                                      state_.config.deployment.npus_of_block(),
                                                      block.state, block.decodes});
}

}  // namespace cmsim::serve
