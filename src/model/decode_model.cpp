#include "cmsim/model/decode_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "cmsim/base/error.hpp"
#include "decode_step.hpp"
#include "place.hpp"

namespace cmsim::model {
namespace {

DecodeOptions checked(DecodeOptions options, const Architecture& architecture,
                      const hw::DieSpec& die) {
  if (options.draft_tokens > 0 && architecture.mtp_layers == 0) {
    throw ConfigError(
        {"", 0, "/decode/mtp/draft_tokens"},
        fmt::format("found {}, allowed is 0: model \"{}\" has no MTP layer to draft with",
                    options.draft_tokens, architecture.name));
  }
  if (options.microbatches == 0 && !can_run_two_streams(die)) options.microbatches = 1;
  return options;
}

/// Splits of a die between two streams that are tried: about every 24th of its AIC cores from a
/// quarter to five sixths, every 8th of its AIV cores from a quarter to three quarters; both
/// streams have a core of either kind.
std::vector<DecodePlan> splits_of(const hw::DieSpec& die, int microbatches) {
  const int aic = die.aic_cores, aiv = die.aiv_cores;
  const int aic_step = std::max(1, aic / 24), aiv_step = std::max(1, aiv / 8);
  const int most_aic = std::min(aic - 1, aic - aic / 6), most_aiv = std::min(aiv - 1, aiv * 3 / 4);
  std::vector<DecodePlan> splits;
  for (int cores = std::max(1, aic / 4); cores <= most_aic; cores += aic_step) {
    for (int vector_cores = std::max(1, aiv / 4); vector_cores <= most_aiv;
         vector_cores += aiv_step) {
      splits.push_back({microbatches, cores, vector_cores});
    }
  }
  return splits;
}

constexpr double kStepsPerOctave = 2;  // of context, in the shape a plan is chosen by

int context_step(double tokens) {
  return static_cast<int>(std::lround(std::log2(std::max(1.0, tokens)) * kStepsPerOctave));
}

/// Tokens of `sequences` contexts of the step.
std::int64_t context_of(int step, int sequences) {
  return std::llround(sequences * std::exp2(step / kStepsPerOctave));
}

}  // namespace

DecodePipeline::DecodePipeline(const hw::Platform& platform, const Architecture& architecture,
                               const ModelOptions& options,
                               std::shared_ptr<const ExpertLoad> experts,
                               int max_sequences_per_rank, const InstancePlaces& places)
    : platform_(platform),
      architecture_(architecture),
      options_(checked(options.decode, architecture, platform.die)),
      operators_(architecture, options.precision),
      device_(platform),
      experts_(std::move(experts)),
      layout_(experts_->layout()),
      memory_(plan_memory(platform, architecture, options, layout_.ranks, max_sequences_per_rank)) {
  const RowShares received = experts_->received_shares();
  const auto make_place = [&](const std::vector<std::int32_t>& dies) {
    return Place{
        make_exchange(options_.exchange, platform_, operators_, places.network, dies, received),
        {},
        std::make_shared<BusiestRankTables>()};
  };
  places_ = by_place<Place>(places, make_place);
  const int exchanges = architecture_.moe_layers() + options_.draft_tokens;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const std::vector<std::int32_t>& dies = places.dies[i];
    wires_.push_back({exchanges,
                      std::make_shared<const coll::PortLoads>(
                          places_[i]->exchange->loads(places.network, dies, experts_->copies())),
                      nullptr});
  }
}

MemoryPlan DecodePipeline::plan_memory(const hw::Platform& platform,
                                       const Architecture& architecture,
                                       const ModelOptions& options, int ranks,
                                       int max_sequences_per_rank) {
  const DecodeOptions decode = checked(options.decode, architecture, platform.die);
  const OperatorList operators(architecture, options.precision);
  const ExpertLayout layout =
      derive_layout(architecture, ranks, options.experts.shared_copies, options.experts.redundant);
  return plan_decode_memory(platform, operators, layout, decode.exchange,
                            max_sequences_per_rank * (1.0 + decode.draft_tokens));
}

DecodePlan DecodePipeline::best_plan(const BatchShape& shape, std::int32_t instance) const {
  // One rank has the most sequences and the longest context, the others the mean.
  std::vector<std::int32_t> counts(static_cast<std::size_t>(layout_.ranks), shape.mean_sequences);
  std::vector<std::int64_t> contexts(counts.size(),
                                     context_of(shape.mean_context, shape.mean_sequences));
  counts.front() = shape.most_sequences;
  contexts.front() = context_of(shape.longest_context, shape.most_sequences);
  const DecodeBatch batch{counts, contexts, instance};
  std::vector<DecodePlan> candidates;
  if (options_.microbatches == 0) {
    candidates.push_back({1, platform_.die.aic_cores, platform_.die.aiv_cores});
  }
  const int microbatches = options_.microbatches == 0 ? 2 : options_.microbatches;
  if (options_.auto_split) {
    const std::vector<DecodePlan> splits = splits_of(platform_.die, microbatches);
    candidates.insert(candidates.end(), splits.begin(), splits.end());
  } else {
    candidates.push_back({microbatches, options_.attention_aic, options_.attention_aiv});
  }
  DecodePlan best = candidates.front();
  Seconds fastest = duration(batch, best);
  for (std::size_t i = 1; i < candidates.size(); ++i) {
    const Seconds time = duration(batch, candidates[i]);
    if (time < fastest) {
      fastest = time;
      best = candidates[i];
    }
  }
  return best;
}

