#include "decode_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace cmsim::model {
namespace {

template <class Values, class Drops>
void drop_if(Values& values, const Drops& drops) {
  values.erase(std::remove_if(values.begin(), values.end(), drops), values.end());
}

}  // namespace

DecodeStep::DecodeStep(const DecodePipeline& pipeline, const DecodePlan& plan,
                       const StepVariant& variant)
    : pipeline_(pipeline),
      plan_(plan),
      variant_(variant),
      bandwidth_(pipeline.device_.hbm_bandwidth()),
      jitter_(variant.no_jitter || variant.free_exchange
                  ? 0
                  : pipeline.platform_.token_exchange.jitter),
      group_(pipeline.options_.attention_group.dies),
      program_(pipeline.options_.is_disaggregated()            ? kDisaggregated
               : plan.microbatches == 1                        ? kOneStream
               : pipeline.platform_.token_exchange.holds_cores ? kTwoStreams
                                                               : kExchangesBeside) {
  const hw::DieSpec& die = pipeline.platform_.die;
  exchange_aiv_ = die.aiv_cores;
  if (plan_.microbatches < 1 || plan_.microbatches > kMostMicrobatches) {
    throw std::invalid_argument(fmt::format("decode plan: {} microbatches, allowed are 1 to {}",
                                            plan_.microbatches, kMostMicrobatches));
  }
  if (!program_.shares_hbm) return;
  const auto divides = [](int part, int whole) { return part >= 1 && part < whole; };
  if (!divides(plan_.attention_aic, die.aic_cores) ||
      !divides(plan_.attention_aiv, die.aiv_cores)) {
    throw std::invalid_argument(
        fmt::format("decode plan: {} of {} AIC and {} of {} AIV cores for attention; allowed: "
                    "at least one for either stream",
                    plan_.attention_aic, die.aic_cores, plan_.attention_aiv, die.aiv_cores));
  }
  attention_share_ = static_cast<double>(plan_.attention_aic) / die.aic_cores;
  expert_share_ = 1 - attention_share_;
  exchange_aiv_ = die.aiv_cores - plan_.attention_aiv;
}

OperatorCost DecodeStep::cost(const OperatorWork& work, double share) const {
  OperatorCost result = pipeline_.device_.cost(work, share);
  if (variant_.free_launch) result.fixed = 0;
  return result;
}

OperatorCost DecodeStep::exchange_cost(Seconds duration, double bytes) const {
  OperatorCost result;
  if (!variant_.free_exchange) {
    result.compute = duration;
    result.hbm_bytes = bytes;
  }
  return result;
}

ExchangeLoad DecodeStep::exchange_load(double tokens, double rows) const {
  ExchangeLoad load;
  load.tokens = tokens;
  load.copies = pipeline_.experts_->copies();
  load.straggler_rows = rows;
  load.aiv_cores = exchange_aiv_;
  load.stretch = variant_.wire_stretch;
  return load;
}

double DecodeStep::straggler_rows(int layer, double tokens) const {
  const ExpertLoad& experts = *pipeline_.experts_;
  return variant_.balanced ? experts.mean_rows(tokens)
                           : experts.straggler_rows(layer, tokens, sequence_tokens_);
}

Seconds DecodeStep::dispatch(double tokens) const {
  if (variant_.free_exchange) return 0;
  return exchange().dispatch(exchange_load(tokens, 0)).total();
}

double DecodeStep::active_experts(double tokens) const {
  const ActiveExperts active = pipeline_.experts_->active_experts(tokens, sequence_tokens_);
  return variant_.balanced ? active.mean : active.most;
}

OperatorCost DecodeStep::mlp(double rows, double tokens) const {
  OperatorCost result = mlp_base_;
  result.hbm_bytes += active_experts(tokens) * mlp_expert_bytes_;
  result.compute += rows * mlp_per_row_.compute;
  result.hbm_bytes += rows * mlp_per_row_.hbm_bytes;
  return result;
}

