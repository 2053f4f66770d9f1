// Which prefill instance computes a request.
#include <limits>

#include "cmsim/base/random.hpp"
#include "cmsim/serve/context_cache.hpp"
#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

constexpr const char* kAnyStream = "serve/prefill_routing/peer_to_peer";
constexpr const char* kTwoStream = "serve/prefill_routing/power_of_two";

Tokens outstanding(const PrefillInstanceView& view) {
  return view.waiting_tokens + view.batched_tokens;
}

class LeastTokens : public Policy<PrefillRouting> {
 public:
  std::int32_t decide(const View& view) override {
    std::size_t best = 0;
    for (std::size_t i = 1; i < view.instances.size(); ++i) {
      if (outstanding(view.instances[i]) < outstanding(view.instances[best])) best = i;
    }
    return static_cast<std::int32_t>(best);
  }
};

class InstancesInTurn : public Policy<PrefillRouting> {
 public:
  std::int32_t decide(const View& view) override {
    const std::size_t chosen = next_ % view.instances.size();
    next_ = chosen + 1;
    return static_cast<std::int32_t>(chosen);
  }

 private:
  std::size_t next_ = 0;
};

class AnyInstance : public Policy<PrefillRouting> {
 public:
  explicit AnyInstance(const PolicyContext& context) : random_(context.seed, kAnyStream) {}
  std::int32_t decide(const View& view) override {
    return static_cast<std::int32_t>(
        random_.uniform_int(0, static_cast<std::int64_t>(view.instances.size()) - 1));
  }

 private:
  RandomStream random_;
};

class PowerOfTwo : public Policy<PrefillRouting> {
 public:
  explicit PowerOfTwo(const PolicyContext& context) : random_(context.seed, kTwoStream) {}
  std::int32_t decide(const View& view) override {
    return static_cast<std::int32_t>(
        better_of_two(random_, view.instances.size(),
                      [&](std::size_t i) { return outstanding(view.instances[i]); }));
  }

 private:
  RandomStream random_;
};

/// The turns of a session go where the first went, whatever is there; without one, prompts that
/// begin alike.
class SessionAffinity : public Policy<PrefillRouting> {
 public:
  std::int32_t decide(const View& view) override {
    return cpu_of_block(affinity_of(view.request),
                        static_cast<std::int32_t>(view.instances.size()));
  }
};

/// The instance with the least estimated TTFT: what is before the request, and what is left of its
/// prompt after the instance's own prefix hit.
class KvCentric : public Policy<PrefillRouting> {
 public:
  std::int32_t decide(const View& view) override {
    std::int32_t best = 0;
    Seconds least = std::numeric_limits<Seconds>::infinity();
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(view.instances.size()); ++i) {
      const Tokens cached = view.forecast->cached_tokens(view.request, i);
      const model::PrefillSequence own{view.request.context_tokens - cached, cached};
      const Seconds ttft = view.forecast->backlog(i) + view.forecast->batch(i, {&own, 1});
      if (ttft < least) {
        best = i;
        least = ttft;
      }
    }
    return best;
  }
};

}  // namespace

void add_prefill_routing(PolicyRegistry& registry) {
  registry.add<LeastTokens>({"least_tokens",
                             "the instance with the fewest tokens queued or in "
                             "batches",
                             {},
                             {},
                             {},
                             "least_loaded"});
  registry.add<InstancesInTurn>({"round_robin", "the instances in turn"});
  registry.add<AnyInstance>({"peer_to_peer",
                             "any instance alike, whatever it holds or has to do",
                             {},
                             "CloudMatrix384, arXiv:2506.12708",
                             kAnyStream});
  registry.add<PowerOfTwo>({"power_of_two",
                            "of two instances drawn at random the one with fewer tokens",
                            {},
                            "Mitzenmacher 2001",
                            kTwoStream});
  registry.add<SessionAffinity>({"session_affinity",
                                 "one instance for a session, or else for "
                                 "prompts that begin alike"});
  registry.add<KvCentric>({"kv_centric",
                           "the least estimated TTFT: backlog, and prefill after the prefix hit",
                           {},
                           "Mooncake, arXiv:2407.00079"});
}

}  // namespace cmsim::serve
