// Who gives its KV space up when a rank has no more.
#include <algorithm>

#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

class NewestGoes : public Policy<Preemption> {
 public:
  std::size_t decide(const View&) override { return 0; }
};

class LeastUrgentGoes : public Policy<Preemption> {
 public:
  std::size_t decide(const View& view) override {
    const auto least = std::ranges::min_element(view.running, {}, &RequestView::priority);
    return static_cast<std::size_t>(least - view.running.begin());
  }
};

class ShortestContextGoes : public Policy<Preemption> {
 public:
  std::size_t decide(const View& view) override {
    const auto least = std::ranges::min_element(view.running, {}, &RequestView::context_tokens);
    return static_cast<std::size_t>(least - view.running.begin());
  }
};

}  // namespace

void add_preemption(PolicyRegistry& registry) {
  registry.add<NewestGoes>({"newest", "who joined the rank last", {}, "vLLM, arXiv:2309.06180"});
  registry.add<LeastUrgentGoes>(
      {"priority", "the lowest priority of its class, of equal ones who joined last"});
  registry.add<ShortestContextGoes>(
      {"least_recompute", "the fewest tokens to compute anew, of equal ones who joined last"});
}

}  // namespace cmsim::serve
