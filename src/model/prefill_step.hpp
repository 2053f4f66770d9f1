// One evaluation of a prefill batch: internal to PrefillPipeline.
#pragma once

#include <vector>

#include "cmsim/model/prefill_model.hpp"
#include "task_schedule.hpp"

namespace cmsim::model {

class PrefillStep {
 public:
  /// A batch with less than a token a rank and microbatch runs whole whatever `microbatches` says.
  PrefillStep(const PrefillPipeline& pipeline, std::int32_t instance, const PromptLoad& totals,
              int microbatches, const StepVariant& variant);

  Seconds duration() const { return dense_time_ + moe_time_ + mtp_time_ + head_time_; }
  Seconds dense_time() const { return dense_time_; }
  Seconds moe_time() const { return moe_time_; }
  Seconds mtp_time() const { return mtp_time_; }
  Seconds head_time() const { return head_time_; }
  Seconds layer_time() const { return layer_time_; }
  const std::vector<Operator>& chain() const { return moe_chain_; }
  const std::vector<Operator>& dense_chain() const { return dense_chain_; }
  int microbatches() const { return microbatches_; }
  /// The units of the die that run operators, and which of them has those of a unit.
  std::span<const std::string> servers() const { return pipeline_.servers_; }
  int server_of(Unit unit) const {
    return pipeline_.server_of_unit_[static_cast<std::size_t>(unit)];
  }
  /// Means over the ranks.
  double hbm_bytes() const { return hbm_bytes_; }
  double ub_bytes() const {
    return place_.exchange_leaves * exchange_bytes_ + place_.collective_leaves * collective_bytes_;
  }
  double exchange_bytes() const { return exchange_bytes_; }
  double collective_bytes() const { return collective_bytes_; }

 private:
  static constexpr int kWarmLayers = 2,
                       kSteadyLayers = 4;  // simulated; the rest repeats the period

  OperatorCost cost(const OperatorWork& work) const;
  Operator compute(const char* name, const OperatorWork& work) const;
  Operator vector_work(const char* name, const OperatorWork& work) const;
  /// `bytes` leave a package, or reach it, and keep the wire busy for a time.
  Operator transfer(const char* name, double bytes, Seconds wire, Seconds latency) const;
  /// Where several ranks share the heads of a sequence.
  void add_collective(std::vector<Operator>& chain, const char* name, double bytes) const;
  void add_attention(std::vector<Operator>& chain) const;
  void add_latent_attention(std::vector<Operator>& chain) const;
  void add_grouped_attention(std::vector<Operator>& chain) const;
  void add_dense(std::vector<Operator>& chain) const;
  /// Partial sums of the group's tokens, to the ranks that own them and added there.
  void add_reduce_scatter(std::vector<Operator>& chain) const;
  /// Token-expert pairs on the rank that a chain is of.
  struct Rows {
    double computed = 0;                // by its experts
    Seconds dispatch = 0, combine = 0;  // on the wire, for each byte of a row
    double experts = 0;                 // that have any
  };
  /// So much of them is a layer with so many rows computed; kEven: all ranks get the same.
  void add_layer(Rows& rows, int layer, double computed, double part) const;
  void add_moe(std::vector<Operator>& chain, const Rows& rows) const;
  double sequence_tokens() const;  // on average
  ActiveExperts active_experts() const;
  Rows mean_rows() const;
  Rows busiest_rows() const;
  /// Rows of a rank's own shared expert, which go nowhere.
  double local_rows() const;
  double sent_rows() const;
  double group_tokens() const { return part_.tokens * group_; }
  double own_tokens() const { return group_tokens() / tp_; }
  double gather_bytes() const;
  double chosen_bytes() const;
  double all_to_all_bytes() const;
  double reduce_scatter_bytes() const;
  double attention_collective_bytes() const;
  double dense_collective_bytes() const;
  OperatorWork head(const PromptLoad& totals) const;
  void count_bytes(const PromptLoad& totals);

  const PrefillPipeline& pipeline_;
  const PrefillPipeline::Place& place_;
  const StepVariant variant_;
  PromptLoad part_;  // of one microbatch, all ranks
  double ranks_ = 1;
  double group_ = 1;      // share of a microbatch's sequences that the busiest TP group has
  double tp_ = 1;         // ranks of a TP group
  double heads_ = 1;      // of a rank
  double computing_ = 1;  // share of the cores: others move rows of the other microbatch
  int microbatches_ = 1;
  Seconds between_domains_ = 0;  // of a relay, for each byte of a row; alike in all layers
  std::vector<Operator> dense_chain_, moe_chain_;
  Seconds dense_time_ = 0, moe_time_ = 0, mtp_time_ = 0, head_time_ = 0, layer_time_ = 0;
  double hbm_bytes_ = 0, exchange_bytes_ = 0, collective_bytes_ = 0;
};

}  // namespace cmsim::model
