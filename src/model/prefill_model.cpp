#include "cmsim/model/prefill_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "prefill_step.hpp"

namespace cmsim::model {
namespace {

constexpr double kAttentionTile =
    128;  // assumption: rows of the query tile of the attention kernel

}  // namespace

PrefillPipeline::Totals batch_totals(std::span<const PrefillSequence> sequences, bool packed) {
  PrefillPipeline::Totals totals;
  double longest = 0;
  for (const PrefillSequence& s : sequences) {
    const auto fresh = static_cast<double>(s.new_tokens),
               cached = static_cast<double>(s.cached_tokens);
    totals.tokens += fresh;
    totals.context += fresh + cached;
    // Tiles on the diagonal are computed whole.
    totals.pairs += fresh * cached + fresh * (fresh + kAttentionTile) / 2;
    totals.sequences += 1;
    longest = std::max(longest, fresh);
  }
  if (!packed) {  // padding is computed like tokens
    const double padding = longest * totals.sequences - totals.tokens;
    totals.tokens += padding;
    totals.context += padding;
  }
  return totals;
}

PrefillPipeline::PrefillPipeline(const hw::Platform& platform, const Architecture& architecture,
                                 const ModelOptions& options, int ranks, double max_tokens_per_rank)
    : PrefillPipeline(platform, architecture, options,
                      make_expert_load(architecture, options, Phase::kPrefill, ranks),
                      max_tokens_per_rank, 1) {}

PrefillPipeline::PrefillPipeline(const hw::Platform& platform, const Architecture& architecture,
                                 const ModelOptions& options,
                                 std::shared_ptr<const ExpertLoad> experts,
                                 double max_tokens_per_rank, double wire_scale)
    : platform_(platform),
      options_(options.prefill),
      mtp_layers_(options.decode.draft_tokens > 0 ? architecture.mtp_layers : 0),
      operators_(architecture, options.precision),
      device_(platform),
      experts_(std::move(experts)),
      layout_(experts_->layout()),
      shares_(peer_shares(platform, layout_.ranks)),
      wire_per_byte_(wire_scale * peer_bandwidth(platform).port_time(shares_)),
      memory_(plan_memory(platform, architecture, options, layout_.ranks, max_tokens_per_rank)) {}

MemoryPlan PrefillPipeline::plan_memory(const hw::Platform& platform,
                                        const Architecture& architecture,
                                        const ModelOptions& options, int ranks,
                                        double max_tokens_per_rank) {
  return plan_prefill_memory(
      platform, OperatorList(architecture, options.precision),
      derive_layout(architecture, ranks, options.experts.shared_copies, options.experts.redundant),
      max_tokens_per_rank / std::max(1, options.prefill.microbatches));
}

int PrefillPipeline::microbatches(const Totals& totals) const {
  if (options_.microbatches != 0) return options_.microbatches;
  // A function of the batch in steps of half an octave, not of the batches met before.
  constexpr double kStepsPerOctave = 2;
  const auto step = [](double value) {
    return static_cast<int>(std::lround(std::log2(std::max(1.0, value)) * kStepsPerOctave));
  };
  const auto value = [](int steps) { return std::exp2(steps / kStepsPerOctave); };
  const std::array<int, 3> shape{step(totals.tokens), step(totals.context / totals.tokens),
                                 step(totals.pairs / totals.tokens)};
  const auto found = splits_.find(shape);
  if (found != splits_.end()) return found->second;
  const double tokens = value(shape[0]);
  const Totals typical{tokens, tokens * value(shape[1]), tokens * value(shape[2]), 1};
  const int chosen =
      PrefillStep(*this, typical, 2, {}).duration() < PrefillStep(*this, typical, 1, {}).duration()
          ? 2
          : 1;
  splits_.emplace(shape, chosen);
  return chosen;
}

PrefillIteration PrefillPipeline::batch(std::span<const PrefillSequence> sequences) const {
  const Totals totals = batch_totals(sequences, options_.sequence_packing);
  if (totals.tokens <= 0) return {};
  const auto found = batches_.find(totals);
  if (found != batches_.end()) return found->second;
  const PrefillStep step(*this, totals, microbatches(totals), {});
  if (batches_.size() == kMostRemembered) batches_.clear();
  return batches_[totals] = {step.duration(), whole_bytes(step.hbm_bytes()),
                             whole_bytes(step.ub_bytes())};
}

}  // namespace cmsim::model
