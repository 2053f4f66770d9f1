#include "cmsim/model/drifting_decode.hpp"

#include <algorithm>
#include <utility>

#include "cmsim/model/expert_moves.hpp"

namespace cmsim::model {
namespace {

/// `layers` of a move in each step, those that are left in the last.
std::vector<Seconds> spread_over_steps(const std::vector<Seconds>& by_layer, int layers) {
  std::vector<Seconds> steps((by_layer.size() + static_cast<std::size_t>(layers) - 1) /
                             static_cast<std::size_t>(layers));
  for (std::size_t layer = 0; layer < by_layer.size(); ++layer) {
    steps[layer / static_cast<std::size_t>(layers)] += by_layer[layer];
  }
  return steps;
}

}  // namespace

DriftingDecode::DriftingDecode(const hw::Platform& platform, const Architecture& architecture,
                               const ModelOptions& options, const DecodePipeline& fresh,
                               const InstancePlaces& places)
    : architecture_(architecture),
      options_(options),
      fresh_(fresh),
      drift_(options.experts.drift.time, options.decode.staleness),
      bytes_of_expert_(OperatorList(architecture, options.precision).expert_weight_bytes()),
      startup_(platform.token_exchange.sdma_startup),
      moves_(places.dies.size()) {
  const auto with_experts = fresh.experts().layout().ranks;
  for (const std::vector<std::int32_t>& dies : places.dies) {
    wires_.push_back(coll::even_cost(places.network, {{dies.end() - with_experts, dies.end()}}));
  }
}

const DecodePipeline& DriftingDecode::of_level(int level) const {
  if (level == 0) return fresh_;
  std::unique_ptr<DecodePipeline>& pipeline = stale_[static_cast<std::size_t>(level - 1)];
  if (pipeline == nullptr) {
    ModelOptions stale = options_;
    stale.decode.staleness = drift_.staleness(level);
    pipeline = std::make_unique<DecodePipeline>(fresh_.with_experts(
        make_expert_load(architecture_, stale, Phase::kDecode, fresh_.experts().layout().ranks)));
  }
  return *pipeline;
}

const DecodePipeline& DriftingDecode::aged(Seconds age) const {
  return of_level(drift_.level(age));
}

DecodeIteration DriftingDecode::iteration(const DecodeBatch& batch) const {
  return aged(batch.placement_age).iteration(batch);
}

Seconds DriftingDecode::stretched(const DecodeBatch& batch, double wire_stretch) const {
  return aged(batch.placement_age).stretched(batch, wire_stretch);
}

double DriftingDecode::balancedness(Seconds age) const {
  return aged(age).experts().balancedness();
}

/// A load that has changed a little is packed anew like any other, so that a placement of level 0
/// has as much to move as one of level 1.
const ExpertMove& DriftingDecode::move(std::int32_t instance, Seconds age) const {
  const int level = std::max(1, drift_.level(age));
  const auto at = static_cast<std::size_t>(instance);
  std::unique_ptr<ExpertMove>& move = moves_[at][static_cast<std::size_t>(level - 1)];
  if (move == nullptr) move = std::make_unique<ExpertMove>(move_of(level, wires_[at]));
  return *move;
}

ExpertMove DriftingDecode::move_of(int level, const coll::ExchangeCost& wires) const {
  const std::vector<SlotMap>& from = of_level(level).experts().placements();
  const std::vector<SlotMap>& to = fresh_.experts().placements();
  const std::vector<int> slots_by_rank = fresh_.experts().layout().slots_by_rank();
  const auto ranks = static_cast<double>(slots_by_rank.size());
  ExpertMove move;
  std::vector<Seconds> by_layer;
  for (std::size_t layer = 0; layer < to.size(); ++layer) {
    const ExpertMoves moved = moves_between(from[layer], to[layer], slots_by_rank);
    move.experts += moved.experts;
    if (moved.experts == 0) continue;
    const double bytes = moved.experts * bytes_of_expert_;
    by_layer.push_back(startup_ + wires.latency +
                       wires.wire(bytes / ranks, moved.most * bytes_of_expert_));
  }
  move.bytes = static_cast<Bytes>(static_cast<double>(move.experts) * bytes_of_expert_);
  move.steps = spread_over_steps(by_layer, options_.experts.layers_per_step);
  return move;
}

}  // namespace cmsim::model
