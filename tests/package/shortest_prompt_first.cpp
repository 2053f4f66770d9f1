// A prefill batching policy that takes the shortest waiting prompt first; ties go by arrival.
#include <algorithm>

#include "cmsim/serve/policy.hpp"

namespace {

namespace serve = cmsim::serve;

class ShortestPromptFirst : public serve::PrefillBatcher {
 public:
  std::optional<std::size_t> pick(const serve::PrefillBatcherView& view) override {
    const auto shortest =
        std::ranges::min_element(view.waiting, {}, &serve::RequestView::prompt_tokens);
    return static_cast<std::size_t>(shortest - view.waiting.begin());
  }
};

}  // namespace

CMSIM_POLICY_PLUGIN(registry) {
  registry.register_policy("shortest_prompt_first", "the shortest waiting prompt goes first",
                           serve::PolicyFactory<serve::PrefillBatcher>([](const auto&) {
                             return std::make_unique<ShortestPromptFirst>();
                           }));
}
