// What of a waiting prompt is brought from SSD to DRAM ahead.
#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

class NoPrefetch : public Policy<CachePrefetch> {
 public:
  Tokens decide(const View&) override { return 0; }
};

class OnArrival : public Policy<CachePrefetch> {
 public:
  explicit OnArrival(const PolicyContext& context)
      : least_(static_cast<Tokens>(context.parameter("least_tokens"))) {}

  Tokens decide(const View& view) override {
    return view.ssd_tokens >= least_ ? view.ssd_tokens : 0;
  }

 private:
  Tokens least_;
};

}  // namespace

void add_cache_prefetch(PolicyRegistry& registry) {
  registry.add<NoPrefetch>({"none", "nothing: blocks are read when their prompt joins a batch"});
  registry.add<OnArrival>({"on_arrival",
                           "all of its prefix that lies on SSD, as soon as it waits",
                           {{.name = "least_tokens",
                             .kind = ParameterKind::kInteger,
                             .otherwise = 512,
                             .minimum = 1,
                             .unit = "tokens",
                             .help = "on SSD; fewer are left there"}},
                           "CachedAttention, arXiv:2403.19708"});
}

}  // namespace cmsim::serve