double DecodeStep::received_rows(double rows, double tokens) const {
  return pipeline_.layout_.shared_stays() ? rows - pipeline_.experts_->shared_rows(tokens) : rows;
}

DecodeStep::Received DecodeStep::receive(int layer, double rows, double tokens) const {
  if (variant_.free_exchange) return {};
  ExchangeLoad load = exchange_load(0, received_rows(rows, tokens));
  load.mean_tokens = tokens / pipeline_.dies_;
  load.layer = variant_.balanced ? ExchangeCosts::kEven : layer;
  const Seconds port = exchange().dispatch(load).total();
  load.tokens = max_tokens_;
  return {port, exchange().combine(load).total()};
}

BusiestRank DecodeStep::busiest_rank(int layer, double tokens) const {
  const double rows = straggler_rows(layer, tokens);
  const Received received = receive(layer, rows, tokens);
  return {rows, received.dispatch, alone(mlp(rows, tokens)), received.combine};
}

bool DecodeStep::is_remembered() const {
  return !variant_.balanced && !variant_.free_exchange && !variant_.free_launch &&
         variant_.wire_stretch == 1;
}

std::shared_ptr<const BusiestRanks> DecodeStep::busiest_ranks(double tokens) const {
  const auto make = [&] {
    BusiestRanks ranks;
    for (int l = 0; l < pipeline_.experts_->layers(); ++l) {
      ranks.by_layer.push_back(busiest_rank(l, tokens));
    }
    const int moe_layers = pipeline_.architecture_.moe_layers();
    if (moe_layers == 0) return ranks;
    std::vector<int> layers(static_cast<std::size_t>(moe_layers));
    std::iota(layers.begin(), layers.end(), 0);
    const auto median = layers.begin() + moe_layers / 2;
    std::nth_element(layers.begin(), median, layers.end(), [&](int a, int b) {
      return ranks.by_layer[static_cast<std::size_t>(a)].rows <
             ranks.by_layer[static_cast<std::size_t>(b)].rows;
    });
    ranks.median_layer = *median;
    return ranks;
  };
  if (!is_remembered()) {
    return std::make_shared<const BusiestRanks>(make());
  }
  return place_->busiest->get({plan_.microbatches, plan_.attention_aic, plan_.attention_aiv, tokens,
                               max_tokens_, sequence_tokens_},
                              make);
}

void DecodeStep::group(const DecodeBatch& batch) {
  struct Alike {  // ranks with the same number of sequences
    std::int64_t ranks = 0, kv_tokens = 0;
  };
  boost::container::small_vector<Alike, 64> by_sequences(1);  // small integers
  Alike* alike = by_sequences.data();
  const bool has_prompts = !batch.prompts.empty();
  const auto sequences = batch.sequences;
  const auto kv_tokens = batch.kv_tokens;
  for (std::size_t r = 0; r < sequences.size(); ++r) {
    if (sequences[r] == 0) continue;  // waits, but never paces
    if (has_prompts && batch.prompts[r].tokens > 0) continue;
    const auto n = static_cast<std::size_t>(sequences[r]);
    if (n >= by_sequences.size()) {
      by_sequences.resize(n + 1);
      alike = by_sequences.data();
    }
    alike[n].kv_tokens = std::max(alike[n].kv_tokens, kv_tokens[r]);
    ++alike[n].ranks;
  }
  groups_.clear();
  for (std::size_t n = 1; n < by_sequences.size(); ++n) {
    const Alike& found = by_sequences[n];
    if (found.ranks == 0) continue;
    groups_.push_back({static_cast<int>(n), found.ranks, static_cast<double>(found.kv_tokens), {}});
  }
  add_prompts(batch);
}

