// One simple policy for each decision, and the trivial alternatives.

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

#include "cmsim/serve/policy.hpp"

namespace cmsim::serve {
namespace {

/// The instance with the fewest tokens before it; ties go to the lowest index.
class LeastLoadedPrefill : public PrefillRouter {
 public:
  std::int32_t route(const PrefillRouterView& view) override {
    std::size_t best = 0;
    for (std::size_t i = 1; i < view.instances.size(); ++i) {
      if (load(view.instances[i]) < load(view.instances[best])) best = i;
    }
    return static_cast<std::int32_t>(best);
  }

 private:
  static Tokens load(const PrefillInstanceView& view) {
    return view.waiting_tokens + view.batched_tokens;
  }
};

class RoundRobinPrefill : public PrefillRouter {
 public:
  std::int32_t route(const PrefillRouterView& view) override {
    const std::size_t chosen = next_ % view.instances.size();
    next_ = chosen + 1;
    return static_cast<std::int32_t>(chosen);
  }

 private:
  std::size_t next_ = 0;
};

class FcfsBatcher : public PrefillBatcher {
 public:
  std::optional<std::size_t> pick(const PrefillBatcherView&) override { return 0; }
};

/// First come, first served, keeping 1 % of a rank's KV space free for those that run: the
/// watermark by which vLLM's block manager avoids to admit a request only to preempt it.
class FcfsAdmission : public DecodeAdmission {
 public:
  std::optional<Admission> admit(const DecodeAdmissionView& view) override {
    return Admission{0, view.kv_capacity_per_rank / 100};
  }
};

/// The rank with the fewest sequences, among them the one with the fewest KV tokens, then the
/// lowest.
class LeastLoadedDecode : public DecodeRouter {
 public:
  std::optional<std::size_t> route(const DecodeRouterView& view) override {
    std::optional<std::size_t> best;
    auto fewest = std::numeric_limits<std::int64_t>::max(), least = fewest;
    for (std::size_t rank = 0; rank < view.sequences.size(); ++rank) {
      const std::int64_t sequences = view.sequences[rank], tokens = view.kv_tokens[rank];
      if (sequences > fewest || (sequences == fewest && tokens >= least)) continue;
      if (!view.fits(rank)) continue;
      best = rank;
      fewest = sequences;
      least = tokens;
    }
    return best;
  }
};

/// The rank with the fewest KV tokens, among them the one with the fewest sequences, then the
/// lowest. A step waits for the rank that reads the most KV.
class LeastKvDecode : public DecodeRouter {
 public:
  std::optional<std::size_t> route(const DecodeRouterView& view) override {
    std::optional<std::size_t> best;
    for (std::size_t rank = 0; rank < view.sequences.size(); ++rank) {
      if (best && (view.kv_tokens[rank] > view.kv_tokens[*best] ||
                   (view.kv_tokens[rank] == view.kv_tokens[*best] &&
                    view.sequences[rank] >= view.sequences[*best]))) {
        continue;
      }
      if (view.fits(rank)) best = rank;
    }
    return best;
  }
};

/// The next rank in turn that has room.
class RoundRobinDecode : public DecodeRouter {
 public:
  std::optional<std::size_t> route(const DecodeRouterView& view) override {
    const std::size_t ranks = view.sequences.size();
    for (std::size_t tried = 0; tried < ranks; ++tried) {
      const std::size_t rank = (next_ + tried) % ranks;
      if (view.fits(rank)) {
        next_ = rank + 1;
        return rank;
      }
    }
    return std::nullopt;
  }

 private:
  std::size_t next_ = 0;
};

}  // namespace

PolicyRegistry builtin_policies() {
  using Context = const PolicyContext&;
  PolicyRegistry registry;
  registry.register_policy("least_loaded",
                           "the instance with the fewest tokens queued or in batches",
                           [](Context) { return std::make_unique<LeastLoadedPrefill>(); });
  registry.register_policy("round_robin", "the instances in turn",
                           [](Context) { return std::make_unique<RoundRobinPrefill>(); });
  registry.register_policy("fcfs", "first come, first served, until the token budget is full",
                           [](Context) { return std::make_unique<FcfsBatcher>(); });
  registry.register_policy(
      "fcfs", "first come, first served; keeps 1 % of a die's KV space free for growth",
      [](Context) { return std::make_unique<FcfsAdmission>(); });
  registry.register_policy("least_loaded", "the die with the fewest sequences, then the least KV",
                           [](Context) { return std::make_unique<LeastLoadedDecode>(); });
  registry.register_policy("least_kv", "the die with the least KV, then the fewest sequences",
                           [](Context) { return std::make_unique<LeastKvDecode>(); });
  registry.register_policy("round_robin", "the dies in turn, skipping those without room",
                           [](Context) { return std::make_unique<RoundRobinDecode>(); });
  return registry;
}

}  // namespace cmsim::serve
