// Whether a request is taken in or rejected early.
#include <limits>

#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

class AcceptAll : public Policy<PrefillAdmission> {
 public:
  Verdict decide(const View&) override { return Verdict::kAccept; }
};

/// Rejects what is predicted to leave prefill too late.
class MeetsTtft : public Policy<PrefillAdmission> {
 public:
  explicit MeetsTtft(const PolicyContext& context)
      : ttft_(context.parameter_if("ttft")), margin_(context.parameter("margin")) {}

  Verdict decide(const View& view) override {
    const Seconds limit = ttft_.value_or(view.request.limits.ttft);
    if (!(limit < std::numeric_limits<Seconds>::infinity())) return Verdict::kAccept;
    const Tokens cached = view.forecast->cached_tokens(view.request, view.instance);
    const model::PrefillSequence own{view.request.context_tokens - cached, cached};
    const Seconds predicted = view.now - view.request.sent + view.forecast->backlog(view.instance) +
                              view.forecast->batch(view.instance, {&own, 1});
    return predicted <= limit * margin_ ? Verdict::kAccept : Verdict::kReject;
  }

 private:
  std::optional<double> ttft_;
  double margin_;
};

}  // namespace

void add_prefill_admission(PolicyRegistry& registry) {
  registry.add<AcceptAll>({"all", "every request is taken in"});
  registry.add<MeetsTtft>(
      {"ttft",
       "rejects a request whose predicted prefill would end too late for its TTFT",
       {{.name = "ttft",
         .kind = ParameterKind::kTime,
         .minimum = 1e-6,
         .help = "the limit; left out, that of the request's class"},
        {.name = "margin",
         .otherwise = 0.9,
         .minimum = 0.01,
         .maximum = 10,
         .help = "share of the limit that prefill may take"}},
       "Mooncake, arXiv:2407.00079"});
}

}  // namespace cmsim::serve