/// And how many of the tokens that are met in the step are routed alike: of the sequences each as
/// many as it drafts, of the prompts each as many as of it are computed.
void DecodeStep::add_prompts(const DecodeBatch& batch) {
  const double drafted = 1.0 + pipeline_.options_.draft_tokens;
  sequence_tokens_ = drafted;
  if (batch.prompts.empty()) return;
  double tokens = 0, alike = 0;
  for (const Group& group : groups_) {
    tokens += static_cast<double>(group.ranks) * group.sequences * drafted;
  }
  alike = tokens * drafted;
  for (std::size_t r = 0; r < batch.sequences.size(); ++r) {
    const PromptLoad& prompts = batch.prompts[r];
    if (prompts.tokens <= 0) continue;
    groups_.push_back({batch.sequences[r], 1, static_cast<double>(batch.kv_tokens[r]), prompts});
    tokens += batch.sequences[r] * drafted + prompts.tokens;
    alike += batch.sequences[r] * drafted * drafted +
             prompts.tokens * prompts.tokens / prompts.sequences;
  }
  if (tokens > 0) sequence_tokens_ = alike / tokens;
}

bool DecodeStep::Group::covers(const Group& other) const {
  return sequences >= other.sequences && kv_tokens >= other.kv_tokens &&
         prompts.tokens >= other.prompts.tokens && prompts.context >= other.prompts.context &&
         prompts.pairs >= other.prompts.pairs;
}

template <class Load>
DecodeStep::Share DecodeStep::share(const Load& load, int microbatch, const Pass& pass) const {
  Share share;
  share.sequences = (load.sequences + plan_.microbatches - 1 - microbatch) / plan_.microbatches;
  share.tokens_per_sequence = pass.tokens_per_sequence;
  if (load.sequences > 0) share.kv_tokens = load.kv_tokens * share.sequences / load.sequences;
  if (pass.computes_prompts) share.prompts = load.prompts.part(1.0 / plan_.microbatches);
  return share;
}

void DecodeStep::find_pacing_ranks(const Pass& pass) {
  boost::container::small_vector<const Group*, 16> pacing;
  tokens_.fill(0);
  max_tokens_ = 0;
  for (const Group& group : groups_) {
    for (int m = 0; m < plan_.microbatches; ++m) {
      const double tokens = share(group, m, pass).tokens();
      tokens_[m] += static_cast<double>(group.ranks) * tokens;
      if (m == 0) max_tokens_ = std::max(max_tokens_, tokens / group_);
    }
    // A rank with less of everything cannot be slower in any part.
    if (group.prompts.tokens > 0) {
      if (std::ranges::any_of(pacing, [&](const Group* other) { return other->covers(group); })) {
        continue;
      }
      drop_if(pacing, [&](const Group* other) { return group.covers(*other); });
    } else {
      while (!pacing.empty() && pacing.back()->kv_tokens <= group.kv_tokens) pacing.pop_back();
    }
    pacing.push_back(&group);
  }
  ranks_.clear();
  for (const Group* group : pacing) {
    Rank& rank = ranks_.emplace_back(Rank{group->sequences, group->kv_tokens, group->prompts, {}});
    for (int m = 0; m < plan_.microbatches; ++m) {
      rank.times[m] = times_of(share(rank, m, pass), pass.mtp);
    }
  }
}

/// Of the ranks that may pace the step, whose sequences have the same tokens as in the pass before.
void DecodeStep::add_mtp_projection(const Pass& pass) {
  for (Rank& rank : ranks_) {
    for (int m = 0; m < plan_.microbatches; ++m) {
      const Share part = share(rank, m, pass);
      RankTimes& times = rank.times[m];
      if (!is_plain(part)) {
        times = times_of(part, true);
        continue;
      }
      TokenTimes made;
      const TokenTimes& of_tokens = token_times(part, made);
      times.attention = of_tokens.mtp_prolog + times.indexer + times.attending + of_tokens.o_proj;
    }
  }
}

/// Sequences alone, each rank on a die of its own.
bool DecodeStep::is_plain(const Share& share) const {
  return group_ == 1 && share.prompts.tokens == 0;
}

