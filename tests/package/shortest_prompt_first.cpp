// A prefill batching policy that takes the shortest waiting prompt first; ties go by arrival.
#include <algorithm>

#include "cmsim/serve/policy.hpp"

namespace {

namespace serve = cmsim::serve;

class ShortestPromptFirst : public serve::Policy<serve::PrefillBatching> {
 public:
  explicit ShortestPromptFirst(const serve::PolicyContext& context)
      : patience_(context.parameter("patience")) {}

  std::optional<std::size_t> decide(const View& view) override {
    if (view.now - view.waiting.front().waiting_since > patience_) return 0;
    const auto shortest =
        std::ranges::min_element(view.waiting, {}, &serve::RequestView::prompt_tokens);
    return static_cast<std::size_t>(shortest - view.waiting.begin());
  }

 private:
  cmsim::Seconds patience_;
};

}  // namespace

CMSIM_POLICY_PLUGIN(registry) {
  registry.add<ShortestPromptFirst>(
      {.name = "shortest_prompt_first",
       .description = "the shortest waiting prompt, until the first has waited too long",
       .parameters = {{.name = "patience",
                       .kind = serve::ParameterKind::kTime,
                       .otherwise = 60,
                       .help = "after such a wait the first goes before all"}}});
}
