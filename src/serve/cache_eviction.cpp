// Which block of the context cache goes first.
#include <algorithm>
#include <array>

#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

class LeastRecent : public Policy<CacheEviction> {
 public:
  double decide(const View& view) override { return static_cast<double>(view.use); }
};

class LeastFrequent : public Policy<CacheEviction> {
 public:
  double decide(const View& view) override { return static_cast<double>(view.uses); }
};

/// Prefix-aware greedy dual: what computing a block again would cost, times its uses, above what
/// was evicted last. A prefix is worth no less than what hangs on it, which is used just before.
class CostAware : public Policy<CacheEviction> {
 public:
  explicit CostAware(const PolicyContext& context) : doubles_at_(context.parameter("doubles_at")) {}

  double decide(const View& view) override {
    const double token = 1 + static_cast<double>(view.tokens_before) / doubles_at_;
    double worth = view.last_evicted +
                   static_cast<double>(view.uses) * static_cast<double>(view.tokens) * token;
    Last& last = last_[view.tier == CacheTier::kSsd ? 1 : 0];
    const bool in_chain = view.use == last.use + 1 && view.tokens_before < last.before;
    if (in_chain) worth = std::max(worth, last.worth);
    last = {view.use, view.tokens_before, worth};
    return worth;
  }

 private:
  struct Last {
    std::uint64_t use = 0;
    Tokens before = 0;
    double worth = 0;
  };
  double doubles_at_;
  std::array<Last, 2> last_;  // by tier
};

}  // namespace

void add_cache_eviction(PolicyRegistry& registry) {
  registry.add<LeastRecent>({"lru", "the block not used for longest"});
  registry.add<LeastFrequent>({"lfu", "the block used least often, of equal ones as lru"});
  registry.add<CostAware>({"cost_aware",
                           "the block least worth: uses times the cost of computing it again",
                           {{.name = "doubles_at",
                             .otherwise = 15000,
                             .minimum = 1,
                             .unit = "tokens",
                             .help = "context before a token at which attention doubles its cost"}},
                           "RAGCache, arXiv:2404.12457"});
}

}  // namespace cmsim::serve