DecodeStep::RankTimes DecodeStep::times_of(const Share& share, bool mtp) const {
  const OperatorList& list = pipeline_.operators_;
  RankTimes times;
  if (!is_plain(share)) {
    const double tokens = share.tokens() / group_;  // of a die
    for (const Operator& op : attention(share, mtp)) times.attention += alone(op.cost);
    times.gate = alone(cost(list.gate(tokens), expert_share_));
    times.dispatch = dispatch(tokens);
    times.dense = alone(cost(list.dense_ffn(tokens), expert_share_));
    return times;
  }
  // The same, the operators of attention in their order.
  TokenTimes made;
  const TokenTimes& of_tokens = token_times(share, made);
  if (list.architecture().indexer) {
    times.indexer =
        alone(cost(list.indexer(share.sequences, share.kv_tokens, share.tokens_per_sequence),
                   attention_share_));
  }
  times.attending =
      alone(cost(list.attention(share.sequences, share.kv_tokens, share.tokens_per_sequence),
                 attention_share_));
  times.attention = (mtp ? of_tokens.mtp_prolog : of_tokens.prolog) + times.indexer +
                    times.attending + of_tokens.o_proj;
  times.gate = of_tokens.gate;
  times.dispatch = of_tokens.dispatch;
  times.dense = of_tokens.dense;
  return times;
}

TokenTimes DecodeStep::token_times(double tokens) const {
  const OperatorList& list = pipeline_.operators_;
  OperatorWork prolog = list.attention_prolog(tokens);
  TokenTimes times;
  times.prolog = alone(cost(prolog, attention_share_));
  prolog += list.mtp_projection(tokens);
  times.mtp_prolog = alone(cost(prolog, attention_share_));
  times.o_proj = alone(cost(list.o_proj(tokens), attention_share_));
  times.gate = alone(cost(list.gate(tokens), expert_share_));
  times.dispatch = dispatch(tokens);
  times.dense = alone(cost(list.dense_ffn(tokens), expert_share_));
  return times;
}

const TokenTimes& DecodeStep::token_times(const Share& share, TokenTimes& made) const {
  constexpr double kMostRemembered = 4096;
  const bool verifies = share.tokens_per_sequence == 1.0 + pipeline_.options_.draft_tokens;
  if (!is_remembered() || !verifies || share.sequences >= kMostRemembered) {
    made = token_times(share.tokens());
    return made;
  }
  return place_->token_times->get(plan_, static_cast<std::size_t>(share.sequences),
                                  [&] { return token_times(share.tokens()); });
}

void DecodeStep::prune() {
  const auto covers = [&](const Rank& a, const Rank& b) {
    for (int m = 0; m < plan_.microbatches; ++m) {
      const RankTimes &most = a.times[m], &less = b.times[m];
      if (less.attention > most.attention || less.gate > most.gate ||
          less.dispatch > most.dispatch || less.dense > most.dense) {
        return false;
      }
    }
    return true;
  };
  kept_.clear();
  for (const Rank& rank : ranks_) {
    if (std::ranges::any_of(kept_, [&](const Rank* other) { return covers(*other, rank); })) {
      continue;
    }
    drop_if(kept_, [&](const Rank* other) { return covers(rank, *other); });
    kept_.push_back(&rank);
  }
}

/// What the recurrence reads of the ranks.
void DecodeStep::lay_out() {
  const std::size_t ranks = kept_.size();
  own_.resize(static_cast<std::size_t>(plan_.microbatches) * kRows * ranks,
              boost::container::default_init);
  Seconds* row = own_.data();
  const auto fill = [&](const auto& of_rank) {
    for (std::size_t i = 0; i < ranks; ++i) row[i] = of_rank(*kept_[i]);
    row += ranks;
  };
  for (int m = 0; m < plan_.microbatches; ++m) {
    for (const LayerProgram* program : {&program_.moe, &program_.dense}) {
      for (const Block& block : program->blocks) {
        fill([&](const Rank& rank) { return own(block, rank.times[m]); });
      }
    }
    fill([&](const Rank& rank) { return rank.times[m].dispatch; });
  }
  for (Dates& dates : free_) dates.by_rank.resize(ranks, boost::container::default_init);
  for (Dates& dates : ready_) dates.by_rank.resize(ranks, boost::container::default_init);
}