DecodePlan DecodePipeline::plan(const DecodeBatch& batch) const {
  const DecodePlan whole{1, platform_.die.aic_cores, platform_.die.aiv_cores};
  if (options_.microbatches == 1) return whole;
  // A batch without a sequence for every microbatch on any rank runs whole.
  const int wanted = options_.microbatches == 0 ? 2 : options_.microbatches;
  if (std::none_of(batch.sequences.begin(), batch.sequences.end(),
                   [&](std::int32_t n) { return n >= wanted; })) {
    return whole;
  }
  if (options_.microbatches > 1 && !options_.auto_split) {
    return {options_.microbatches, options_.attention_aic, options_.attention_aiv};
  }
  // Chosen by the shape of the batch in coarse steps: a function of the shape, not of the batches
  // met before.
  std::int32_t most = 0;
  std::int64_t longest = 0, total_context = 0, total = 0;
  for (std::size_t r = 0; r < batch.sequences.size(); ++r) {
    most = std::max(most, batch.sequences[r]);
    longest = std::max(longest, batch.kv_tokens[r]);
    total += batch.sequences[r];
    total_context += batch.kv_tokens[r];
  }
  const double ranks = static_cast<double>(batch.sequences.size());
  const BatchShape shape{
      most, static_cast<std::int32_t>(std::lround(static_cast<double>(total) / ranks)),
      context_step(static_cast<double>(longest) / most),
      context_step(static_cast<double>(total_context) / static_cast<double>(total))};
  std::map<BatchShape, DecodePlan>& plans = place_of(batch).plans;
  const auto found = plans.find(shape);
  if (found != plans.end()) return found->second;
  const DecodePlan chosen = best_plan(shape, batch.instance);
  plans.emplace(shape, chosen);
  return chosen;
}

Seconds DecodePipeline::duration(const DecodeBatch& batch, const DecodePlan& plan,
                                 const StepVariant& variant) const {
  return DecodeStep(*this, plan, variant).run(batch);
}

Seconds DecodePipeline::stretched(const DecodeBatch& batch, double wire_stretch) const {
  return duration(batch, plan(batch), {.wire_stretch = wire_stretch});
}

DecodeIteration DecodePipeline::iteration(const DecodeBatch& batch) const {
  const DecodePlan chosen = plan(batch);
  DecodeIteration result;
  result.duration = duration(batch, chosen);
  std::int64_t total = 0, context = 0;
  for (std::size_t r = 0; r < batch.sequences.size(); ++r) {
    total += batch.sequences[r];
    context += batch.kv_tokens[r];
  }
  if (total == 0) return result;
  const auto sequences = static_cast<double>(total), kv = static_cast<double>(context);
  const double ranks = layout_.ranks;
  const double tokens = sequences / ranks * (1 + options_.draft_tokens);
  const double layers = architecture_.layers + options_.draft_tokens;
  const double moe_layers = architecture_.moe_layers() + options_.draft_tokens;
  const double passes = chosen.microbatches;  // each microbatch streams the weights again
  const double attention =
      passes * (operators_.mla_prolog(tokens / passes).hbm_bytes +
                operators_.o_proj(tokens / passes).hbm_bytes) +
      operators_.fused_attention(kv / ranks, 1 + options_.draft_tokens).hbm_bytes;
  const double experts = passes * operators_
                                      .expert_ffn(experts_->mean_rows(tokens * ranks / passes),
                                                  layout_.experts_per_rank())
                                      .hbm_bytes;
  const double dense = passes * operators_.dense_ffn(tokens / passes).hbm_bytes;
  const double heads = (1 + options_.draft_tokens) * operators_.lm_head(tokens).hbm_bytes;
  result.bytes_per_die.hbm = whole_bytes(layers * attention + moe_layers * experts +
                                         architecture_.dense_layers * dense + heads);
  const TokenExchange& exchange = *place_of(batch).exchange;
  const double copies = experts_->copies();
  result.bytes_per_die.ub = whole_bytes(moe_layers * exchange.ub_bytes(tokens, copies));
  result.bytes_per_die.exchange = whole_bytes(moe_layers * exchange.bytes(tokens, copies));
  return result;
}

}  // namespace cmsim::model
