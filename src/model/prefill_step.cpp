#include "prefill_step.hpp"

#include <algorithm>
#include <cmath>

namespace cmsim::model {

PrefillStep::PrefillStep(const PrefillPipeline& pipeline, std::int32_t instance,
                         const PromptLoad& totals, int microbatches, const StepVariant& variant)
    : pipeline_(pipeline),
      place_(pipeline.place_of(instance)),
      variant_(variant),
      ranks_(pipeline.layout_.ranks) {
  const Architecture& a = pipeline_.operators_.architecture();
  microbatches_ = totals.tokens >= ranks_ * microbatches ? microbatches : 1;
  part_ = totals.part(1.0 / microbatches_);
  // TP over heads; with more ranks than heads, groups of ranks take different sequences.
  tp_ = pipeline.tp_;
  heads_ = std::ceil(a.heads / tp_);
  // Whole sequences: the busiest group paces the batch.
  const double groups = ranks_ / tp_;
  group_ = std::min(1.0, std::ceil(part_.sequences / groups) / part_.sequences);
  const BytesPerSecond bandwidth = pipeline_.device_.hbm_bandwidth();

  add_attention(dense_chain_);
  add_dense(dense_chain_);
  if (a.dense_layers > 0) {
    dense_time_ =
        schedule_chain(dense_chain_, microbatches_, a.dense_layers, bandwidth, Keep::kEnds)
            .makespan;
  }

  if (place_.relay) {
    const double tokens = part_.tokens / ranks_;
    between_domains_ = place_.relay->between(tokens, tokens, pipeline_.experts_->copies());
  }
  const hw::Platform& platform = pipeline_.platform_;
  if (microbatches_ > 1) {
    const double exchanging = platform.token_exchange.prefill_cores;
    computing_ = 1 - exchanging / platform.die.aic_cores;
  }
  add_attention(moe_chain_);
  add_moe(moe_chain_, busiest_rows());
  const int simulated = std::min(a.moe_layers(), kWarmLayers + kSteadyLayers);
  const Schedule schedule =
      schedule_chain(moe_chain_, microbatches_, std::max(1, simulated), bandwidth, Keep::kEnds);
  if (simulated > kWarmLayers + 1) {
    // The last layer ends early: no other follows it. It is in the makespan, not in the period.
    layer_time_ =
        (schedule.repetition_end[simulated - 2] - schedule.repetition_end[kWarmLayers - 1]) /
        (simulated - 1 - kWarmLayers);
  } else {
    layer_time_ = schedule.makespan / std::max(1, simulated);
  }
  moe_time_ =
      a.moe_layers() == 0 ? 0 : schedule.makespan + (a.moe_layers() - simulated) * layer_time_;
  mtp_time_ = pipeline_.mtp_layers_ *
              (layer_time_ +
               cost(pipeline_.operators_.mtp_projection(totals.tokens / ranks_)).alone(bandwidth));
  computing_ = 1;
  head_time_ = cost(head(totals)).alone(bandwidth);
  count_bytes(totals);
}

/// Only the last token of each sequence is sampled; sequences are spread over the ranks.
OperatorWork PrefillStep::head(const PromptLoad& totals) const {
  return pipeline_.operators_.lm_head(std::ceil(totals.sequences / ranks_));
}

void PrefillStep::count_bytes(const PromptLoad& totals) {
  const OperatorList& list = pipeline_.operators_;
  const Architecture& a = list.architecture();
  const double moe_layers = a.moe_layers() + pipeline_.mtp_layers_;
  group_ = tp_ / ranks_;  // the mean from here on
  std::vector<Operator> mean_chain, mean_dense_chain;
  add_attention(mean_dense_chain);
  add_dense(mean_dense_chain);
  add_attention(mean_chain);
  add_moe(mean_chain, mean_rows());
  double dense = 0, moe = 0;
  for (const Operator& op : mean_dense_chain) dense += op.cost.hbm_bytes;
  for (const Operator& op : mean_chain) moe += op.cost.hbm_bytes;
  hbm_bytes_ = microbatches_ * (a.dense_layers * dense + moe_layers * moe) +
               head(totals).hbm_bytes +
               pipeline_.mtp_layers_ * list.mtp_projection(totals.tokens / ranks_).hbm_bytes;
  const double exchange =
      sent_rows() * (list.dispatch_message_bytes() + list.combine_message_bytes());
  exchange_bytes_ = microbatches_ * moe_layers * exchange * place_.exchange_moves;
  if (tp_ <= 1) return;
  collective_bytes_ = microbatches_ * (a.dense_layers + moe_layers) * attention_collective_bytes() +
                      microbatches_ * a.dense_layers * dense_collective_bytes();
}

OperatorCost PrefillStep::cost(const OperatorWork& work) const {
  OperatorCost result = pipeline_.device_.cost(work, computing_);
  if (variant_.free_launch) result.fixed = 0;
  return result;
}

Operator PrefillStep::compute(const char* name, const OperatorWork& work) const {
  return {name, server_of(Unit::kMatrix), cost(work), Unit::kMatrix, work};
}

Operator PrefillStep::vector_work(const char* name, const OperatorWork& work) const {
  OperatorCost result = cost(work);
  if (variant_.free_exchange) result = {};
  return {name, server_of(Unit::kVector), result, Unit::kVector, work};
}

Operator PrefillStep::transfer(const char* name, double bytes, Seconds wire,
                               Seconds latency) const {
  OperatorCost result;
  if (!variant_.free_exchange) {
    result.compute = wire * variant_.wire_stretch;
    result.hbm_bytes = 2 * bytes;  // read here, written there
    result.fixed =
        variant_.free_launch ? 0 : pipeline_.platform_.token_exchange.sdma_startup + latency;
    if (!variant_.no_jitter) result.fixed += pipeline_.platform_.token_exchange.jitter;
  }
  return {name, server_of(Unit::kDma), result, Unit::kDma};
}

/// A collective of the attention part: it blocks the compute stream.
void PrefillStep::add_collective(std::vector<Operator>& chain, const char* name,
                                 double bytes) const {
  if (tp_ <= 1) return;
  const coll::ExchangeCost& cost = place_.collective;
  Operator op =
      transfer(name, bytes * place_.collective_leaves, cost.wire(bytes, bytes), cost.latency);
  op.server = server_of(Unit::kMatrix);
  chain.push_back(op);
}

double PrefillStep::local_rows() const {
  return pipeline_.layout_.shared_stays() ? pipeline_.experts_->shared_rows(part_.tokens) : 0;
}

void PrefillStep::add_layer(Rows& rows, int layer, double computed, double part) const {
  const ExchangeCosts& costs = place_.exchange;
  const double sent = sent_rows(), received = std::max(sent, computed - local_rows());
  rows.computed += part * computed;
  if (place_.relay) {
    // Forwarded piece by piece: the levels work side by side.
    const Seconds wire = std::max(between_domains_, place_.relay->inside(sent, received));
    rows.dispatch += part * wire;
    rows.combine += part * wire;
    return;
  }
  rows.dispatch += part * costs.dispatch(layer).wire(sent, received);
  rows.combine += part * costs.combine(layer).wire(sent, received);
}

double PrefillStep::sequence_tokens() const {
  return part_.tokens / std::max(1.0, part_.sequences);
}

ActiveExperts PrefillStep::active_experts() const {
  return pipeline_.experts_->active_experts(part_.tokens, sequence_tokens());
}

PrefillStep::Rows PrefillStep::mean_rows() const {
  Rows rows;
  rows.experts = active_experts().mean;
  add_layer(rows, ExchangeCosts::kEven, pipeline_.experts_->mean_rows(part_.tokens), 1);
  return rows;
}

PrefillStep::Rows PrefillStep::busiest_rows() const {
  const int layers = pipeline_.operators_.architecture().moe_layers();
  if (variant_.balanced || layers == 0) return mean_rows();
  // Layers differ; the period of a chain is near linear in its rows, so their mean stands.
  Rows rows;
  rows.experts = active_experts().most;
  for (int l = 0; l < layers; ++l) {
    add_layer(rows, l, pipeline_.experts_->straggler_rows(l, part_.tokens, sequence_tokens()),
              1.0 / layers);
  }
  return rows;
}

/// Rows a rank sends to the experts of others (its own shared expert's stay).
double PrefillStep::sent_rows() const {
  return part_.tokens / ranks_ * pipeline_.experts_->copies();
}

void PrefillStep::add_moe(std::vector<Operator>& chain, const Rows& rows) const {
  const OperatorList& list = pipeline_.operators_;
  const double tokens = own_tokens();
  const double sent = sent_rows();
  const double received = rows.computed - local_rows();
  const auto exchange = [&](const char* name, double wire_of_byte, double message_bytes) {
    const double bytes =
        std::max(sent, received) * message_bytes * place_.exchange_moves * place_.exchange_leaves;
    chain.push_back(transfer(name, bytes, wire_of_byte * message_bytes, place_.exchange.latency()));
  };
  chain.push_back(compute("Gate", list.prefill_post_norm(tokens)));
  chain.push_back(vector_work("DispatchPack", list.dispatch_pack(sent)));
  exchange("DispatchA2A", rows.dispatch, list.dispatch_message_bytes());
  chain.push_back(vector_work("DispatchUnpack", list.dispatch_unpack(received)));
  chain.push_back(compute("ExpertUp", list.expert_up(rows.computed, rows.experts)));
  chain.push_back(compute("Activation", list.expert_activation(rows.computed)));
  chain.push_back(compute("ExpertDown", list.expert_down(rows.computed, rows.experts)));
  chain.push_back(vector_work("CombinePack", list.combine_pack(received)));
  exchange("CombineA2A", rows.combine, list.combine_message_bytes());
  chain.push_back(vector_work("CombineReduce", list.combine_reduce(tokens, sent)));
}

}  // namespace cmsim::model