Operator DecodeStep::collective(const char* name, double bytes) const {
  Operator op{name, 0, {}, Unit::kExchange};
  if (variant_.free_exchange) return op;
  const coll::ExchangeCost& cost = place_->collective;
  op.cost.compute = cost.wire(bytes, bytes) * variant_.wire_stretch;
  op.cost.hbm_bytes = 2 * bytes;  // read here, written there
  if (!variant_.free_launch) {
    op.cost.fixed = pipeline_.platform_.token_exchange.startup + cost.latency;
  }
  op.cost.fixed += jitter_;
  return op;
}

DecodeStep::AttentionChain DecodeStep::attention(const Share& share, bool mtp) const {
  const OperatorList& list = pipeline_.operators_;
  const AttentionGroup& group = pipeline_.options_.attention_group;
  const bool is_shared = group.dies > 1;
  AttentionChain chain;
  const auto compute = [&](const NamedWork& op) {
    chain.push_back({op.name, 0, cost(op.work, attention_share_), Unit::kMatrix, op.work});
  };
  if (is_shared) chain.push_back(collective("AllGather", share.tokens() * list.hidden_bytes()));
  if (share.sequences > 0 || share.prompts.tokens == 0) {  // a rank without any runs along
    const double tokens = share.sequences * share.tokens_per_sequence;
    for (const NamedWork& op : list.decode_attention(share.sequences, share.kv_tokens,
                                                     share.tokens_per_sequence, mtp, group)) {
      const bool attends =
          op.work.attention_ops + op.work.attention_int8_ops > 0 && group.splits_kv;
      if (attends) chain.push_back(collective("QueryGather", tokens * list.query_bytes()));
      compute(op);
      if (attends) chain.push_back(collective("OutputSum", tokens * list.partial_output_bytes()));
    }
  }
  if (share.prompts.tokens > 0) {
    if (group.splits_kv) {
      chain.push_back(
          collective("PromptKvGather", share.prompts.context * list.kv_bytes_per_token_layer()));
    }
    const bool has_sequences = share.sequences > 0;
    for (const NamedWork& op : list.prompt_attention(share.prompts, has_sequences, group)) {
      compute(op);
    }
    if (mtp) compute({"PromptMtpProj", list.mtp_projection(share.prompts.tokens)});
  }
  if (is_shared) {
    chain.push_back(collective("ReduceScatter", share.tokens() * list.partial_sum_bytes()));
  }
  return chain;
}

/// The pacing rank's, with what sharing HBM costs its streams.
void DecodeStep::find_typical_layer(const Pass& pass) {
  const Rank* pacing = *std::ranges::max_element(
      kept_, {}, [](const Rank* rank) { return rank->times[0].attention; });
  const Share pace = share(*pacing, 0, pass);
  const double tokens = pace.tokens() / group_;
  // The layer with the median straggler stands for all.
  const BusiestRanks& busiest = *busiest_.front();
  const int layer = busiest.median_layer;
  const double typical = layer < 0 ? 0 : busiest.by_layer[static_cast<std::size_t>(layer)].rows;
  const Received received = receive(layer, typical, tokens_[0]);
  const ExchangeLoad load = exchange_load(tokens, 0);
  const double sent = load.tokens * load.copies;
  const OperatorList& list = pipeline_.operators_;
  const double active = active_experts(tokens_[0]);

  for (const Operator& op : attention(pace, false)) {
    moe_typical_.push_back({op, Stage::kAttention});
    dense_typical_.push_back({op, Stage::kAttention});
  }
  const OperatorWork gate = list.gate(tokens);
  moe_typical_.push_back(
      {{"Gate", 0, cost(gate, expert_share_), Unit::kMatrix, gate}, Stage::kGate});
  moe_typical_.push_back({{"Dispatch", 0,
                           exchange_cost(std::max(dispatch(tokens), received.dispatch),
                                         2 * sent * list.dispatch_message_bytes()),
                           Unit::kExchange},
                          Stage::kDispatch});
  moe_typical_.push_back(
      {{"MLP", 0, mlp(typical, tokens_[0]), Unit::kMatrix, list.expert_ffn(typical, active)},
       Stage::kExperts});
  moe_typical_.push_back(
      {{"Combine", 0,
        exchange_cost(received.combine, (typical + sent) * list.combine_message_bytes()),
        Unit::kExchange},
       Stage::kCombine});
  moe_stretches_ = share_hbm(moe_typical_, program_.moe);

  const OperatorWork ffn = list.dense_ffn(tokens);
  dense_typical_.push_back(
      {{"DenseFFN", 0, cost(ffn, expert_share_), Unit::kMatrix, ffn}, Stage::kDenseFfn});
  dense_stretches_ = share_hbm(dense_typical_, program_.dense);
}

