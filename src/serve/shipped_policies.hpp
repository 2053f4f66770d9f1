// The policies that come with the simulator, slot by slot. Internal to serve/.
#pragma once

#include <span>

#include "cmsim/base/random.hpp"
#include "cmsim/serve/policy.hpp"

namespace cmsim::serve {

void add_supernode_routing(PolicyRegistry& registry);
void add_prefill_routing(PolicyRegistry& registry);
void add_prefill_admission(PolicyRegistry& registry);
void add_prefill_batching(PolicyRegistry& registry);
void add_cache_prefetch(PolicyRegistry& registry);
void add_cache_placement(PolicyRegistry& registry);
void add_cache_eviction(PolicyRegistry& registry);
void add_decode_admission(PolicyRegistry& registry);
void add_decode_routing(PolicyRegistry& registry);
void add_preemption(PolicyRegistry& registry);
void add_preempted_kv(PolicyRegistry& registry);
void add_proportion(PolicyRegistry& registry);
void add_pipeline_plan(PolicyRegistry& registry);
void add_expert_placement(PolicyRegistry& registry);

/// After such a wait a request goes before those that a policy prefers.
ParameterInfo ageing_parameter(double otherwise, const char* help);
/// A number of steps, at least one.
ParameterInfo steps_parameter(const char* name, double otherwise, const char* help);

/// Equal for the turns of a session, or else for prompts that begin alike.
std::uint64_t affinity_of(const RequestView& request);

/// Of two of `count` that are drawn, which may be the only one, that with the less `load`.
template <class Load>
std::size_t better_of_two(RandomStream& random, std::size_t count, const Load& load) {
  const auto last = static_cast<std::int64_t>(count) - 1;
  if (last == 0) return 0;
  const std::int64_t one = random.uniform_int(0, last);
  std::int64_t other = random.uniform_int(0, last - 1);
  if (other >= one) ++other;
  const auto first = static_cast<std::size_t>(one), second = static_cast<std::size_t>(other);
  return load(second) < load(first) ? second : first;
}

/// The position of the request of the highest priority, to which waiting adds one in every
/// `ageing`; of equal ones the first.
std::size_t most_urgent(std::span<const RequestView> waiting, Seconds now, Seconds ageing);

/// The position of the first request when it has waited for `ageing`, else of the one of the least
/// `key`; of equal ones the first.
template <class Key>
std::size_t least_unless_aged(std::span<const RequestView> waiting, Seconds now, Seconds ageing,
                              const Key& key) {
  if (now - waiting.front().waiting_since >= ageing) return 0;
  std::size_t best = 0;
  for (std::size_t i = 1; i < waiting.size(); ++i) {
    if (key(waiting[i]) < key(waiting[best])) best = i;
  }
  return best;
}

}  // namespace cmsim::serve
