#include "cmsim/model/decode_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <utility>

#include "cmsim/base/error.hpp"
#include "decode_step.hpp"
#include "place.hpp"

namespace cmsim::model {
namespace {

DecodeOptions checked(DecodeOptions options, const Architecture& architecture,
                      const hw::Platform& platform) {
  if (options.draft_tokens > 0 && architecture.mtp_layers == 0) {
    throw ConfigError(
        {"", 0, "/decode/mtp/draft_tokens"},
        fmt::format("found {}, allowed is 0: model \"{}\" has no MTP layer to draft with",
                    options.draft_tokens, architecture.name));
  }
  if (options.is_disaggregated() && !architecture.has_experts()) {
    throw ConfigError(
        {"", 0, "/deployment/decode/experts"},
        fmt::format("model \"{}\" has no experts to put on NPUs of their own", architecture.name));
  }
  if (options.is_disaggregated() && options.exchange == ExchangeKind::kTwoLevel) {
    throw ConfigError({"", 0, "/decode/exchange"},
                      "found \"two_level\", allowed are \"fused\" and \"basic\" where attention "
                      "and experts have NPUs of their own: its relays are ranks that do both");
  }
  if (options.attention_group.dies > architecture.heads) {
    throw ConfigError(
        {"", 0, "/deployment/decode/attention/tp"},
        fmt::format("found {}, allowed is up to the {} heads of model \"{}\"",
                    options.attention_group.dies, architecture.heads, architecture.name));
  }
  const bool can_hide_exchanges = architecture.has_experts() && can_run_microbatches(platform);
  if (options.microbatches == 0 && !can_hide_exchanges) options.microbatches = 1;
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

constexpr int kPair = 2;  // cube cores that are divided together

/// Vector cores in proportion.
DecodePlan with_cores(const hw::DieSpec& die, int microbatches, int attention_aic) {
  const double share = static_cast<double>(attention_aic) / die.aic_cores;
  const int aiv = static_cast<int>(std::lround(share * die.aiv_cores));
  return {microbatches, attention_aic, std::clamp(aiv, 1, die.aiv_cores - 1)};
}

std::vector<DecodePlan> splits_in_pairs(const hw::DieSpec& die, int microbatches) {
  std::vector<DecodePlan> splits;
  for (int aic = std::min(kPair, die.aic_cores - 1); aic < die.aic_cores; aic += kPair) {
    splits.push_back(with_cores(die, microbatches, aic));
  }
  return splits;
}

}  // namespace

DecodePipeline::DecodePipeline(const hw::Platform& platform, const Architecture& architecture,
                               const ModelOptions& options,
                               std::shared_ptr<const ExpertLoad> experts,
                               int max_sequences_per_rank, const InstancePlaces& places)
    : platform_(platform),
      architecture_(architecture),
      options_(checked(options.decode, architecture, platform)),
      operators_(architecture, options.precision),
      device_(platform),
      experts_(std::move(experts)),
      layout_(experts_->layout()),
      dies_(options_.attention_dies + layout_.ranks),
      memory_(plan_memory(platform, architecture, options, layout_.ranks, max_sequences_per_rank)) {
  const RowShares received = experts_->received_shares();
  const auto make_place = [&](const std::vector<std::int32_t>& dies) {
    Place place;
    place.exchange = make_exchange(options_.exchange, platform_, operators_, places.network,
                                   {dies, options_.attention_dies}, received);
    place.busiest = std::make_shared<BusiestRankTables>();
    place.token_times = std::make_shared<TokenTimesTable>();
    if (options_.attention_group.dies == 1) return place;  // nothing to collect
    const auto of_ranks = rank_dies(dies);
    place.collective = coll::even_cost(places.network, of_ranks);
    place.collective_leaves = leaving_package(platform_, of_ranks);
    return place;
  };
  places_ = by_place<Place>(places, make_place);
  const int exchanges = architecture_.moe_layers() + options_.draft_tokens;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const std::vector<std::int32_t>& dies = places.dies[i];
    WireUse& wires = wires_.emplace_back();
    wires.exchanges = exchanges;
    if (options_.attention_group.dies > 1) {
      const auto of_ranks = rank_dies(dies);
      wires.collective = std::make_shared<const coll::PortLoads>(
          places.network.loads(of_ranks, coll::even_shape(of_ranks)));
      wires.exchanges = architecture_.layers + options_.draft_tokens;
    }
    if (exchanges == 0) continue;  // dense
    wires.exchange = std::make_shared<const coll::PortLoads>(
        places_[i]->exchange->loads(places.network, dies, experts_->copies()));
  }
  const DecodePlan deployed =
      planned(options_.planned_sequences > 0 ? options_.planned_sequences : max_sequences_per_rank);
  plans_ = {deployed};
  std::ranges::copy_if(possible(), std::back_inserter(plans_),
                       [&](const DecodePlan& plan) { return plan != deployed; });
}

DecodePipeline DecodePipeline::with_experts(std::shared_ptr<const ExpertLoad> experts) const {
  DecodePipeline other = *this;
  other.experts_ = std::move(experts);
  std::map<std::shared_ptr<Place>, std::shared_ptr<Place>> made;
  for (std::shared_ptr<Place>& place : other.places_) {
    std::shared_ptr<Place>& own = made[place];
    if (own == nullptr) {
      own = std::make_shared<Place>(*place);
      own->busiest = std::make_shared<BusiestRankTables>();
      own->token_times = std::make_shared<TokenTimesTable>();
    }
    place = own;
  }
  return other;
}

MemoryPlan DecodePipeline::plan_memory(const hw::Platform& platform,
                                       const Architecture& architecture,
                                       const ModelOptions& options, int ranks,
                                       int max_sequences_per_rank) {
  const DecodeOptions decode = checked(options.decode, architecture, platform);
  const OperatorList operators(architecture, options.precision);
  const ExpertLayout layout = derive_layout(architecture, ranks, options.experts);
  const double max_tokens =
      std::max(max_sequences_per_rank * (1.0 + decode.draft_tokens), decode.most_tokens) /
      decode.attention_group.dies;
  return decode.is_disaggregated()
             ? plan_attention_memory(platform, operators, layout, max_tokens,
                                     decode.attention_group)
             : plan_decode_memory(platform, operators, layout, decode.exchange, max_tokens,
                                  decode.attention_group);
}

MemoryPlan DecodePipeline::plan_expert_memory(const hw::Platform& platform,
                                              const Architecture& architecture,
                                              const ModelOptions& options, int ranks,
                                              int max_sequences_per_rank) {
  const DecodeOptions decode = checked(options.decode, architecture, platform);
  const double sent = decode.attention_dies / decode.attention_group.dies * max_sequences_per_rank *
                      (1.0 + decode.draft_tokens);
  return model::plan_expert_memory(platform, OperatorList(architecture, options.precision),
                                   derive_layout(architecture, ranks, options.experts),
                                   decode.exchange, sent);
}

coll::ExchangeNetwork::Subgroups DecodePipeline::rank_dies(
    const std::vector<std::int32_t>& dies) const {
  const auto size = options_.attention_group.dies;
  coll::ExchangeNetwork::Subgroups groups;
  for (auto begin = dies.begin(); begin != dies.begin() + attending_dies(); begin += size) {
    groups.emplace_back(begin, begin + size);
  }
  return groups;
}

double DecodePipeline::collective_bytes(const MeanLoad& load) const {
  const AttentionGroup& group = options_.attention_group;
  if (group.dies <= 1) return 0;
  const double bytes = load.tokens() * (operators_.hidden_bytes() + operators_.partial_sum_bytes());
  if (!group.splits_kv) return bytes;
  return bytes +
         load.sequences * load.tokens_per_sequence *
             (operators_.query_bytes() + operators_.partial_output_bytes()) +
         load.prompts.context * operators_.kv_bytes_per_token_layer();
}

DecodePlan DecodePipeline::planned(double sequences_per_rank) const {
  if (options_.is_disaggregated()) return planned_apart(sequences_per_rank);
  const int microbatches = options_.microbatches > 0
                               ? options_.microbatches
                               : (sequences_per_rank >= kSequencesForTwo ? 2 : 1);
  if (microbatches == 1) return whole();
  if (!platform_.token_exchange.holds_cores) {
    return {microbatches, platform_.die.aic_cores, platform_.die.aiv_cores};
  }
  if (!options_.auto_split && options_.attention_aic > 0 && options_.attention_aiv > 0) {
    return {microbatches, options_.attention_aic, options_.attention_aiv};
  }
  if (!options_.auto_split) return tuned(microbatches);
  const FullBatch full = full_batch(std::max<double>(microbatches, sequences_per_rank));
  return fastest(full.batch(), splits_of(platform_.die, microbatches), {});
}

std::vector<DecodePlan> DecodePipeline::possible() const {
  std::vector<DecodePlan> plans{whole()};
  if (options_.is_disaggregated()) {
    for (const int microbatches : {2, 3}) {
      plans.push_back({microbatches, plans[0].attention_aic, plans[0].attention_aiv});
    }
  } else if (architecture_.has_experts() && can_run_microbatches(platform_)) {
    if (!platform_.token_exchange.holds_cores) {
      plans.push_back({2, plans[0].attention_aic, plans[0].attention_aiv});
    } else {
      std::ranges::copy(splits_in_pairs(platform_.die, 2), std::back_inserter(plans));
    }
  }
  return plans;
}

DecodePipeline::FullBatch DecodePipeline::full_batch(double sequences_per_rank) const {
  const auto sequences = static_cast<std::int32_t>(std::lround(sequences_per_rank));
  const double context = options_.planned_context > 0 ? options_.planned_context : kPlannedContext;
  const auto ranks = static_cast<std::size_t>(this->ranks());
  FullBatch full{std::vector<std::int32_t>(ranks, sequences),
                 std::vector<std::int64_t>(ranks, std::llround(sequences * context)),
                 {}};
  const double batches =  // that the prompts are planned beside
      options_.planned_sequences > 0 ? sequences_per_rank / options_.planned_sequences : 1;
  const auto tokens = static_cast<Tokens>(batches * options_.planned_prompt_tokens);
  if (tokens > 0) {
    full.prompts.assign(ranks, prompt_load(std::array{PrefillSequence{tokens, 0}}));
  }
  return full;
}

/// As many microbatches as make the full batch the fastest: with two, attention and experts wait
/// for the exchanges; with three, one is under way while either side computes.
DecodePlan DecodePipeline::planned_apart(double sequences_per_rank) const {
  DecodePlan plan = whole();
  const auto most = static_cast<int>(std::clamp(std::lround(sequences_per_rank), 1L, 3L));
  if (options_.microbatches > 0) {
    plan.microbatches = options_.microbatches;
    return plan;
  }
  std::vector<DecodePlan> plans;
  for (plan.microbatches = 1; plan.microbatches <= most; ++plan.microbatches) plans.push_back(plan);
  return fastest(full_batch(std::max(1.0, sequences_per_rank)).batch(), plans, {.balanced = true});
}

DecodePlan DecodePipeline::fastest(const DecodeBatch& full, const std::vector<DecodePlan>& splits,
                                   const StepVariant& variant) const {
  DecodePlan best = splits.front();
  Seconds least = std::numeric_limits<Seconds>::infinity();
  for (const DecodePlan& split : splits) {
    const Seconds time = duration(full, split, variant);
    if (time >= least) continue;
    least = time;
    best = split;
  }
  return best;
}

/// Tuned on balanced experts; what their load is skewed by gets a pair of cores. Cores that are
/// given stay.
DecodePlan DecodePipeline::tuned(int microbatches) const {
  const hw::DieSpec& die = platform_.die;
  int attention_aic = options_.attention_aic;
  if (attention_aic == 0) {
    const auto splits = splits_in_pairs(die, microbatches);
    const FullBatch full = full_batch(kTunedSequences);
    attention_aic = fastest(full.batch(), splits, {.balanced = true}).attention_aic;
    if (experts_->is_drawn() && attention_aic > kPair) attention_aic -= kPair;
  }
  DecodePlan plan = with_cores(die, microbatches, attention_aic);
  if (options_.attention_aiv > 0) plan.attention_aiv = options_.attention_aiv;
  return plan;
}

DecodePipeline::Totals DecodePipeline::totals_of(const DecodeBatch& batch) {
  const auto sequences = batch.sequences;
  const auto kv_tokens = batch.kv_tokens;
  Totals totals;
  for (std::size_t r = 0; r < sequences.size(); ++r) {
    totals.sequences += sequences[r];
    totals.kv_tokens += kv_tokens[r];
    totals.most_sequences = std::max(totals.most_sequences, sequences[r]);
  }
  return totals;
}

DecodePlan DecodePipeline::plan(const DecodeBatch& batch) const {
  return plan(batch, totals_of(batch));
}

DecodePlan DecodePipeline::plan(const DecodeBatch& batch, const Totals& totals) const {
  const DecodePlan& plan = plans_[static_cast<std::size_t>(batch.plan)];
  const bool fills = totals.most_sequences >= plan.microbatches ||
                     std::ranges::any_of(batch.prompts, [&](const PromptLoad& prompts) {
                       return prompts.tokens >= plan.microbatches;
                     });
  return fills ? plan : whole();
}

Seconds DecodePipeline::duration(const DecodeBatch& batch, const DecodePlan& plan,
                                 const StepVariant& variant) const {
  return DecodeStep(*this, plan, variant).run(batch);
}

Seconds DecodePipeline::stretched(const DecodeBatch& batch, double wire_stretch) const {
  return duration(batch, plan(batch), {.wire_stretch = wire_stretch});
}

/// Of the attention of a layer on a die that attends, in bytes of HBM; each microbatch streams the
/// weights again.
double DecodePipeline::attention_bytes(const MeanLoad& load, bool mtp) const {
  const double share = 1.0 / load.microbatches;
  double bytes = 2 * collective_bytes(load) / load.microbatches;
  if (load.sequences > 0) {
    for (const NamedWork& op : operators_.decode_attention(
             load.sequences / load.microbatches, load.kv_tokens / load.microbatches,
             load.tokens_per_sequence, mtp, options_.attention_group)) {
      bytes += op.work.hbm_bytes;
    }
  }
  if (load.prompts.tokens > 0) {
    for (const NamedWork& op : operators_.prompt_attention(
             load.prompts.part(share), load.sequences > 0, options_.attention_group)) {
      bytes += op.work.hbm_bytes;
    }
    if (mtp) bytes += operators_.mtp_projection(load.prompts.tokens * share).hbm_bytes;
  }
  return bytes * load.microbatches;
}

/// Of the experts of a layer with gate and exchanges, mean over all dies.
double DecodePipeline::expert_bytes(const MeanLoad& load) const {
  const double tokens = load.tokens() / load.microbatches / options_.attention_group.dies;
  const double of_group = tokens * attending_dies(), sent = tokens * experts_->copies();
  const double rows = experts_->mean_rows(of_group);
  const double active = experts_->active_experts(of_group, load.sequence_tokens).mean;
  const double attending =
      operators_.gate(tokens).hbm_bytes +
      sent * (2 * operators_.dispatch_message_bytes() + operators_.combine_message_bytes());
  const double computing =
      operators_.expert_ffn(rows, active).hbm_bytes + rows * operators_.combine_message_bytes();
  return (attending * attending_dies() + computing * layout_.ranks) / dies_ * load.microbatches;
}

DecodePipeline::MeanLoad DecodePipeline::mean_load(const DecodeBatch& batch, const Totals& totals,
                                                   int microbatches) const {
  PromptLoad prompts;
  double alike = 0;
  for (const PromptLoad& of_rank : batch.prompts) {
    prompts += of_rank;
    if (of_rank.tokens > 0) alike += of_rank.tokens * of_rank.tokens / of_rank.sequences;
  }
  const auto ranks = static_cast<double>(batch.sequences.size());
  const double drafted = 1.0 + options_.draft_tokens,
               tokens = static_cast<double>(totals.sequences) * drafted;
  MeanLoad load{static_cast<double>(totals.sequences) / ranks,
                static_cast<double>(totals.kv_tokens) / ranks,
                drafted,
                microbatches,
                prompts.part(1 / ranks),
                drafted};
  if (prompts.tokens > 0)
    load.sequence_tokens = (tokens * drafted + alike) / (tokens + prompts.tokens);
  return load;
}

DecodeIteration DecodePipeline::iteration(const DecodeBatch& batch) const {
  const Totals totals = totals_of(batch);
  const DecodePlan chosen = plan(batch, totals);
  DecodeIteration result;
  result.duration = duration(batch, chosen);
  const MeanLoad load = mean_load(batch, totals, chosen.microbatches);
  if (load.tokens() == 0) return result;
  const double group = options_.attention_group.dies, attending = attending_dies() / dies_;
  const auto moe_layers = static_cast<double>(architecture_.moe_layers());
  const double dense_tokens = load.tokens() / load.microbatches / group;
  double experts = moe_layers > 0 ? expert_bytes(load) : 0;
  double hbm = attending * (architecture_.layers * attention_bytes(load, false) +
                            architecture_.dense_layers * load.microbatches *
                                operators_.dense_ffn(dense_tokens).hbm_bytes +
                            operators_.lm_head(load.sampled(), 1 / group).hbm_bytes) +
               moe_layers * experts;
  double sent = moe_layers * load.tokens();
  double shared = architecture_.layers * collective_bytes(load);
  for (int draft = 0; draft < options_.draft_tokens; ++draft) {
    MeanLoad of_draft = load;
    if (draft > 0) {
      of_draft.tokens_per_sequence = of_draft.sequence_tokens = 1;
      of_draft.prompts = {};
    }
    if (draft == 1 || moe_layers == 0) experts = expert_bytes(of_draft);
    hbm += attending *
               (attention_bytes(of_draft, true) +
                operators_.lm_head(load.sequences + load.prompts.sequences, 1 / group).hbm_bytes) +
           experts;
    sent += of_draft.tokens();
    shared += collective_bytes(of_draft);
  }
  sent *= attending / group;
  shared *= attending;
  result.bytes_per_die.hbm = whole_bytes(hbm);
  const TokenExchange& exchange = *place_of(batch).exchange;
  result.bytes_per_die.ub = whole_bytes(exchange.ub_bytes(sent, experts_->copies()) +
                                        shared * place_of(batch).collective_leaves);
  result.bytes_per_die.collective = whole_bytes(shared);
  result.bytes_per_die.exchange = whole_bytes(exchange.bytes(sent, experts_->copies()));
  return result;
}

}  // namespace cmsim::model