DecodeStep::Stretches DecodeStep::share_hbm(TypicalLayer& layer,
                                            const LayerProgram& program) const {
  const auto blocks = program.all();
  const auto block_of = [&](Stage stage) {
    return std::ranges::find_if(blocks, [&](const Block& block) { return block.has(stage); }) -
           blocks.begin();
  };
  std::array<std::vector<Operator>, kMostServers> streams;
  const auto phase_of = [&](Stage stage) { return block_of(stage) < program.first; };
  for (Typical& one : layer) {
    one.op.server = blocks[static_cast<std::size_t>(block_of(one.stage))].server;
    one.shared = alone(one.op.cost);
    streams[static_cast<std::size_t>(one.op.server)].push_back(one.op);
  }
  for (std::size_t i = 0; i + 1 < layer.size(); ++i) {
    layer[i].op.keeps_server = layer[i].op.server == layer[i + 1].op.server &&
                               phase_of(layer[i].stage) == phase_of(layer[i + 1].stage);
  }
  Stretches stretches;
  stretches.fill(1);
  if (!program_.shares_hbm) return stretches;  // one operator at a time streams from HBM
  const std::array<Chain, 2> chains{streams[0], streams[1]};
  for (const PlacedOperator& placed : schedule_chains(chains, 1, bandwidth_).placed) {
    // Those of stream 0 come first.
    const auto at =
        static_cast<std::size_t>(placed.index) + (placed.microbatch == 0 ? 0 : streams[0].size());
    layer[at].shared = placed.end - placed.start;
  }
  Stretches before{}, now{};
  for (const Typical& one : layer) {
    const auto at = static_cast<std::size_t>(block_of(one.stage));
    before[at] += alone(one.op.cost);
    now[at] += one.shared;
  }
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    if (before[i] > 0) stretches[i] = now[i] / before[i];
  }
  return stretches;
}

void DecodeStep::find_busiest_ranks() {
  busiest_tokens_ = tokens_;
  for (std::size_t m = 0; m < static_cast<std::size_t>(plan_.microbatches); ++m) {
    const bool as_before = m > 0 && tokens_[m] == tokens_[m - 1];
    busiest_[m] = as_before ? busiest_[m - 1] : busiest_ranks(tokens_[m]);
  }
}

const BusiestRank* DecodeStep::busiest_of(int expert_layer, std::size_t microbatch,
                                          BusiestRank& made) const {
  if (tokens_[microbatch] == busiest_tokens_[microbatch]) {
    return &busiest_[microbatch]->by_layer[static_cast<std::size_t>(expert_layer)];
  }
  made = busiest_rank(expert_layer, tokens_[microbatch]);
  return &made;
}

Seconds DecodeStep::own(const Block& block, const RankTimes& times) {
  Seconds total = 0;
  if (!block.owns) return total;
  if (block.has(Stage::kAttention)) total += times.attention;
  if (block.has(Stage::kGate)) total += times.gate;
  if (block.has(Stage::kDenseFfn)) total += times.dense;
  return total;
}

