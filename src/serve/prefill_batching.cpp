// Which waiting request joins the next prefill batch.
#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

class FirstCome : public Policy<PrefillBatching> {
 public:
  explicit FirstCome(const PolicyContext& context) : tokens_(context.parameter_if("tokens")) {}
  std::optional<std::size_t> decide(const View& view) override {
    const auto taken = static_cast<double>(view.budget - view.budget_left);
    if (tokens_ && view.sequences > 0 && taken >= *tokens_ * view.npus) return std::nullopt;
    return 0;
  }

 private:
  std::optional<double> tokens_;
};

class ShortestPrompt : public Policy<PrefillBatching> {
 public:
  explicit ShortestPrompt(const PolicyContext& context) : ageing_(context.parameter("ageing")) {}
  std::optional<std::size_t> decide(const View& view) override {
    return least_unless_aged(view.waiting, view.now, ageing_,
                             [](const RequestView& request) { return request.context_tokens; });
  }

 private:
  Seconds ageing_;
};

class UrgentPrompt : public Policy<PrefillBatching> {
 public:
  explicit UrgentPrompt(const PolicyContext& context) : ageing_(context.parameter("ageing")) {}
  std::optional<std::size_t> decide(const View& view) override {
    return most_urgent(view.waiting, view.now, ageing_);
  }

 private:
  Seconds ageing_;
};

}  // namespace

void add_prefill_batching(PolicyRegistry& registry) {
  registry.add<FirstCome>(
      {"fcfs",
       "first come, first served, until the token budget is full",
       {{.name = "tokens",
         .kind = ParameterKind::kInteger,
         .minimum = 1,
         .unit = "tokens per NPU",
         .help =
             "a batch that has so many takes no more; left out, the budget of the deployment"}}});
  registry.add<ShortestPrompt>(
      {"shortest_first",
       "the shortest waiting prompt, until the first has waited too long",
       {ageing_parameter(5, "after such a wait the first goes before all")}});
  registry.add<UrgentPrompt>(
      {"priority",
       "the highest priority of its class, which grows while it waits",
       {ageing_parameter(10, "a wait that counts as one step of priority")}});
}

}  // namespace cmsim::serve
