#include "cmsim/model/prefill_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "cmsim/base/error.hpp"
#include "place.hpp"
#include "prefill_step.hpp"

namespace cmsim::model {
namespace {

constexpr double kAttentionTile =
    128;  // assumption: rows of the query tile of the attention kernel

/// As given, else as many ranks as there are heads for and the scale-up plane joins.
int prefill_tp(const hw::Platform& platform, const Architecture& architecture,
               const PrefillOptions& options, int ranks) {
  if (options.attention_tp == 0) {
    const int joined = platform.nodes_in(platform.ub.fabric.scope) * platform.dies_per_node();
    return tensor_parallel_degree(architecture, std::min(ranks, joined));
  }
  if (options.attention_tp <= architecture.heads) return options.attention_tp;
  throw ConfigError({"", 0, "/deployment/prefill/attention/tp"},
                    fmt::format("found {}, allowed is up to the {} heads of model \"{}\"",
                                options.attention_tp, architecture.heads, architecture.name));
}

}  // namespace

PromptLoad prompt_load(std::span<const PrefillSequence> sequences, bool packed) {
  PromptLoad totals;
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
                                 const ModelOptions& options,
                                 std::shared_ptr<const ExpertLoad> experts,
                                 double max_tokens_per_rank, const InstancePlaces& places)
    : platform_(platform),
      options_(options.prefill),
      mtp_layers_(options.decode.draft_tokens > 0 ? architecture.mtp_layers : 0),
      tp_(prefill_tp(platform, architecture, options.prefill, experts->layout().ranks)),
      operators_(architecture, options.precision),
      device_(platform),
      experts_(std::move(experts)),
      layout_(experts_->layout()),
      memory_(plan_memory(platform, architecture, options, layout_.ranks, max_tokens_per_rank)) {
  const hw::UnitNames& units = platform_.die.units;
  const std::array names{&units.matrix, &units.vector, &units.dma};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto known = std::ranges::find(servers_, *names[i]);
    server_of_unit_[i] = static_cast<int>(known - servers_.begin());
    if (known == servers_.end()) servers_.push_back(*names[i]);
  }
  const auto received = experts_->received_shares();
  places_ = by_place<Place>(places, [&](const std::vector<std::int32_t>& dies) {
    return make_place(places, dies, received);
  });
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const std::vector<std::int32_t>& dies = places.dies[i];
    WireUse& wires = wires_.emplace_back();
    wires.exchanges = architecture.layers + mtp_layers_;
    if (tp_ > 1) {
      const coll::ExchangeNetwork::Subgroups groups = tensor_parallel_groups(dies);
      wires.collective = std::make_shared<const coll::PortLoads>(
          places.network.loads(groups, coll::even_shape(groups)));
    }
    if (!architecture.has_experts()) continue;
    const Place& place = *places_[i];
    wires.exchange = std::make_shared<const coll::PortLoads>(
        place.relay
            ? place.relay->loads(places.network, dies, experts_->copies())
            : place.exchange.loads(places.network, dies, operators_.dispatch_message_bytes(),
                                   operators_.combine_message_bytes()));
  }
}

coll::ExchangeNetwork::Subgroups PrefillPipeline::tensor_parallel_groups(
    const std::vector<std::int32_t>& dies) const {
  const auto tp = static_cast<std::size_t>(tp_);
  coll::ExchangeNetwork::Subgroups groups;
  for (std::size_t first = 0; first < dies.size(); first += tp) {
    const auto begin = dies.begin() + static_cast<std::ptrdiff_t>(first);
    const auto size = static_cast<std::ptrdiff_t>(std::min(tp, dies.size() - first));
    groups.emplace_back(begin, begin + size);
  }
  return groups;
}