/// In the order in which they are taken.
DecodeStep::Turns DecodeStep::turns_of(const LayerProgram& program, const Stretches& stretches) {
  Turns turns;
  const std::size_t first_row = &program == &program_.dense ? LayerProgram::kMostBlocks : 0;
  const auto add_phase = [&](int first, int last) {
    for (int m = 0; m < plan_.microbatches; ++m) {
      for (auto at = static_cast<std::size_t>(first); at < static_cast<std::size_t>(last); ++at) {
        const Block& block = program.blocks[at];
        const auto microbatch = static_cast<std::size_t>(m);
        const Seconds* rows = own_.data() + microbatch * kRows * kept_.size();
        turns.push_back({&block, microbatch, stretches[at], rows + (first_row + at) * kept_.size(),
                         rows + (kRows - 1) * kept_.size(),
                         &free_[static_cast<std::size_t>(block.server)], &ready_[microbatch]});
      }
    }
  };
  add_phase(0, program.first);
  add_phase(program.first, program.count);
  return turns;
}

void DecodeStep::run(const Turn& turn, const BusiestRank& busiest) {
  const Block& block = *turn.block;
  Dates &server = *turn.server, &ready = *turn.ready;
  const Seconds of_all =
      (block.computes ? busiest.mlp : 0) + (block.combines ? busiest.combine : 0);
  if (!block.owns && !block.dispatches && server.alike && ready.alike) {
    Seconds end = std::max(server.all, ready.all) + of_all * turn.stretch;
    if (block.is_barrier()) end += jitter_;
    server.set_all(end);
    ready.set_all(end);
    return;
  }
  const std::size_t ranks = kept_.size();
  const auto run_from = [&, stretch = turn.stretch](const auto& begin_of) {
    Seconds latest = 0;
    if (block.dispatches) {
      for (std::size_t i = 0; i < ranks; ++i) {
        const Seconds length = turn.own[i] + of_all + std::max(turn.dispatch[i], busiest.port);
        latest = std::max(latest, begin_of(i) + length * stretch);
      }
    } else if (block.combines) {
      for (std::size_t i = 0; i < ranks; ++i) {
        latest = std::max(latest, begin_of(i) + (turn.own[i] + of_all) * stretch);
      }
    } else {
      for (std::size_t i = 0; i < ranks; ++i) {
        const Seconds end = begin_of(i) + (turn.own[i] + of_all) * stretch;
        server.by_rank[i] = ready.by_rank[i] = end;
      }
      server.alike = ready.alike = false;
      return;
    }
    server.set_all(latest + jitter_);
    ready.set_all(latest + jitter_);
  };
  const Seconds *of_server = server.by_rank.data(), *of_ready = ready.by_rank.data();
  if (server.alike && ready.alike) {
    run_from([all = std::max(server.all, ready.all)](std::size_t) { return all; });
  } else if (server.alike) {
    run_from([=, all = server.all](std::size_t i) { return std::max(all, of_ready[i]); });
  } else if (ready.alike) {
    run_from([=, all = ready.all](std::size_t i) { return std::max(of_server[i], all); });
  } else {
    run_from([=](std::size_t i) { return std::max(of_server[i], of_ready[i]); });
  }
}

void DecodeStep::run_layers(const LayerProgram& program, const Stretches& stretches, int first,
                            int last, SliceRecorder* recorder) {
  static constexpr BusiestRank kNobody{};
  const Turns turns = turns_of(program, stretches);
  std::array<const BusiestRank*, kMostMicrobatches> busiest;
  busiest.fill(&kNobody);
  for (int layer = first; layer < last; ++layer) {
    const int expert_layer = layer - pipeline_.architecture_.dense_layers;
    for (std::size_t m = 0; expert_layer >= 0 && m < static_cast<std::size_t>(plan_.microbatches);
         ++m) {
      busiest[m] = busiest_of(expert_layer, m, made_[m]);
    }
    for (const Turn& turn : turns) {
      // Of the first rank, for who listens.
      const Seconds begin = std::max(turn.server->of(0), turn.ready->of(0));
      run(turn, *busiest[turn.microbatch]);
      if (recorder != nullptr) {
        recorder->block(*turn.block, &program == &program_.dense, layer,
                        static_cast<int>(turn.microbatch), begin, turn.ready->of(0));
      }
    }
  }
}

