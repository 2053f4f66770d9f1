#include "mean_batch.hpp"

#include <cmath>

#include "batch_shape.hpp"

namespace cmsim::run {

void MeanBatch::on_prefill_batch(const serve::PrefillBatchEvent& event) {
  prefill_.push_back({event.end,
                      {static_cast<double>(event.sequences), static_cast<double>(event.new_tokens),
                       static_cast<double>(event.cached_tokens)}});
}

void MeanBatch::on_decode_step(const serve::DecodeStepEvent& event) {
  decode_.push_back(
      {event.end, {static_cast<double>(event.sequences), static_cast<double>(event.kv_tokens), 0}});
}

std::optional<MeanBatch::Mean> MeanBatch::decode(const metrics::SteadyWindow& window) const {
  return mean(decode_, window);
}

std::optional<MeanBatch::Mean> MeanBatch::prefill(const metrics::SteadyWindow& window) const {
  return mean(prefill_, window);
}

std::optional<MeanBatch::Mean> MeanBatch::mean(const std::vector<Sample>& samples,
                                               const metrics::SteadyWindow& window) {
  const auto inside = [&](const Sample& sample) {
    return sample.end > window.from && sample.end <= window.to;
  };
  bool any_inside = false;
  for (const Sample& sample : samples) any_inside = any_inside || inside(sample);
  Mean sum;
  double count = 0;
  for (const Sample& sample : samples) {
    if (any_inside && !inside(sample)) continue;
    sum.sequences += sample.batch.sequences;
    sum.tokens += sample.batch.tokens;
    sum.cached += sample.batch.cached;
    ++count;
  }
  if (count == 0 || sum.sequences == 0) return std::nullopt;
  return Mean{sum.sequences / count, sum.tokens / count, sum.cached / count};
}

void add_breakdowns(metrics::Result& result, const StepModels& models, const MeanBatch& batches) {
  const auto shown = [](model::StepBreakdown breakdown) {
    breakdown.slices.clear();
    return breakdown;
  };
  if (models.decode) {
    if (const auto mean = batches.decode(result.steady)) {
      const DecodeShape shape =
          even_decode_batch(models.decode->experts().layout().ranks, std::llround(mean->sequences),
                            mean->tokens / mean->sequences);
      result.decode_breakdown = shown(models.decode->breakdown(shape.batch()));
      result.decode_layer_us = result.decode_breakdown->layer * 1e6;
    }
  }
  if (models.prefill) {
    if (const auto mean = batches.prefill(result.steady)) {
      const auto sequences = even_prefill_batch(
          std::llround(mean->sequences), std::llround(mean->tokens), std::llround(mean->cached));
      result.prefill_breakdown = shown(models.prefill->breakdown(sequences));
    }
  }
}

}  // namespace cmsim::run
