#include "breakdowns.hpp"

#include <algorithm>
#include <cmath>

#include "batch_shape.hpp"

namespace cmsim::run {
namespace {

using metrics::RoleLoad;
using metrics::RoleResult;

/// The role's figures of the window, or of the whole run when nothing ended in the window.
const RoleResult* mean_iteration(const metrics::Result& result,
                                 std::optional<RoleResult> metrics::Figures::*role) {
  for (const metrics::Figures* figures : {&result.measured, &result.whole_run}) {
    const auto& found = figures->*role;
    if (found && found->iterations > 0 && found->mean_sequences > 0) return &*found;
  }
  return nullptr;
}

DecodeShape even_step(const model::DecodePipeline& model, const RoleResult& mean) {
  return even_decode_batch(model.experts().layout().ranks, std::llround(mean.mean_sequences),
                           mean.mean_context / mean.mean_sequences);
}

void add_binds(metrics::Figures& figures, const char* role, double utilisation,
               const model::StepBreakdown& breakdown) {
  for (const auto& [name, time] : breakdown.critical_path) {
    if (utilisation * time <= 0) continue;
    figures.binds.push_back(
        {std::string(role) + ": " + name, utilisation * time / breakdown.duration});
  }
}

bool is_open_stream(const metrics::Result& result, const Scenario& scenario) {
  return scenario.workload.arrivals.kind != work::ArrivalKind::kClosedLoop &&
         result.measured.request_rate > 0 && result.window.rule != metrics::WindowRule::kWholeRun;
}

/// Of the requests sent in the window.
struct Offer {
  double requests = 0, new_tokens = 0, cached = 0, output = 0;
  double context = 0;  // tokens a sequence holds, mean over the iterations of all
};

Offer offer_of(const metrics::Result& result) {
  Offer offer;
  for (const serve::RequestRecord& r : result.records) {
    if (r.initial_tokens > 0 || r.sent < result.window.from || r.sent >= result.window.to) continue;
    const auto output = static_cast<double>(r.output_tokens);
    ++offer.requests;
    offer.new_tokens += static_cast<double>(r.prompt_tokens - r.cached_tokens);
    offer.cached += static_cast<double>(r.cached_tokens);
    offer.output += output;
    offer.context += output * (static_cast<double>(r.prompt_tokens) + output / 2);
  }
  if (offer.output > 0) offer.context /= offer.output;
  return offer;
}

/// Full batches of the mean prompt on every instance.
std::optional<RoleLoad> prefill_load(const Offer& offer, const metrics::Result& result,
                                     const Scenario& scenario, const StepModels& models) {
  if (!models.prefill || offer.new_tokens <= 0) return std::nullopt;
  const serve::PrefillSpec& spec = scenario.deployment.prefill;
  const auto budget = static_cast<double>(spec.token_budget());
  const double prompt = offer.new_tokens / offer.requests;
  const auto sequences = std::max<std::int64_t>(1, std::llround(budget / prompt));
  const auto fresh = std::llround(prompt * static_cast<double>(sequences));
  const auto cached = std::llround(offer.cached / offer.requests * static_cast<double>(sequences));
  const Seconds duration =
      models.prefill->batch(even_prefill_batch(sequences, fresh, cached)).duration;
  RoleLoad load;
  load.offered = offer.new_tokens / result.window.length();
  load.sustained = static_cast<double>(fresh) / duration * spec.instances;
  load.within_slo = load.sustained;
  return load;
}

/// All dies hold as many sequences of the mean context as slots and KV space allow, or as many as
/// keep the TPOT limit. A step is taken to be longer than the even one by the factor seen in the
/// window, since the die with the longest contexts paces all.
std::optional<RoleLoad> decode_load(const Offer& offer, const metrics::Result& result,
                                    const Scenario& scenario, const StepModels& models) {
  const auto& seen = result.measured.decode;
  if (!models.decode || offer.output <= 0 || !seen || seen->iterations == 0) return std::nullopt;
  const int ranks = models.decode->experts().layout().ranks;
  const double tokens = seen->mean_tokens / seen->mean_sequences;  // of a sequence and step
  const auto even = [&](std::int64_t sequences, double context) {
    return models.decode->iteration(even_decode_batch(ranks, sequences, context).batch()).duration;
  };
  const double straggling =
      seen->iteration_ms.mean * 1e-3 /
      even(std::llround(seen->mean_sequences), seen->mean_context / seen->mean_sequences);
  const auto step = [&](std::int64_t per_rank) {
    return even(per_rank * ranks, offer.context) * straggling;
  };
  const auto rate = [&](std::int64_t per_rank) {
    return per_rank < 1 ? 0
                        : static_cast<double>(per_rank * ranks) * tokens / step(per_rank) *
                              scenario.deployment.decode.instances;
  };
  const auto kv = static_cast<std::int64_t>(
      static_cast<double>(models.decode->kv_capacity_per_die()) / std::max(1.0, offer.context));
  const std::int64_t slots =
      scenario.deployment.decode.max_num_seqs / scenario.platform.dies_per_npu;
  const std::int64_t most = std::max<std::int64_t>(1, std::min(slots, kv));
  // The largest batch that keeps the limit; a step never gets shorter with more sequences.
  std::int64_t keeps = 0, breaks = most + 1;
  while (breaks - keeps > 1) {
    const std::int64_t middle = (keeps + breaks) / 2;
    (step(middle) / tokens <= scenario.slo.tpot ? keeps : breaks) = middle;
  }
  RoleLoad load;
  load.offered = offer.output / result.window.length();
  load.within_slo = rate(keeps);
  load.sustained =
      std::max(rate(most), load.within_slo);  // more sequences may need more microbatches
  return load;
}

}  // namespace

void add_breakdowns(metrics::Result& result, const StepModels& models) {
  const auto shown = [](model::StepBreakdown breakdown) {
    breakdown.slices.clear();
    return breakdown;
  };
  metrics::Figures& measured = result.measured;
  if (const RoleResult* mean = mean_iteration(result, &metrics::Figures::decode)) {
    result.decode_breakdown =
        shown(models.decode->breakdown(even_step(*models.decode, *mean).batch()));
    add_binds(measured, "decode", measured.decode->utilisation, *result.decode_breakdown);
  }
  if (const RoleResult* mean = mean_iteration(result, &metrics::Figures::prefill)) {
    const auto sequences =
        even_prefill_batch(std::llround(mean->mean_sequences), std::llround(mean->mean_tokens),
                           std::llround(mean->mean_context));
    result.prefill_breakdown = shown(models.prefill->breakdown(sequences));
    add_binds(measured, "prefill", measured.prefill->utilisation, *result.prefill_breakdown);
  }
  std::ranges::stable_sort(measured.binds, std::ranges::greater{}, &metrics::Bind::share);
}

RoleLoads role_loads(const metrics::Result& result, const Scenario& scenario,
                     const StepModels& models) {
  if (!is_open_stream(result, scenario)) return {};
  const Offer offer = offer_of(result);
  return {prefill_load(offer, result, scenario, models),
          decode_load(offer, result, scenario, models)};
}

}  // namespace cmsim::run
