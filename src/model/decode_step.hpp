// One evaluation of the decode recurrence: internal to DecodePipeline.
//
// Ranks are reduced to the few that can pace the step: among ranks with equal sequences only the
// longest context matters, and a rank no slower than another in every part never does.
#pragma once

#include <array>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "busiest_rank.hpp"
#include "cmsim/model/decode_model.hpp"

namespace cmsim::model {

inline Seconds sum(std::span<const Seconds> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

/// Called for every operator block the recurrence places; null when nobody listens.
class SliceRecorder {
 public:
  virtual ~SliceRecorder() = default;
  virtual void attention(int layer, int microbatch, Seconds start, Seconds end) = 0;
  virtual void experts(int layer, int microbatch, Seconds start, Seconds barrier, Seconds end) = 0;
  virtual void operation(const char* name, const char* track, int layer, int microbatch,
                         Seconds start, Seconds end) = 0;
  virtual void whole(const char* name, Seconds start, Seconds duration) = 0;
};

class DecodeStep {
 public:
  static constexpr int kMostMicrobatches = 4;
  /// Prolog, indexer (no cost where there is none), attention, output projection.
  static constexpr std::size_t kAttentionOperators = 4;
  using AttentionCosts = std::array<OperatorCost, kAttentionOperators>;

  DecodeStep(const DecodePipeline& pipeline, const DecodePlan& plan, const StepVariant& variant);

  /// Duration of the iteration.
  Seconds run(const DecodeBatch& batch, SliceRecorder* recorder = nullptr);

  /// Operators of microbatch 0 of a MoE layer on the pacing rank, alone and beside the other
  /// stream.
  struct Operators {
    AttentionCosts attention;
    std::array<OperatorCost, 4> experts;  // gate, dispatch, MLP, combine
    std::array<OperatorCost, 1> dense;
    std::array<Seconds, kAttentionOperators> attention_shared, dense_attention_shared;
    std::array<Seconds, 4> experts_shared;
    std::array<Seconds, 1> dense_shared;
  };
  const Operators& operators() const { return operators_; }
  /// Of kExperts, which run beside attention: all where the die is divided, else the exchanges.
  bool is_on_stream_1(int expert_operator) const {
    return divides_ || plan_.microbatches == 1 || expert_operator % 2 == 1;
  }
  /// Mean duration of a MoE layer (all microbatches) in the last run.
  Seconds layer_time() const { return layer_time_; }
  Seconds dense_time() const { return dense_time_; }
  Seconds moe_time() const { return moe_time_; }
  Seconds mtp_time() const { return mtp_time_; }
  Seconds head_time() const { return head_time_; }
  /// That the NPUs wait for the CPU: graph launches and the gap before the step.
  Seconds host_time() const { return host_time_; }

 private:
  struct Rank {  // a rank that may pace the step
    int sequences = 0;
    double kv_tokens = 0;
    std::array<Seconds, kMostMicrobatches> attention{}, gate{}, dispatch{}, dense{};
    Seconds stream0 = 0, stream1 = 0;
    std::array<Seconds, kMostMicrobatches> ready{};  // end of the previous layer of a microbatch
  };

  struct Group {  // ranks with the same number of sequences
    int sequences = 0;
    std::int64_t ranks = 0;
    double kv_tokens = 0;  // the longest context
  };

  OperatorCost cost(const OperatorWork& work, double share) const;
  OperatorCost exchange_cost(Seconds duration, double bytes) const;
  Seconds alone(const OperatorCost& cost) const { return cost.alone(bandwidth_); }
  int part(int sequences, int microbatch) const {
    return (sequences + plan_.microbatches - 1 - microbatch) / plan_.microbatches;
  }
  AttentionCosts attention_costs(double sequences, double kv_tokens, double tokens_per_sequence,
                                 bool mtp) const;
  const TokenExchange& exchange() const { return *place_->exchange; }
  ExchangeLoad exchange_load(double tokens, double rows) const;
  double straggler_rows(int layer, double tokens) const;
  /// Until a rank with `tokens` has sent them all.
  Seconds dispatch(double tokens) const;
  double active_experts(double tokens) const;
  OperatorCost mlp(double rows, double tokens) const;
  /// Of a rank's rows those that come over the exchange: its own shared expert's do not.
  double received_rows(double rows, double tokens) const;
  /// Until what the rank with the most rows gets has come, and until what it sends back has.
  struct Received {
    Seconds dispatch = 0, combine = 0;
  };
  Received receive(int layer, double rows, double tokens) const;
  BusiestRank busiest_rank(int layer, double tokens) const;
  std::shared_ptr<const BusiestRanks> busiest_ranks(double tokens) const;
  void group(const DecodeBatch& batch);
  void prepare(double tokens_per_sequence, bool mtp);
  void prune();
  void contend(double tokens_per_sequence);
  void run_dense(int layer, SliceRecorder* recorder);
  void run_moe(int layer, int expert_layer, SliceRecorder* recorder);
  /// On a die whose exchanges hold no cores: every operator has all of them, in the order
  /// attention 0, 1, experts 0, 1, and the exchanges of one microbatch run beside the operators of
  /// the other.
  void run_moe_beside(int layer, int expert_layer, SliceRecorder* recorder);
  BusiestRank busiest_of(int expert_layer, int microbatch) const;
  Seconds front() const;
  void join(Seconds at);
  Seconds head(double tokens) const;
  Seconds host() const;

  const DecodePipeline& pipeline_;
  DecodePipeline::Place* place_ = nullptr;  // of the instance that runs
  const DecodePlan plan_;
  const StepVariant variant_;
  const BytesPerSecond bandwidth_;
  const Seconds jitter_;  // at each barrier
  bool divides_ = false;  // the die, between two streams
  Seconds wire_ = 0;      // free from then on, where exchanges run beside operators
  double attention_share_ = 1, expert_share_ = 1, exchange_aiv_ = 1;
  std::vector<Group> groups_;  // by rising number of sequences
  std::vector<Rank> ranks_;
  OperatorCost mlp_base_, mlp_per_row_;          // linear in the rows
  double mlp_expert_bytes_ = 0;                  // and in the experts that have some
  std::shared_ptr<const BusiestRanks> busiest_;  // of `busiest_tokens_` tokens
  double busiest_tokens_ = 0;
  std::array<double, kMostMicrobatches> tokens_{};  // of all ranks, by microbatch
  double max_tokens_ = 0;
  double attention_stretch_ = 1, pre_stretch_ = 1, tail_stretch_ = 1;
  double dense_attention_stretch_ = 1, dense_stretch_ = 1;
  Operators operators_;
  Seconds layer_time_ = 0, dense_time_ = 0, moe_time_ = 0, mtp_time_ = 0, head_time_ = 0,
          host_time_ = 0;
};

}  // namespace cmsim::model
