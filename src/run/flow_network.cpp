#include "flow_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "adjusted_group.hpp"
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

/// The i-th of `count` places spread evenly over `all`.
std::size_t spread_over(std::size_t all, std::size_t count, std::size_t i) {
  return ((i + 1) * all + count - 1) / count - 1;
}

/// Of each subgroup the places that are measured: all, else `most` in all and two at least of a
/// subgroup that has some, for a rank alone sends nothing.
std::vector<std::vector<std::size_t>> sample_of(const coll::ExchangeNetwork::Subgroups& subgroups,
                                                std::size_t most) {
  std::size_t ranks = 0;
  std::vector<std::size_t> exchanging;
  for (std::size_t group = 0; group < subgroups.size(); ++group) {
    ranks += subgroups[group].size();
    if (subgroups[group].size() > 1) exchanging.push_back(group);
  }
  std::vector<std::vector<std::size_t>> places(subgroups.size());
  const std::size_t groups =
      ranks <= most ? exchanging.size() : std::min(exchanging.size(), most / 2);
  for (std::size_t k = 0; k < groups; ++k) {
    const std::size_t group = exchanging[spread_over(exchanging.size(), groups, k)];
    const std::size_t size = subgroups[group].size();
    const std::size_t count = ranks <= most ? size : std::min(size, most / groups);
    for (std::size_t i = 0; i < count; ++i) places[group].push_back(spread_over(size, count, i));
  }
  return places;
}

struct Sample {
  coll::PairTraffic traffic;
  std::size_t ranks = 0;
};

/// What the ranks that are measured send each other: much each, so that latency and rounding
/// vanish.
Sample sample_traffic(const coll::ExchangeNetwork::Subgroups& subgroups, std::size_t most,
                      const coll::ExchangeGroup::Shape& shape) {
  constexpr double kBytes = 1e8;
  Sample sample;
  const auto places = sample_of(subgroups, most);
  double total = 0;
  std::size_t first = 0;
  for (std::size_t group = 0; group < subgroups.size(); ++group) {
    const auto& dies = subgroups[group];
    for (const std::size_t i : places[group]) {
      for (const std::size_t j : places[group]) {
        const double bytes = shape.send[first + i] * shape.receive[first + j];
        if (i == j || bytes <= 0) continue;
        sample.traffic.pairs.push_back({dies[i], dies[j], bytes});
        total += bytes;
      }
    }
    sample.ranks += places[group].size();
    first += dies.size();
  }
  for (auto& pair : sample.traffic.pairs) {
    pair.bytes *= kBytes * static_cast<double>(sample.ranks) / total;
  }
  return sample;
}

Seconds flow_time(const coll::Fabric& fabric, const coll::PairTraffic& traffic) {
  return in_child([&] {
    engine::RuntimeOptions options;
    options.sharing = engine::Sharing::kFull;
    engine::SimGridRuntime runtime(fabric, options);
    const auto result = engine::run_exchange(runtime, traffic, coll::Network::kFlow).exchange;
    return result.duration - result.latency;
  });
}

}  // namespace

FlowNetwork::FlowNetwork(const hw::Platform& platform)
    : analytic_(platform), found_(std::make_shared<Found>()) {}

std::shared_ptr<const coll::ExchangeGroup> FlowNetwork::group(const Subgroups& subgroups) const {
  const auto bound = analytic_.group(subgroups);
  std::shared_ptr<const coll::ExchangeGroup>& group = groups_[bound];
  if (group == nullptr) {
    group = std::make_shared<AdjustedGroup>(
        bound, [fabric = analytic_.fabric(), subgroups, found = found_](
                   std::span<const coll::ExchangeGroup::Shape> shapes,
                   std::vector<coll::ExchangeCost>& costs) {
          if (costs.empty()) return;
          const std::size_t median = median_of(costs);
          if (costs[median].per_mean <= 0) return;
          const double excess = excess_of(fabric, subgroups, shapes[median], *found);
          for (coll::ExchangeCost& cost : costs) cost.per_mean *= excess;
        });
  }
  return group;
}

double FlowNetwork::excess_of(const coll::Fabric& fabric, const Subgroups& subgroups,
                              const coll::ExchangeGroup::Shape& shape, Found& found) {
  const Sample sample = sample_traffic(subgroups, kMostRanks, shape);
  const std::size_t ranks = shape.send.size();
  const auto bound = coll::analytic_exchange(fabric, coll::port_loads(fabric, sample.traffic));
  const Seconds alone = bound.duration - bound.latency;
  if (!(alone > 0)) {
    found.unmeasured = ranks;
    return 1;
  }
  // To nine digits: what is equal but for rounding counts as equal.
  const double excess = std::round(flow_time(fabric, sample.traffic) / alone * 1e9) / 1e9;
  if (excess > found.excess) {
    found.excess = excess;
    found.measured = sample.ranks;
    found.ranks = ranks;
  }
  return excess;
}

std::string FlowNetwork::note() const {
  std::string note;
  if (found_->excess > 0) {
    const std::string ranks = found_->measured < found_->ranks
                                  ? fmt::format("{} of {}", found_->measured, found_->ranks)
                                  : fmt::format("{}", found_->ranks);
    note =
        fmt::format("exchanges take up to {:.4f} times their analytic bound on the wire ({} ranks)",
                    found_->excess, ranks);
  }
  if (found_->unmeasured > 0) {
    note += fmt::format(
        "{}some of {} ranks take their analytic bound: those that would be measured send each "
        "other nothing",
        note.empty() ? "exchanges: " : "; ", found_->unmeasured);
  }
  return note;
}

}  // namespace cmsim::run
