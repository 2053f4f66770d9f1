#include "cmsim/coll/exchange_network.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>
#include <utility>

namespace cmsim::coll {
namespace {

/// Which package, node and supernode each rank is in, by numbers in the order in which they come.
ExchangeNetwork::Subgroups arrangement(const hw::Platform& platform,
                                       const ExchangeNetwork::Subgroups& subgroups) {
  ExchangeNetwork::Subgroups places;
  std::map<std::pair<int, int>, std::int32_t> numbers;
  for (const auto& dies : subgroups) {
    std::vector<std::int32_t>& of_group = places.emplace_back();
    for (const std::int32_t die : dies) {
      const int node = platform.node_of_die(die);
      const int of[] = {die / platform.dies_per_npu, node, node / platform.nodes_per_supernode()};
      for (int level = 0; level < 3; ++level) {
        const auto next = static_cast<std::int32_t>(numbers.size());
        of_group.push_back(numbers.emplace(std::pair(level, of[level]), next).first->second);
      }
    }
  }
  return places;
}

class AnalyticGroup : public ExchangeGroup {
 public:
  AnalyticGroup(std::shared_ptr<const Fabric> fabric, const ExchangeNetwork::Subgroups& subgroups)
      : fabric_(std::move(fabric)) {
    for (const auto& dies : subgroups) {
      ranks_ += static_cast<double>(dies.size());
      sizes_.push_back(dies.size());
      const GroupRoutes& routes = routes_.emplace_back(*fabric_, dies, Plane::kUb, Op::kWrite);
      per_rank_ = std::max(per_rank_, routes.per_rank());
    }
  }

  std::vector<ExchangeCost> costs(std::span<const Shape> shapes) const override {
    std::vector<ExchangeCost> costs;
    costs.reserve(shapes.size());
    for (const Shape& shape : shapes) {
      auto key = std::pair(shape.send, shape.receive);
      auto known = known_.find(key);
      if (known == known_.end()) known = known_.emplace(std::move(key), cost(shape)).first;
      costs.push_back(known->second);
    }
    return costs;
  }

 private:
  ExchangeCost cost(const Shape& shape) const {
    ExchangeCost cost{.latency = 0,
                      .per_mean = 0,
                      .per_rank = per_rank_,
                      .links = LinkLoads(fabric_->classes().size() * 2)};
    const auto sum = [](std::span<const double> of) {
      return std::accumulate(of.begin(), of.end(), 0.0);
    };
    const auto for_each_part = [&](const auto& use) {
      std::size_t first = 0;
      for (std::size_t g = 0; g < sizes_.size(); ++g) {
        use(routes_[g], std::span(shape.send).subspan(first, sizes_[g]),
            std::span(shape.receive).subspan(first, sizes_[g]));
        first += sizes_[g];
      }
    };
    double total = 0;
    for_each_part(
        [&](const GroupRoutes&, auto send, auto receive) { total += sum(send) * sum(receive); });
    if (total <= 0) return cost;
    std::vector<double> bytes(fabric_->ports().size(), 0), wire_bytes = bytes;
    for_each_part([&](const GroupRoutes& routes, auto send, auto receive) {
      const PortLoads loads = routes.loads(send, receive);
      cost.latency = std::max(cost.latency, loads.latency);
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] += loads.bytes[i];
        wire_bytes[i] += loads.wire_bytes[i];
      }
    });
    std::vector<int> ports(cost.links.size(), 0);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const Port& port = fabric_->ports()[i];
      const std::size_t row = std::size_t{port.cls} * 2 + static_cast<std::size_t>(port.direction);
      ++ports[row];
      if (wire_bytes[i] <= 0) continue;
      const Seconds busy = wire_bytes[i] / total / port.capacity;
      cost.per_mean = std::max(cost.per_mean, busy * ranks_);
      cost.links[row].bytes += bytes[i] / total;
      cost.links[row].busy += busy;
      cost.links[row].busiest = std::max(cost.links[row].busiest, busy);
    }
    for (std::size_t row = 0; row < ports.size(); ++row) {
      if (ports[row] > 0) cost.links[row].busy /= ports[row];
    }
    return cost;
  }

  const std::shared_ptr<const Fabric> fabric_;
  double ranks_ = 0;
  std::vector<std::size_t> sizes_;  // of the subgroups
  std::deque<GroupRoutes> routes_;
  double per_rank_ = 0;
  mutable std::map<std::pair<std::vector<double>, std::vector<double>>, ExchangeCost> known_;
};

}  // namespace

LinkLoads& operator+=(LinkLoads& loads, const LinkLoads& others) {
  loads.resize(std::max(loads.size(), others.size()));
  for (std::size_t i = 0; i < others.size(); ++i) {
    loads[i].bytes += others[i].bytes;
    loads[i].busy += others[i].busy;
    loads[i].busiest += others[i].busiest;
  }
  return loads;
}

LinkLoads operator*(LinkLoads loads, double factor) {
  for (LinkLoad& load : loads) {
    load.bytes *= factor;
    load.busy *= factor;
    load.busiest *= factor;
  }
  return loads;
}

ExchangeGroup::Shape even_shape(const ExchangeNetwork::Subgroups& subgroups) {
  ExchangeGroup::Shape shape;
  for (const auto& dies : subgroups) {
    shape.send.insert(shape.send.end(), dies.size(), 1);
    shape.receive.insert(shape.receive.end(), dies.size(), 1 / static_cast<double>(dies.size()));
  }
  return shape;
}

ExchangeCost even_cost(const ExchangeNetwork& network,
                       const ExchangeNetwork::Subgroups& subgroups) {
  const ExchangeGroup::Shape even = even_shape(subgroups);
  return network.group(subgroups)->costs({&even, 1}).front();
}

AnalyticNetwork::AnalyticNetwork(const hw::Platform& platform)
    : fabric_(std::make_shared<const Fabric>(platform, Uplinks::kAlways)) {}

std::shared_ptr<const ExchangeGroup> AnalyticNetwork::group(const Subgroups& subgroups) const {
  const hw::Platform& platform = fabric_->platform();
  // Where all links of a class are equal, places of the same form are alike.
  const bool alike = fabric_->is_uniform(Plane::kUb) && platform.faults.empty();
  std::shared_ptr<const ExchangeGroup>& group =
      groups_[alike ? arrangement(platform, subgroups) : subgroups];
  if (group == nullptr) group = std::make_shared<const AnalyticGroup>(fabric_, subgroups);
  return group;
}

}  // namespace cmsim::coll
