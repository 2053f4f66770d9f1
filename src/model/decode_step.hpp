// One evaluation of the decode recurrence: internal to DecodePipeline.
//
// Ranks are reduced to the few that can pace the step: among ranks with equal sequences only the
// longest context matters, and a rank no slower than another in every part never does.
#pragma once

#include <array>
#include <boost/container/small_vector.hpp>
#include <boost/container/static_vector.hpp>
#include <memory>
#include <vector>

#include "busiest_rank.hpp"
#include "cmsim/model/decode_model.hpp"
#include "decode_program.hpp"
#include "task_schedule.hpp"
#include "token_times.hpp"

namespace cmsim::model {

/// Called for every block that the recurrence places; null when nobody listens.
class SliceRecorder {
 public:
  virtual ~SliceRecorder() = default;
  virtual void block(const Block& block, bool is_dense, int layer, int microbatch, Seconds start,
                     Seconds end) = 0;
  virtual void whole(const char* name, Seconds start, Seconds duration) = 0;
};

class DecodeStep {
 public:
  static constexpr int kMostMicrobatches = 4;

  DecodeStep(const DecodePipeline& pipeline, const DecodePlan& plan, const StepVariant& variant);

  /// Duration of the iteration.
  Seconds run(const DecodeBatch& batch, SliceRecorder* recorder = nullptr);

  /// An operator of microbatch 0 of a typical layer on the pacing rank.
  struct Typical {
    Operator op;
    Stage stage = Stage::kAttention;
    Seconds shared = 0;  // its duration beside the other stream
  };
  using TypicalLayer = boost::container::static_vector<Typical, 20>;
  const TypicalLayer& moe_operators() const { return moe_typical_; }
  const TypicalLayer& dense_operators() const { return dense_typical_; }
  const DecodeProgram& program() const { return program_; }
  /// Mean duration of a MoE layer (all microbatches) in the last run.
  Seconds layer_time() const { return layer_time_; }
  Seconds dense_time() const { return dense_time_; }
  Seconds moe_time() const { return moe_time_; }
  Seconds mtp_time() const { return mtp_time_; }
  Seconds head_time() const { return head_time_; }
  /// That the NPUs wait for the CPU: graph launches and the gap before the step.
  Seconds host_time() const { return host_time_; }

 private:
  /// Of a rank in a microbatch, alone.
  struct RankTimes {
    Seconds indexer = 0, attending = 0;  // of `attention`, what depends on the KV
    Seconds attention = 0, gate = 0, dispatch = 0, dense = 0;
  };
  struct Rank {  // a rank that may pace the step
    int sequences = 0;
    double kv_tokens = 0;
    PromptLoad prompts;
    std::array<RankTimes, kMostMicrobatches> times;
  };

  /// From when on a server, or a microbatch, of every rank is free: one date for all where they
  /// have waited for each other.
  struct Dates {
    bool alike = true;
    Seconds all = 0;
    boost::container::small_vector<Seconds, 16> by_rank;
    Seconds of(std::size_t rank) const { return alike ? all : by_rank[rank]; }
    void set_all(Seconds at) {
      alike = true;
      all = at;
    }
  };
  /// Of a microbatch at a block.
  struct Turn {
    const Block* block = nullptr;
    std::size_t microbatch = 0;
    double stretch = 1;
    const Seconds *own = nullptr, *dispatch = nullptr;  // by rank
    Dates *server = nullptr, *ready = nullptr;
  };
  using Turns =
      boost::container::static_vector<Turn, kMostMicrobatches * LayerProgram::kMostBlocks>;

  struct Group {  // ranks with the same number of sequences; one that computes prompts is alone
    int sequences = 0;
    std::int64_t ranks = 0;
    double kv_tokens = 0;  // the longest context
    PromptLoad prompts;

    bool covers(const Group& other) const;
  };
  /// Of a rank in a microbatch.
  struct Share {
    double sequences = 0, kv_tokens = 0, tokens_per_sequence = 1;
    PromptLoad prompts;
    double tokens() const { return sequences * tokens_per_sequence + prompts.tokens; }
  };
  /// Which pass over layers: all of the model's, or its MTP module's, whose first also fills its
  /// KV.
  struct Pass {
    double tokens_per_sequence = 1;
    bool mtp = false;
    bool computes_prompts = true;
  };
  using Stretches = std::array<double, LayerProgram::kMostBlocks>;  // of blocks, by sharing HBM