PrefillPipeline::Place PrefillPipeline::make_place(const InstancePlaces& places,
                                                   const std::vector<std::int32_t>& dies,
                                                   const RowShares& received) const {
  Place place{.exchange = ExchangeCosts(places.network, {dies}, received),
              .exchange_leaves = leaving_package(platform_, {dies})};
  const bool relayed = options_.exchange == PrefillExchange::kAuto
                           ? !scale_up_joins(platform_, dies)
                           : options_.exchange == PrefillExchange::kTwoLevel;
  if (relayed && operators_.architecture().has_experts()) {
    const double copies = experts_->copies();
    const Relay& relay =
        place.relay.emplace(platform_, places.network, dies, operators_.architecture());
    place.exchange_moves = relay.moved(copies) / copies;
    place.exchange_leaves = (relay.remote(copies) + relay.forwarded(copies)) / relay.moved(copies);
  }
  if (tp_ == 1) return place;  // nothing to collect
  const coll::ExchangeNetwork::Subgroups groups = tensor_parallel_groups(dies);
  place.collective = coll::even_cost(places.network, groups);
  place.collective_leaves = leaving_package(platform_, groups);
  return place;
}

MemoryPlan PrefillPipeline::plan_memory(const hw::Platform& platform,
                                        const Architecture& architecture,
                                        const ModelOptions& options, int ranks,
                                        double max_tokens_per_rank) {
  return plan_prefill_memory(platform, OperatorList(architecture, options.precision),
                             derive_layout(architecture, ranks, options.experts),
                             prefill_tp(platform, architecture, options.prefill, ranks),
                             max_tokens_per_rank / std::max(1, options.prefill.microbatches));
}

int PrefillPipeline::microbatches(const PromptLoad& totals, std::int32_t instance) const {
  if (options_.microbatches != 0) return options_.microbatches;
  // A function of the batch in steps of half an octave, not of the batches met before.
  constexpr double kStepsPerOctave = 2;
  const auto step = [](double value) {
    return static_cast<int>(std::lround(std::log2(std::max(1.0, value)) * kStepsPerOctave));
  };
  const auto value = [](int steps) { return std::exp2(steps / kStepsPerOctave); };
  const std::array<int, 4> shape{step(totals.tokens), step(totals.context / totals.tokens),
                                 step(totals.pairs / totals.tokens), step(totals.sequences)};
  Place& place = place_of(instance);
  const auto found = place.splits.find(shape);
  if (found != place.splits.end()) return found->second;
  const double tokens = value(shape[0]);
  const PromptLoad typical{tokens, tokens * value(shape[1]), tokens * value(shape[2]),
                           value(shape[3])};
  const auto duration = [&](int parts) {
    return PrefillStep(*this, instance, typical, parts, {}).duration();
  };
  const int chosen = duration(2) < duration(1) ? 2 : 1;
  place.splits.emplace(shape, chosen);
  return chosen;
}

Seconds PrefillPipeline::stretched(const PrefillBatch& batch, double wire_stretch) const {
  const PromptLoad totals = prompt_load(batch.sequences, options_.sequence_packing);
  if (totals.tokens <= 0) return 0;
  const int parts = microbatches(totals, batch.instance);
  return host_time(batch.cached_blocks) +
         PrefillStep(*this, batch.instance, totals, parts, {.wire_stretch = wire_stretch})
             .duration();
}

PrefillIteration PrefillPipeline::batch(const PrefillBatch& batch) const {
  const PromptLoad totals = prompt_load(batch.sequences, options_.sequence_packing);
  if (totals.tokens <= 0) return {};
  Place& place = place_of(batch.instance);
  auto found = place.batches.find(totals);
  if (found == place.batches.end()) {
    const PrefillStep step(*this, batch.instance, totals, microbatches(totals, batch.instance), {});
    if (place.batches.size() == kMostRemembered) place.batches.clear();
    const PrefillIteration iteration{step.duration(),
                                     {.hbm = whole_bytes(step.hbm_bytes()),
                                      .ub = whole_bytes(step.ub_bytes()),
                                      .exchange = whole_bytes(step.exchange_bytes()),
                                      .collective = whole_bytes(step.collective_bytes())}};
    found = place.batches.emplace(totals, iteration).first;
  }
  PrefillIteration iteration = found->second;
  iteration.duration += host_time(batch.cached_blocks);
  return iteration;
}

Seconds PrefillPipeline::host_time(std::int64_t cached_blocks) const {
  const hw::HostSpec& host = platform_.host;
  return host.prefill_batch + static_cast<double>(cached_blocks) * host.cached_block;
}

}  // namespace cmsim::model
