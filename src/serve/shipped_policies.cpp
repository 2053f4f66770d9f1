#include "shipped_policies.hpp"

namespace cmsim::serve {

PolicyRegistry builtin_policies() {
  PolicyRegistry registry;
  add_supernode_routing(registry);
  add_prefill_routing(registry);
  add_prefill_admission(registry);
  add_prefill_batching(registry);
  add_cache_prefetch(registry);
  add_cache_placement(registry);
  add_cache_eviction(registry);
  add_decode_admission(registry);
  add_decode_routing(registry);
  add_preemption(registry);
  add_preempted_kv(registry);
  add_proportion(registry);
  add_pipeline_plan(registry);
  add_expert_placement(registry);
  return registry;
}

ParameterInfo ageing_parameter(double otherwise, const char* help) {
  return {.name = "ageing",
          .kind = ParameterKind::kTime,
          .otherwise = otherwise,
          .minimum = 1e-3,
          .help = help};
}

ParameterInfo steps_parameter(const char* name, double otherwise, const char* help) {
  return {.name = name,
          .kind = ParameterKind::kInteger,
          .otherwise = otherwise,
          .minimum = 1,
          .unit = "steps",
          .help = help};
}

std::uint64_t affinity_of(const RequestView& request) {
  if (request.session != 0) return request.session;
  return request.prefix != 0 ? request.prefix : static_cast<std::uint64_t>(request.id) + 1;
}

std::size_t most_urgent(std::span<const RequestView> waiting, Seconds now, Seconds ageing) {
  const auto urgency = [&](const RequestView& request) {
    return request.priority + (now - request.waiting_since) / ageing;
  };
  std::size_t best = 0;
  for (std::size_t i = 1; i < waiting.size(); ++i) {
    if (urgency(waiting[i]) > urgency(waiting[best])) best = i;
  }
  return best;
}

}  // namespace cmsim::serve
