#include "cmsim/model/prefill_model.hpp"

#include <algorithm>

#include "prefill_step.hpp"

namespace cmsim::model {
namespace {

ExpertOptions with_staleness(ExpertOptions experts, double staleness) {
  experts.staleness = staleness;
  return experts;
}

constexpr double kAttentionTile =
    128;  // assumption: rows of the query tile of the attention kernel

PrefillPipeline::Totals total(std::span<const PrefillSequence> sequences, bool packed) {
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

}  // namespace

PrefillPipeline::PrefillPipeline(const hw::Platform& platform, const Architecture& architecture,
                                 const ModelOptions& options, int ranks, double max_tokens_per_rank,
                                 double wire_scale)
    : platform_(platform),
      options_(options.prefill),
      mtp_layers_(options.decode.draft_tokens > 0 ? architecture.mtp_layers : 0),
      operators_(architecture, options.precision),
      device_(platform),
      layout_(derive_layout(architecture, ranks, options.experts.shared_copies,
                            options.experts.redundant)),
      experts_(architecture, layout_, with_staleness(options.experts, options.prefill.staleness),
               Phase::kPrefill, options.experts.seed, options.popularity),
      shares_(peer_shares(platform, ranks)),
      wire_scale_(wire_scale),
      memory_(plan_prefill_memory(platform, operators_, layout_,
                                  max_tokens_per_rank / options.prefill.microbatches)) {}

PrefillIteration PrefillPipeline::batch(std::span<const PrefillSequence> sequences) const {
  const Totals totals = total(sequences, options_.sequence_packing);
  if (totals.tokens <= 0) return {};
  const PrefillStep step(*this, totals, {});
  return {step.duration(), static_cast<Bytes>(step.hbm_bytes()),
          static_cast<Bytes>(step.ub_bytes())};
}

StepBreakdown PrefillPipeline::breakdown(std::span<const PrefillSequence> sequences) const {
  const Totals totals = total(sequences, options_.sequence_packing);
  StepBreakdown result;
  if (totals.tokens <= 0) return result;
  const PrefillStep step(*this, totals, {});
  const BytesPerSecond bandwidth = device_.hbm_bandwidth();
  static constexpr const char* kTracks[] = {"AIC", "AIV", "SDMA"};
  result.duration = step.duration();
  result.layer = step.layer_time();
  result.dense_layers = step.dense_time();
  result.moe_layers = step.moe_time();
  result.mtp = step.mtp_time();
  result.head = step.head_time();
  std::vector<Seconds> duration(step.chain().size(), 0);
  std::vector<int> count(step.chain().size(), 0);
  for (const PlacedTask& placed : step.schedule().tasks) {
    const Task& task = step.chain()[placed.task];
    duration[placed.task] += placed.end - placed.start;
    ++count[placed.task];
    result.microbatches = std::max(result.microbatches, placed.microbatch + 1);
    result.slices.push_back({task.name, kTracks[static_cast<int>(task.unit)], placed.start,
                             placed.end - placed.start, placed.repetition, placed.microbatch});
  }
  std::vector<std::pair<std::string, Seconds>> streams{{"AIC", 0}, {"AIV", 0}, {"SDMA", 0}};
  for (std::size_t i = 0; i < step.chain().size(); ++i) {
    const Task& task = step.chain()[i];
    const Seconds mean = duration[i] / std::max(1, count[i]);
    result.operators.push_back({task.name, kTracks[static_cast<int>(task.unit)],
                                task.cost.alone(bandwidth), mean, task.cost.hbm_bytes});
    streams[static_cast<std::size_t>(task.unit)].second += mean;
  }
  result.streams = std::move(streams);
  const auto without = [&](const PrefillIdeal& ideal) {
    return result.duration - PrefillStep(*this, totals, ideal).duration();
  };
  result.losses.imbalance = without({.balanced = true});
  result.losses.communication = without({.free_exchange = true});
  result.losses.launch = without({.free_launch = true});
  return result;
}

}  // namespace cmsim::model
