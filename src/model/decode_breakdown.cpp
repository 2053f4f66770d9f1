// Where the time of a decode iteration goes: runs the recurrence once with a recorder and again
// with each mechanism's cost taken away.
#include "cmsim/model/decode_model.hpp"
#include "critical_path.hpp"
#include "decode_step.hpp"
#include "operator_time.hpp"

namespace cmsim::model {
namespace {

/// Turns the blocks of the recurrence into slices of operators on the pacing rank.
class Slices : public SliceRecorder {
 public:
  Slices(const DecodeStep& step, std::vector<StepSlice>& slices) : step_(step), slices_(slices) {}

  /// Divides the block in proportion to the typical durations of its operators.
  void block(const Block& block, bool is_dense, int layer, int microbatch, Seconds start,
             Seconds end) override {
    const auto& operators = is_dense ? step_.dense_operators() : step_.moe_operators();
    Seconds total = 0;
    for (const auto& one : operators) {
      if (block.has(one.stage)) total += one.shared;
    }
    if (total <= 0) return;
    const double fit = (end - start) / total;
    for (const auto& one : operators) {
      if (!block.has(one.stage)) continue;
      const Seconds length = one.shared * fit;
      slices_.push_back({one.op.name, track_of(block.server), start, length, layer, microbatch});
      start += length;
    }
  }
  void whole(const char* name, Seconds start, Seconds duration) override {
    slices_.push_back({name, track_of(0), start, duration, -1, 0});
  }

 private:
  const char* track_of(int server) const {
    return step_.program().servers[static_cast<std::size_t>(server)];
  }

  const DecodeStep& step_;
  std::vector<StepSlice>& slices_;
};

}  // namespace

StepBreakdown DecodePipeline::breakdown(const DecodeBatch& batch) const {
  StepBreakdown result;
  const DecodePlan chosen = plan(batch);
  DecodeStep step(*this, chosen, {});
  Slices recorder(step, result.slices);
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

  const DecodeProgram& program = step.program();
  for (const char* name : program.servers) {
    if (name != nullptr) result.streams.emplace_back(name, 0);
  }
  const bool is_dense = architecture_.moe_layers() == 0;
  for (const auto& one : is_dense ? step.dense_operators() : step.moe_operators()) {
    auto& [track, busy] = result.streams[static_cast<std::size_t>(one.op.server)];
    result.operators.push_back(
        operator_time(one.op, track, one.shared, device_.hbm_bandwidth(), platform_.die.units));
    busy += one.shared;
  }
  result.critical_path = critical_path(result.slices);
  result.losses.imbalance = result.duration - duration(batch, chosen, {.balanced = true});
  result.losses.communication = result.duration - duration(batch, chosen, {.free_exchange = true});
  result.losses.launch = result.duration - duration(batch, chosen, {.free_launch = true});
  result.losses.jitter = result.duration - duration(batch, chosen, {.no_jitter = true});
  return result;
}

}  // namespace cmsim::model
