// A prefill batching policy that takes the shortest waiting prompt first; ties go by arrival.
#include <algorithm>

#include "cmsim/serve/policy.hpp"

namespace {

namespace serve = cmsim::serve;

class ShortestPromptFirst : public serve::Policy<serve::PrefillBatching> {
 public:
  std::optional<std::size_t> decide(const View& view) override {
    const auto shortest =
        std::ranges::min_element(view.waiting, {}, &serve::RequestView::prompt_tokens);
    return static_cast<std::size_t>(shortest - view.waiting.begin());
  }
};

}  // namespace

CMSIM_POLICY_PLUGIN(registry) {
  registry.add<ShortestPromptFirst>(
      {.name = "shortest_prompt_first", .description = "the shortest waiting prompt goes first"});
}
