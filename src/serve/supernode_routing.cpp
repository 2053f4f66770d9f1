// Which supernode serves a request.
#include <algorithm>
#include <compare>

#include "cmsim/base/random.hpp"
#include "cmsim/serve/context_cache.hpp"
#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

constexpr const char* kTwoSupernodesStream = "serve/supernode_routing/power_of_two";

/// What is before a new request: tokens that wait, then sequences in decode.
struct SupernodeLoad {
  Tokens waiting;
  std::int64_t sequences;
  auto operator<=>(const SupernodeLoad&) const = default;
};
SupernodeLoad load_of(const SupernodeView& view) { return {view.waiting_tokens, view.sequences}; }

std::int32_t least_loaded(std::span<const SupernodeView> supernodes) {
  return static_cast<std::int32_t>(std::ranges::min_element(supernodes, {}, load_of) -
                                   supernodes.begin());
}

class LeastWaiting : public Policy<SupernodeRouting> {
 public:
  std::int32_t decide(const View& view) override { return least_loaded(view.supernodes); }
};

class SupernodesInTurn : public Policy<SupernodeRouting> {
 public:
  std::int32_t decide(const View& view) override {
    return static_cast<std::int32_t>(next_++ % view.supernodes.size());
  }

 private:
  std::size_t next_ = 0;
};

class BetterOfTwo : public Policy<SupernodeRouting> {
 public:
  explicit BetterOfTwo(const PolicyContext& context)
      : random_(context.seed, kTwoSupernodesStream) {}
  std::int32_t decide(const View& view) override {
    return static_cast<std::int32_t>(
        better_of_two(random_, view.supernodes.size(),
                      [&](std::size_t i) { return load_of(view.supernodes[i]); }));
  }

 private:
  RandomStream random_;
};

class SessionsStay : public Policy<SupernodeRouting> {
 public:
  std::int32_t decide(const View& view) override {
    return cpu_of_block(affinity_of(view.request),
                        static_cast<std::int32_t>(view.supernodes.size()));
  }
};

/// Where most of the prompt is cached, unless more waits there than elsewhere by some tokens for
/// each that is found.
class PrefixAware : public Policy<SupernodeRouting> {
 public:
  explicit PrefixAware(const PolicyContext& context) : weight_(context.parameter("weight")) {}
  std::int32_t decide(const View& view) override {
    const std::int32_t idle = least_loaded(view.supernodes);
    std::int32_t best = idle;
    double gain = score(view, idle);
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(view.supernodes.size()); ++i) {
      if (const double other = score(view, i); other > gain) {
        best = i;
        gain = other;
      }
    }
    return best;
  }

 private:
  double score(const View& view, std::int32_t supernode) const {
    const SupernodeView& seen = view.supernodes[static_cast<std::size_t>(supernode)];
    return weight_ * static_cast<double>(view.forecast->cached_tokens(view.request, supernode)) -
           static_cast<double>(seen.waiting_tokens);
  }

  double weight_;
};

}  // namespace

void add_supernode_routing(PolicyRegistry& registry) {
  registry.add<LeastWaiting>(
      {"least_waiting", "the fewest tokens that wait, then the fewest sequences in decode"});
  registry.add<SupernodesInTurn>({"round_robin", "the supernodes in turn"});
  registry.add<BetterOfTwo>({"power_of_two",
                             "of two drawn at random the one with less",
                             {},
                             "Mitzenmacher 2001",
                             kTwoSupernodesStream});
  registry.add<SessionsStay>(
      {"session_affinity", "one supernode for a session, or else for prompts that begin alike"});
  registry.add<PrefixAware>({"prefix_aware",
                             "where most of the prompt is cached, unless too much waits there",
                             {{.name = "weight",
                               .otherwise = 1,
                               .maximum = 1000,
                               .unit = "tokens that wait for one that is cached",
                               .help = "that are taken into the bargain"}},
                             "after the cache-aware router of SGLang v0.4"});
}

}  // namespace cmsim::serve