Seconds DecodeStep::front() const {
  Seconds latest = 0;
  for (int m = 0; m < plan_.microbatches; ++m) {
    const Dates& ready = ready_[m];
    if (ready.alike) {
      latest = std::max(latest, ready.all);
    } else {
      latest = std::max(latest, std::ranges::max(ready.by_rank));
    }
  }
  return latest;
}

void DecodeStep::join(Seconds at) {
  for (Dates& dates : free_) dates.set_all(at);
  for (Dates& dates : ready_) dates.set_all(at);
}

Seconds DecodeStep::head(double tokens) const {
  double most = 0;
  for (const Group& group : groups_) {
    most = std::max(most, group.sequences * tokens + group.prompts.sequences);
  }
  OperatorCost op = pipeline_.device_.cost(pipeline_.operators_.lm_head(most, 1 / group_), 1);
  if (variant_.free_launch) op.fixed = 0;
  return alone(op);
}

Seconds DecodeStep::host() const {
  if (variant_.free_launch) return 0;
  const DecodeOptions& options = pipeline_.options_;
  const Seconds launches =
      options.launch == Launch::kCpu ? options.launch_time * (1 + options.draft_tokens) : 0;
  return pipeline_.platform_.host.step_gap + launches;
}

Seconds DecodeStep::run(const DecodeBatch& batch, SliceRecorder* recorder) {
  const Architecture& a = pipeline_.architecture_;
  const int drafts = pipeline_.options_.draft_tokens;
  place_ = &pipeline_.place_of(batch);
  group(batch);
  if (groups_.empty()) return 0;
  const Pass verify{.tokens_per_sequence = 1.0 + drafts};

  host_time_ = host();
  mlp_base_ = cost(pipeline_.operators_.expert_ffn(0, 0), expert_share_);
  mlp_expert_bytes_ = pipeline_.operators_.expert_ffn(0, 1).hbm_bytes;
  mlp_per_row_ = cost(pipeline_.operators_.expert_ffn(1, 0), expert_share_);
  find_pacing_ranks(verify);
  prune();
  lay_out();
  find_busiest_ranks();
  if (program_.shares_hbm || recorder != nullptr) find_typical_layer(verify);
  join(host_time_);
  run_layers(program_.dense, dense_stretches_, 0, a.dense_layers, recorder);
  dense_time_ = front() - host_time_;
  run_layers(program_.moe, moe_stretches_, a.dense_layers, a.layers, recorder);
  const Seconds layers_end = front();
  moe_time_ = layers_end - host_time_ - dense_time_;
  layer_time_ = a.moe_layers() > 0 ? moe_time_ / a.moe_layers() : dense_time_ / a.layers;
  head_time_ = head(1 + drafts);
  if (recorder != nullptr) recorder->whole("LMHead", layers_end, head_time_);
  Seconds now = layers_end + head_time_;

  // The MTP module drafts one token a pass; its first pass also fills its KV for all verified
  // tokens.
  for (int draft = 0; draft < drafts; ++draft) {
    const bool is_first = draft == 0;
    const Pass pass{.tokens_per_sequence = is_first ? 1.0 + drafts : 1.0,
                    .mtp = true,
                    .computes_prompts = is_first};
    if (is_first) {
      add_mtp_projection(pass);
    } else {
      find_pacing_ranks(pass);
    }
    prune();
    lay_out();
    join(now);
    run_layers(program_.moe, moe_stretches_, a.layers, a.layers + 1, recorder);
    const Seconds end = front();
    const Seconds head_of_draft = head(1);
    if (recorder != nullptr) recorder->whole("LMHead", end, head_of_draft);
    now = end + head_of_draft;
  }
  mtp_time_ = drafts > 0 ? now - layers_end - head_time_ : 0;
  return now;
}

}  // namespace cmsim::model
