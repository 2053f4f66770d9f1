// Where the time of a prefill batch goes: all layers placed one by one, and the batch again with
// each mechanism's cost taken away.
#include <algorithm>

#include "cmsim/model/prefill_model.hpp"
#include "critical_path.hpp"
#include "operator_time.hpp"
#include "prefill_step.hpp"

namespace cmsim::model {
namespace {

/// Adds the slices of `layers` passes over the chain, from `start` on, `length` long: the schedule
/// of all passes is fitted to the length that the step extrapolates from a few.
Schedule add_layers(std::vector<StepSlice>& slices, const std::vector<Operator>& chain,
                    const PrefillStep& step, BytesPerSecond bandwidth, int first_layer, int layers,
                    Seconds start, Seconds length) {
  Schedule schedule = schedule_chain(chain, step.microbatches(), layers, bandwidth);
  const double fit = schedule.makespan > 0 ? length / schedule.makespan : 1;
  for (const PlacedOperator& placed : schedule.placed) {
    const Operator& op = chain[static_cast<std::size_t>(placed.index)];
    slices.push_back({op.name, step.servers()[static_cast<std::size_t>(op.server)],
                      start + placed.start * fit, (placed.end - placed.start) * fit,
                      first_layer + placed.repetition, placed.microbatch});
  }
  return schedule;
}

/// Operators of a layer, their durations means over all layers and microbatches.
void add_operators(StepBreakdown& result, const std::vector<Operator>& chain,
                   const PrefillStep& step, const Schedule& schedule, BytesPerSecond bandwidth,
                   const hw::UnitNames& units) {
  std::vector<Seconds> duration(chain.size(), 0);
  std::vector<int> count(chain.size(), 0);
  for (const PlacedOperator& placed : schedule.placed) {
    duration[static_cast<std::size_t>(placed.index)] += placed.end - placed.start;
    ++count[static_cast<std::size_t>(placed.index)];
  }
  for (const std::string& name : step.servers()) result.streams.emplace_back(name, 0);
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const Seconds mean = duration[i] / std::max(1, count[i]);
    auto& [track, busy] = result.streams[static_cast<std::size_t>(chain[i].server)];
    result.operators.push_back(operator_time(chain[i], track, mean, bandwidth, units));
    busy += mean;
  }
}

}  // namespace

StepBreakdown PrefillPipeline::breakdown(const PrefillBatch& batch) const {
  const PromptLoad totals = prompt_load(batch.sequences, options_.sequence_packing);
  StepBreakdown result;
  if (totals.tokens <= 0) return result;
  const std::int32_t instance = batch.instance;
  const int split = microbatches(totals, instance);
  const PrefillStep step(*this, instance, totals, split, {});
  const Architecture& a = operators_.architecture();
  const BytesPerSecond bandwidth = device_.hbm_bandwidth();
  result.host = host_time(batch.cached_blocks);
  result.duration = result.host + step.duration();
  result.microbatches = step.microbatches();
  const bool is_dense = a.moe_layers() == 0;
  result.layer = is_dense ? step.dense_time() / a.layers : step.layer_time();
  result.dense_layers = step.dense_time();
  result.moe_layers = step.moe_time();
  result.mtp = step.mtp_time();
  result.head = step.head_time();

  if (a.dense_layers > 0) {
    const Schedule schedule = add_layers(result.slices, step.dense_chain(), step, bandwidth, 0,
                                         a.dense_layers, result.host, result.dense_layers);
    if (is_dense)
      add_operators(result, step.dense_chain(), step, schedule, bandwidth, platform_.die.units);
  }
  if (!is_dense) {
    const Schedule schedule =
        add_layers(result.slices, step.chain(), step, bandwidth, a.dense_layers, a.moe_layers(),
                   result.host + result.dense_layers, result.moe_layers);
    add_operators(result, step.chain(), step, schedule, bandwidth, platform_.die.units);
  }
  const Seconds layers_end = result.host + result.dense_layers + result.moe_layers;
  const std::string& compute =
      step.servers()[static_cast<std::size_t>(step.server_of(Unit::kMatrix))];
  if (result.mtp > 0) result.slices.push_back({"MTP", compute, layers_end, result.mtp, -1, 0});
  result.slices.push_back({"LMHead", compute, layers_end + result.mtp, result.head, -1, 0});
  result.critical_path = critical_path(result.slices);

  const auto without = [&](const StepVariant& variant) {
    return step.duration() - PrefillStep(*this, instance, totals, split, variant).duration();
  };
  result.losses.imbalance = without({.balanced = true});
  result.losses.communication = without({.free_exchange = true});
  result.losses.launch = result.host + without({.free_launch = true});
  result.losses.jitter = without({.no_jitter = true});
  return result;
}

}  // namespace cmsim::model
