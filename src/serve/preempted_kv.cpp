// What becomes of the KV of a preempted request.
#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

class Recomputes : public Policy<PreemptedKv> {
 public:
  bool decide(const View&) override { return false; }
};

class Swaps : public Policy<PreemptedKv> {
 public:
  explicit Swaps(const PolicyContext& context) : least_(context.parameter("least_tokens")) {}
  bool decide(const View& view) override {
    return static_cast<double>(view.request.context_tokens) >= least_;
  }

 private:
  double least_;
};

}  // namespace

void add_preempted_kv(PolicyRegistry& registry) {
  registry.add<Recomputes>({"recompute",
                            "prefill computes it anew, over prompt and generated tokens",
                            {},
                            "vLLM, arXiv:2309.06180 §4.5"});
  registry.add<Swaps>({"swap",
                       "it is copied to DRAM while there is room, and back",
                       {{.name = "least_tokens",
                         .kind = ParameterKind::kNumber,
                         .otherwise = 0,
                         .maximum = 1e9,
                         .unit = "tokens",
                         .help = "shorter contexts are computed anew"}},
                       "vLLM, arXiv:2309.06180 §4.5"});
}

}  // namespace cmsim::serve