  OperatorCost cost(const OperatorWork& work, double share) const;
  OperatorCost exchange_cost(Seconds duration, double bytes) const;
  Seconds alone(const OperatorCost& cost) const { return cost.alone(bandwidth_); }
  template <class Load>
  Share share(const Load& load, int microbatch, const Pass& pass) const;
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
  void add_prompts(const DecodeBatch& batch);
  void find_pacing_ranks(const Pass& pass);
  RankTimes times_of(const Share& share, bool mtp) const;
  /// Of an MTP module: the same but for its projection.
  void add_mtp_projection(const Pass& pass);
  TokenTimes token_times(double tokens) const;
  /// Remembered where nothing is changed to see what it costs.
  const TokenTimes& token_times(const Share& share, TokenTimes& made) const;
  bool is_remembered() const;
  bool is_plain(const Share& share) const;
  void prune();
  void lay_out();
  void find_typical_layer(const Pass& pass);
  using AttentionChain = boost::container::static_vector<Operator, 16>;
  /// Of a rank, on each of its dies; collectives between them where there are several.
  AttentionChain attention(const Share& share, bool mtp) const;
  Operator collective(const char* name, double bytes) const;
  /// What an operator of the layer takes beside those of the other server.
  Stretches share_hbm(TypicalLayer& layer, const LayerProgram& program) const;
  Turns turns_of(const LayerProgram& program, const Stretches& stretches);
  void run_layers(const LayerProgram& program, const Stretches& stretches, int first, int last,
                  SliceRecorder* recorder);
  void run(const Turn& turn, const BusiestRank& busiest);
  /// What of a block is the rank's own.
  static Seconds own(const Block& block, const RankTimes& times);
  /// In the table of the first microbatch's tokens, or `made` of others.
  void find_busiest_ranks();
  /// Of the microbatch, as its tokens are now; `made` keeps it where no table has it.
  const BusiestRank* busiest_of(int expert_layer, std::size_t microbatch, BusiestRank& made) const;
  Seconds front() const;
  void join(Seconds at);
  /// Of the rank that samples the most, `tokens` for each sequence and one for each prompt.
  Seconds head(double tokens) const;
  Seconds host() const;

  const DecodePipeline& pipeline_;
  DecodePipeline::Place* place_ = nullptr;  // of the instance that runs
  const DecodePlan plan_;
  const StepVariant variant_;
  const BytesPerSecond bandwidth_;
  const Seconds jitter_;  // at each barrier
  const double group_;    // dies of a rank
  const DecodeProgram& program_;
  double attention_share_ = 1, expert_share_ = 1, exchange_aiv_ = 1;
  std::vector<Group> groups_;  // by rising number of sequences, then those that compute prompts
  boost::container::small_vector<Rank, 16> ranks_;
  boost::container::small_vector<const Rank*, 16> kept_;  // of them
  // By microbatch and row (blocks of MoE layers, of dense layers, dispatch), those of all ranks.
  static constexpr std::size_t kRows = 2 * LayerProgram::kMostBlocks + 1;
  boost::container::small_vector<Seconds, 256> own_;
  std::array<Dates, kMostServers> free_;
  std::array<Dates, kMostMicrobatches> ready_;  // end of what a microbatch ran last
  OperatorCost mlp_base_, mlp_per_row_;         // linear in the rows
  double mlp_expert_bytes_ = 0;                 // and in the experts that have some
  // Of the tokens of each microbatch that a pass verifies.
  std::array<std::shared_ptr<const BusiestRanks>, kMostMicrobatches> busiest_;
  std::array<double, kMostMicrobatches> busiest_tokens_{};
  std::array<double, kMostMicrobatches> tokens_{};  // of all ranks, by microbatch
  double max_tokens_ = 0;
  double sequence_tokens_ = 1;  // of a sequence, whose tokens are routed alike; met by a token
  std::array<BusiestRank, kMostMicrobatches> made_;  // for other passes
  TypicalLayer moe_typical_, dense_typical_;
  Stretches moe_stretches_{1, 1, 1, 1}, dense_stretches_{1, 1, 1, 1};
  Seconds layer_time_ = 0, dense_time_ = 0, moe_time_ = 0, mtp_time_ = 0, head_time_ = 0,
          host_time_ = 0;
};

}  // namespace cmsim::model
