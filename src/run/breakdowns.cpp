#include "breakdowns.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "batch_shape.hpp"
#include "cmsim/metrics/load.hpp"
#include "decode_mix.hpp"

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

/// With experts placed as long ago as they were on average.
const model::DecodePipeline& typical_decode(const metrics::Result& result,
                                            const StepModels& models) {
  const RoleResult* mean = mean_iteration(result, &metrics::Figures::decode);
  const bool ages = mean != nullptr && mean->rebalancing;
  return models.decode_aged(ages ? mean->rebalancing->mean_age : 0);
}

/// Its prompts each on a rank of its own.
DecodeShape even_step(const model::DecodePipeline& model, const RoleResult& mean) {
  DecodeShape shape = even_decode_batch(model.ranks(), std::llround(mean.mean_sequences),
                                        mean.mean_context / mean.mean_sequences);
  if (mean.prompts && mean.prompts->mean_tokens >= 1) {
    const auto computing = std::clamp<std::size_t>(
        static_cast<std::size_t>(std::llround(mean.prompts->mean_sequences)), 1,
        shape.sequences.size());
    const auto of_each = [&](double all) {
      return std::llround(all / static_cast<double>(computing));
    };
    shape.prompts.resize(shape.sequences.size());
    std::fill_n(shape.prompts.begin(), computing,
                model::prompt_load(std::array{model::PrefillSequence{
                    of_each(mean.prompts->mean_tokens), of_each(mean.prompts->mean_context)}}));
  }
  return shape;
}

void add_binds(metrics::Figures& figures, const char* role, double utilisation,
               const model::StepBreakdown& breakdown) {
  for (const auto& [name, time] : breakdown.critical_path) {
    if (utilisation * time <= 0) continue;
    figures.binds.push_back(
        {std::string(role) + ": " + name, utilisation * time / breakdown.duration});
  }
}

/// What is sent in the span.
struct Sent {
  double requests = 0, new_tokens = 0, cached = 0, output = 0;
  std::vector<Lengths> lengths;
};

Sent sent_in(const metrics::Result& result, const metrics::LoadSpan& span) {
  Sent sent;
  for (const serve::RequestRecord& r : result.records) {
    if (r.initial_tokens > 0 || r.sent < span.from || r.sent >= span.to) continue;
    ++sent.requests;
    sent.new_tokens += static_cast<double>(r.prompt_tokens - r.cached_tokens);
    sent.cached += static_cast<double>(r.cached_tokens);
    sent.output += static_cast<double>(r.output_tokens);
    sent.lengths.push_back({r.prompt_tokens, r.output_tokens, r.prompt_tokens - r.cached_tokens});
  }
  return sent;
}

/// Full batches of the mean prompt on every instance.
std::optional<RoleLoad> prefill_load(const Sent& sent, const metrics::LoadSpan& span,
                                     const Scenario& scenario, const StepModels& models) {
  if (!models.prefill || sent.new_tokens <= 0) return std::nullopt;
  const serve::PrefillSpec& spec = scenario.deployment.prefill;
  const auto budget = static_cast<double>(spec.token_budget());
  const double prompt = sent.new_tokens / sent.requests;
  const auto sequences = std::max<std::int64_t>(1, std::llround(budget / prompt));
  const auto fresh = std::llround(prompt * static_cast<double>(sequences));
  const auto cached = std::llround(sent.cached / sent.requests * static_cast<double>(sequences));
  const auto batch = even_prefill_batch(sequences, fresh, cached);
  const std::int64_t blocks = cached / scenario.deployment.cache.block_size;
  RoleLoad load;
  load.offered = sent.new_tokens / span.length();
  load.sustained = 0;
  for (int i = 0; i < scenario.deployment.prefill_instances(); ++i) {
    load.sustained +=
        static_cast<double>(fresh) / models.prefill->batch({batch, i, blocks}).duration;
  }
  load.within_slo = load.sustained;
  return load;
}

/// Decode with as many of these requests as slots and KV space allow, and with as many as keep the
/// TPOT limit: the step is that of the very batch, with the die that it loads the most. The draw is
/// the same for every seed.
std::optional<RoleLoad> decode_load(const Sent& sent, const metrics::LoadSpan& span,
                                    const Scenario& scenario, const model::DecodePipeline& model) {
  const DecodeMix mix(sent.lengths, scenario, model, RandomStream(1, "run/load"));
  const Seconds longest = scenario.slo.tpot * mix.tokens_per_step();
  RoleLoad load;
  load.offered = sent.output / span.length();
  load.within_slo = mix.rate(mix.most([&](std::size_t n) { return mix.step(n) <= longest; }));
  // More requests may need more microbatches.
  load.sustained = std::max(mix.rate(mix.members().size()), load.within_slo);
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
    const model::DecodePipeline& decode = typical_decode(result, models);
    result.decode_breakdown = shown(decode.breakdown(even_step(decode, *mean).batch()));
    add_binds(measured, "decode", measured.decode->utilisation, *result.decode_breakdown);
  }
  if (const RoleResult* mean = mean_iteration(result, &metrics::Figures::prefill)) {
    const auto sequences =
        even_prefill_batch(std::llround(mean->mean_sequences), std::llround(mean->mean_tokens),
                           std::llround(mean->mean_context));
    result.prefill_breakdown = shown(models.prefill->breakdown(
        {.sequences = sequences, .cached_blocks = std::llround(mean->mean_cached_blocks)}));
    add_binds(measured, "prefill", measured.prefill->utilisation, *result.prefill_breakdown);
  }
  std::ranges::stable_sort(measured.binds, std::ranges::greater{}, &metrics::Bind::share);
}

metrics::Offer offer_of(const metrics::Result& result, const Scenario& scenario,
                        const StepModels& models) {
  if (scenario.workload.arrivals.kind == work::ArrivalKind::kClosedLoop) {
    return {metrics::Stream::kClosedLoop, {}, {}};
  }
  const metrics::LoadSpan span = metrics::load_span(result);
  if (span.length() <= 0) return {};
  const Sent sent = sent_in(result, span);
  metrics::Offer offer{metrics::Stream::kOpen, prefill_load(sent, span, scenario, models), {}};
  if (models.decode && sent.output > 0) {
    offer.decode = decode_load(sent, span, scenario, typical_decode(result, models));
  }
  return offer;
}

}  // namespace cmsim::run
