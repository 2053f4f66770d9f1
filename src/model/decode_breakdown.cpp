// Where the time of a decode iteration goes: runs the recurrence once with a recorder and again
// with each mechanism's cost taken away.
#include <array>
#include <numeric>
#include <span>

#include "cmsim/model/decode_model.hpp"
#include "critical_path.hpp"
#include "decode_step.hpp"

namespace cmsim::model {
namespace {

using AttentionNames = std::array<const char*, DecodeStep::kAttentionOperators>;
constexpr AttentionNames kLatentAttention{"MLAProlog", "Indexer", "FusedAttention", "OProj"};
constexpr AttentionNames kGroupedAttention{"QKVProj", "Indexer", "Attention", "OProj"};
constexpr std::array<const char*, 4> kExperts{"Gate", "Dispatch", "MLP", "Combine"};

/// Turns the blocks of the recurrence into slices of operators on the pacing rank.
class Slices : public SliceRecorder {
 public:
  Slices(const DecodeStep& step, const AttentionNames& names, std::vector<StepSlice>& slices)
      : step_(step), attention_names_(names), slices_(slices) {}

  void attention(int layer, int microbatch, Seconds start, Seconds end) override {
    split(attention_names_.data(), step_.operators().attention_shared, "stream 0", layer,
          microbatch, start, end);
  }
  void experts(int layer, int microbatch, Seconds start, Seconds barrier, Seconds end) override {
    const std::span<const Seconds> all = step_.operators().experts_shared;
    split(kExperts.data(), all.first(2), "stream 1", layer, microbatch, start, barrier);
    split(kExperts.data() + 2, all.last(2), "stream 1", layer, microbatch, barrier, end);
  }
  void operation(const char* name, const char* track, int layer, int microbatch, Seconds start,
                 Seconds end) override {
    slices_.push_back({name, track, start, end - start, layer, microbatch});
  }
  void whole(const char* name, Seconds start, Seconds duration) override {
    slices_.push_back({name, "stream 0", start, duration, -1, 0});
  }

 private:
  /// Divides [start, end) in proportion to the typical durations of the operators.
  void split(const char* const* names, std::span<const Seconds> weights, const char* track,
             int layer, int microbatch, Seconds start, Seconds end) {
    const Seconds total = sum(weights);
    if (total <= 0) return;
    const double fit = (end - start) / total;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] == 0) continue;  // an operator that the model does not have
      const Seconds length = weights[i] * fit;
      slices_.push_back({names[i], track, start, length, layer, microbatch});
      start += length;
    }
  }

  const DecodeStep& step_;
  const AttentionNames& attention_names_;
  std::vector<StepSlice>& slices_;
};

}  // namespace

StepBreakdown DecodePipeline::breakdown(const DecodeBatch& batch) const {
  StepBreakdown result;
  const DecodePlan chosen = plan(batch);
  DecodeStep step(*this, chosen, {});
  const AttentionNames& attention_names =
      architecture_.latent() != nullptr ? kLatentAttention : kGroupedAttention;
  Slices recorder(step, attention_names, result.slices);
  result.duration = step.run(batch, &recorder);
  if (result.duration <= 0) return result;
  result.microbatches = chosen.microbatches;
  result.attention_aic = chosen.attention_aic;
  result.attention_aiv = chosen.attention_aiv;
  result.layer = step.layer_time();
  result.dense_layers = step.dense_time();
  result.moe_layers = step.moe_time();
  result.mtp = step.mtp_time();
  result.head = step.head_time();
  result.host = step.host_time();

  const DecodeStep::Operators& operators = step.operators();
  result.streams = {{"stream 0", 0}, {"stream 1", 0}};
  const auto add = [&](const char* name, int stream, const OperatorCost& cost, Seconds shared) {
    if (shared == 0) return;  // an operator that the model does not have
    auto& [track, busy] = result.streams[static_cast<std::size_t>(stream)];
    result.operators.push_back(
        {name, track, cost.alone(device_.hbm_bandwidth()), shared, cost.hbm_bytes});
    busy += shared;
  };
  const bool is_dense = architecture_.moe_layers() == 0;
  for (std::size_t i = 0; i < attention_names.size(); ++i) {
    add(attention_names[i], 0, operators.attention[i],
        is_dense ? operators.dense_attention_shared[i] : operators.attention_shared[i]);
  }
  if (is_dense) add("DenseFFN", 1, operators.dense[0], operators.dense_shared[0]);
  for (std::size_t i = 0; i < kExperts.size() && !is_dense; ++i) {
    add(kExperts[i], step.is_on_stream_1(static_cast<int>(i)) ? 1 : 0, operators.experts[i],
        operators.experts_shared[i]);
  }
  result.critical_path = critical_path(result.slices);
  result.losses.imbalance = result.duration - duration(batch, chosen, {.balanced = true});
  result.losses.communication = result.duration - duration(batch, chosen, {.free_exchange = true});
  result.losses.launch = result.duration - duration(batch, chosen, {.free_launch = true});
  result.losses.jitter = result.duration - duration(batch, chosen, {.no_jitter = true});
  return result;
}

}  // namespace cmsim::model
