// Which prefilled request gets a place in decode next.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

/// KV space that each admission leaves free on a die for those that run: the watermark by which
/// vLLM's block manager avoids to admit a request only to preempt it.
class Headroom {
 public:
  explicit Headroom(const PolicyContext& context) : percent_(context.parameter("headroom") * 100) {}
  Tokens of(const DecodeAdmissionView& view) const {
    return static_cast<Tokens>(static_cast<double>(view.ranks.kv_capacity_per_rank) * percent_ /
                               100);
  }
  static ParameterInfo parameter() {
    return {.name = "headroom",
            .otherwise = 0.01,
            .minimum = 0,
            .maximum = 1,
            .help = "share of a die's KV space that is kept free for growth"};
  }

 private:
  double percent_;
};

class KvHeadroom : public Policy<DecodeAdmission> {
 public:
  explicit KvHeadroom(const PolicyContext& context) : headroom_(context) {}
  std::optional<Admission> decide(const View& view) override {
    return Admission{0, headroom_.of(view)};
  }

 private:
  Headroom headroom_;
};

class FixedBatch : public Policy<DecodeAdmission> {
 public:
  explicit FixedBatch(const PolicyContext& context)
      : headroom_(context), batch_(context.parameter("batch")) {}
  std::optional<Admission> decide(const View& view) override {
    const double most = batch_ * view.ranks.npus_per_instance;
    return Admission{0, headroom_.of(view), std::max<std::int64_t>(1, std::llround(most))};
  }

 private:
  Headroom headroom_;
  double batch_;
};

/// The largest batch whose predicted TPOT meets the target: one more joins the emptiest instance
/// when the step with it is short enough.
class SloBatch : public Policy<DecodeAdmission> {
 public:
  explicit SloBatch(const PolicyContext& context)
      : headroom_(context),
        tpot_(context.parameter_if("tpot")),
        margin_(context.parameter("margin")) {}

  std::optional<Admission> decide(const View& view) override {
    const RequestView& request = view.waiting.front();
    tightest_ = std::min(tightest_, tpot_.value_or(request.limits.tpot));
    const auto& running = view.ranks.instance_sequences;
    std::size_t emptiest = 0;
    const auto load = [&](std::size_t instance) {  // that of a drained one is not for it
      return view.ranks.instance_slots[instance] > 0 ? running[instance] : kAnyNumber;
    };
    for (std::size_t i = 1; i < running.size(); ++i) {
      if (load(i) < load(emptiest)) emptiest = i;
    }
    const std::int64_t sequences = running[emptiest];
    if (sequences > 0 && tpot_with(request, static_cast<std::ptrdiff_t>(emptiest), view.ranks) >
                             tightest_ * margin_) {
      return std::nullopt;
    }
    return Admission{0, headroom_.of(view), sequences + 1};
  }

 private:
  /// On the die with the fewest sequences.
  Seconds tpot_with(const RequestView& request, std::ptrdiff_t instance,
                    const DecodeRanksView& ranks) {
    const auto size = static_cast<std::size_t>(ranks.ranks_per_instance);
    const auto first = static_cast<std::size_t>(instance) * size;
    const auto sequences = ranks.sequences.subspan(first, size);
    const auto kv = ranks.kv_tokens.subspan(first, size);
    sequences_.assign(sequences.begin(), sequences.end());
    kv_.assign(kv.begin(), kv.end());
    const auto rank = std::ranges::min_element(sequences_) - sequences_.begin();
    ++sequences_[static_cast<std::size_t>(rank)];
    kv_[static_cast<std::size_t>(rank)] += request.context_tokens;
    const Seconds step = ranks.forecast->step(static_cast<std::int32_t>(instance), sequences_, kv_);
    return step / ranks.forecast->tokens_per_step();
  }

  Headroom headroom_;
  std::optional<double> tpot_;
  double margin_;
  Seconds tightest_ = std::numeric_limits<Seconds>::infinity();  // of the requests seen
  std::vector<std::int32_t> sequences_;
  std::vector<Tokens> kv_;
};

class UrgentFirst : public Policy<DecodeAdmission> {
 public:
  explicit UrgentFirst(const PolicyContext& context)
      : headroom_(context), ageing_(context.parameter("ageing")) {}
  std::optional<Admission> decide(const View& view) override {
    return Admission{most_urgent(view.waiting, view.now, ageing_), headroom_.of(view)};
  }

 private:
  Headroom headroom_;
  Seconds ageing_;
};

class ShortestOutput : public Policy<DecodeAdmission> {
 public:
  explicit ShortestOutput(const PolicyContext& context)
      : headroom_(context), ageing_(context.parameter("ageing")), estimates_(context.estimates) {}
  std::optional<Admission> decide(const View& view) override {
    const auto estimate = [this](const RequestView& request) { return estimates_->of(request); };
    return Admission{least_unless_aged(view.waiting, view.now, ageing_, estimate),
                     headroom_.of(view)};
  }

 private:
  Headroom headroom_;
  Seconds ageing_;
  std::shared_ptr<const OutputEstimates> estimates_;
};

}  // namespace

void add_decode_admission(PolicyRegistry& registry) {
  registry.add<KvHeadroom>({"kv_headroom",
                            "first come, first served, while a die has a slot and KV space",
                            {Headroom::parameter()},
                            "vLLM, arXiv:2309.06180",
                            {},
                            "fcfs"});
  registry.add<FixedBatch>({"fixed",
                            "as kv_headroom, up to a batch that is given",
                            {{.name = "batch",
                              .otherwise = 96,
                              .minimum = 0.01,
                              .maximum = 1e6,
                              .unit = "sequences per NPU",
                              .help = "of an instance, mean over its NPUs"},
                             Headroom::parameter()}});
  registry.add<SloBatch>({"slo",
                          "as kv_headroom, up to the largest batch whose predicted TPOT is met",
                          {{.name = "tpot",
                            .kind = ParameterKind::kTime,
                            .minimum = 1e-6,
                            .help = "the target; left out, the tightest of the classes seen"},
                           {.name = "margin",
                            .otherwise = 0.95,
                            .minimum = 0.01,
                            .maximum = 10,
                            .help = "share of the target that the predicted TPOT may take"},
                           Headroom::parameter()},
                          "CloudMatrix384, arXiv:2506.12708, sets batches by hand"});
  registry.add<UrgentFirst>({"priority",
                             "the highest priority of its class, which grows while it waits",
                             {ageing_parameter(10, "a wait that counts as one step of priority"),
                              Headroom::parameter()}});
  registry.add<ShortestOutput>(
      {"shortest_output",
       "the shortest answer by an estimate, until the first has waited too long",
       {{.name = kEstimateError,
         .otherwise = 0.5,
         .maximum = 10,
         .help = "of the estimate: deviation of the logarithm of a factor of median 1"},
        ageing_parameter(30, "after such a wait the first goes before all"),
        Headroom::parameter()},
       "",
       "serve/estimate/decode_admission"});
}

}  // namespace cmsim::serve
