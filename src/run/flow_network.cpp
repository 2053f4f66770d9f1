#include "flow_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "cmsim/coll/analytic.hpp"
#include "cmsim/engine/exchange.hpp"
#include "in_child.hpp"

namespace cmsim::run {
namespace {

/// The number of the shape of median cost.
std::size_t median_of(const std::vector<coll::ExchangeCost>& costs) {
  std::vector<std::size_t> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return costs[i].per_mean; });
  return order[order.size() / 2];
}

/// What the ranks send, as many of them as can be measured: much each, so
/// that latency and rounding vanish.
coll::PairTraffic pairs_of(const coll::ExchangeNetwork::Subgroups& subgroups, std::size_t measured,
                           const coll::ExchangeGroup::Shape& shape) {
  constexpr double kBytes = 1e8;
  coll::PairTraffic traffic;
  const std::size_t ranks = shape.send.size();
  const auto is_measured = [&](std::size_t rank) {
    return rank * measured / ranks != (rank + 1) * measured / ranks;
  };
  double total = 0;
  std::size_t first = 0;
  for (const auto& dies : subgroups) {
    for (std::size_t i = first; i < first + dies.size(); ++i) {
      if (!is_measured(i)) continue;
      for (std::size_t j = first; j < first + dies.size(); ++j) {
        const double bytes = shape.send[i] * shape.receive[j];
        if (i == j || !is_measured(j) || bytes <= 0) continue;
        traffic.pairs.push_back({dies[i - first], dies[j - first], bytes});
        total += bytes;
      }
    }
    first += dies.size();
  }
  for (auto& pair : traffic.pairs) pair.bytes *= kBytes * static_cast<double>(measured) / total;
  return traffic;
}

}  // namespace

class FlowNetwork::Group : public coll::ExchangeGroup {
 public:
  Group(const coll::AnalyticNetwork& network, const coll::ExchangeNetwork::Subgroups& subgroups,
        std::shared_ptr<Worst> worst)
      : fabric_(network.fabric()),
        bound_(network.group(subgroups)),
        subgroups_(subgroups),
        worst_(std::move(worst)) {}

  std::vector<coll::ExchangeCost> costs(std::span<const Shape> shapes) const override {
    std::vector<coll::ExchangeCost> costs = bound_->costs(shapes);
    if (costs.empty()) return costs;
    const std::size_t median = median_of(costs);
    if (costs[median].per_mean <= 0) return costs;
    const double excess = excess_of(shapes[median]);
    for (coll::ExchangeCost& cost : costs) cost.per_mean *= excess;
    return costs;
  }

 private:
  double excess_of(const Shape& shape) const {
    const std::size_t ranks = shape.send.size(), measured = std::min(ranks, kMostRanks);
    const coll::PairTraffic traffic = pairs_of(subgroups_, measured, shape);
    const auto bound = coll::analytic_exchange(fabric_, coll::port_loads(fabric_, traffic));
    const Seconds alone = bound.duration - bound.latency;
    if (!(alone > 0)) return 1;
    const Seconds flows = in_child([&] {
      engine::RuntimeOptions options;
      options.sharing = engine::Sharing::kFull;
      engine::SimGridRuntime runtime(fabric_, options);
      const auto result = engine::run_exchange(runtime, traffic, coll::Network::kFlow).exchange;
      return result.duration - result.latency;
    });
    // To nine digits: what is equal but for rounding counts as equal.
    const double excess = std::round(flows / alone * 1e9) / 1e9;
    if (excess > worst_->excess) *worst_ = {excess, measured, ranks};
    return excess;
  }

  const coll::Fabric fabric_;
  std::shared_ptr<const coll::ExchangeGroup> bound_;
  const coll::ExchangeNetwork::Subgroups subgroups_;
  std::shared_ptr<Worst> worst_;
};

FlowNetwork::FlowNetwork(const hw::Platform& platform)
    : analytic_(platform), worst_(std::make_shared<Worst>()) {}

std::shared_ptr<const coll::ExchangeGroup> FlowNetwork::group(const Subgroups& subgroups) const {
  std::shared_ptr<const Group>& group = groups_[analytic_.group(subgroups)];
  if (group == nullptr) group = std::make_shared<const Group>(analytic_, subgroups, worst_);
  return group;
}

std::string FlowNetwork::note() const {
  if (worst_->excess <= 0) return "";
  const std::string ranks = worst_->measured < worst_->ranks
                                ? fmt::format("{} of {}", worst_->measured, worst_->ranks)
                                : fmt::format("{}", worst_->ranks);
  return fmt::format(
      "exchanges take up to {:.4f} times their analytic bound on the wire ({} ranks)",
      worst_->excess, ranks);
}

}  // namespace cmsim::run
