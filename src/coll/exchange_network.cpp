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

double sum(std::span<const double> of) { return std::accumulate(of.begin(), of.end(), 0.0); }

}  // namespace

class AnalyticGroup : public ExchangeGroup {
 public:
  AnalyticGroup(std::shared_ptr<const Fabric> fabric, const ExchangeNetwork::Subgroups& subgroups)
      : fabric_(std::move(fabric)), subgroups_(subgroups) {
    for (const auto& dies : subgroups_) {
      ranks_ += static_cast<double>(dies.size());
      routes_.emplace_back(*fabric_, dies, Plane::kUb, Op::kWrite);
    }
  }

  const ExchangeNetwork::Subgroups& subgroups() const { return subgroups_; }

  std::vector<ExchangeCost> costs(std::span<const Shape> shapes) const override {
    std::vector<ExchangeCost> costs;
    costs.reserve(shapes.size());
    for (const Shape& shape : shapes) {
      auto key = std::pair(shape.send, shape.receive);
      auto known = known_.find(key);
      if (known == known_.end()) {
        if (known_.size() == kMostKnown) known_.clear();
        known = known_.emplace(std::move(key), cost(shape)).first;
      }
      costs.push_back(known->second);
    }
    return costs;
  }

  /// Of a byte that all send together.
  PortLoads loads(const Shape& shape) const {
    const double per_byte = find_loads(shape);
    return loads_ * per_byte;
  }

 private:
  static constexpr std::size_t kMostKnown = 4096;  // shapes; 5 KB each of 320 ranks

  /// Leaves in loads_ what a shape puts on the ports; returns the factor that makes it that of a
  /// byte.
  double find_loads(const Shape& shape) const {
    double total = 0;
    std::size_t first = 0;
    for (std::size_t g = 0; g < subgroups_.size(); ++g) {
      const auto send = std::span(shape.send).subspan(first, subgroups_[g].size());
      const auto receive = std::span(shape.receive).subspan(first, subgroups_[g].size());
      first += subgroups_[g].size();
      total += sum(send) * sum(receive);
      routes_[g].find_loads(send, receive, g == 0 ? loads_ : of_group_);
      if (g > 0) loads_ += of_group_;
    }
    return total > 0 ? 1 / total : 1;
  }

  ExchangeCost cost(const Shape& shape) const {
    const double per_byte = find_loads(shape);
    const std::span<const Port> ports = fabric_->ports();
    double busiest = 0;
    for (std::size_t i = 0; i < loads_.wire_bytes.size(); ++i) {
      if (loads_.wire_bytes[i] <= 0) continue;
      busiest = std::max(busiest, loads_.wire_bytes[i] * per_byte / ports[i].capacity);
    }
    return {.latency = loads_.latency, .per_mean = busiest * ranks_, .per_rank = per_rank()};
  }

  /// Found when costs are first asked for: who asks for loads alone does not need it.
  double per_rank() const {
    if (per_rank_ < 0) {
      for (const GroupRoutes& routes : routes_) {
        per_rank_ = std::max(per_rank_, routes.per_rank());
      }
    }
    return per_rank_;
  }

  const std::shared_ptr<const Fabric> fabric_;
  const ExchangeNetwork::Subgroups subgroups_;
  double ranks_ = 0;
  std::deque<GroupRoutes> routes_;      // of each subgroup
  mutable double per_rank_ = -1;        // not known yet
  mutable PortLoads loads_, of_group_;  // the room of the last ones is used again
  mutable std::map<std::pair<std::vector<double>, std::vector<double>>, ExchangeCost> known_;
};

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

PortLoads AnalyticNetwork::loads(const Subgroups& subgroups,
                                 const ExchangeGroup::Shape& shape) const {
  const auto alike = groups_.find(key_of(subgroups));
  if (alike != groups_.end() && alike->second->subgroups() == subgroups) {
    return alike->second->loads(shape);
  }
  return AnalyticGroup(fabric_, subgroups).loads(shape);
}

ExchangeNetwork::Subgroups AnalyticNetwork::key_of(const Subgroups& subgroups) const {
  const hw::Platform& platform = fabric_->platform();
  // Where all links of a class are equal, places of the same form are alike.
  const bool alike = fabric_->is_uniform(Plane::kUb) && platform.faults.empty();
  return alike ? arrangement(platform, subgroups) : subgroups;
}

std::shared_ptr<const ExchangeGroup> AnalyticNetwork::group(const Subgroups& subgroups) const {
  std::shared_ptr<const AnalyticGroup>& group = groups_[key_of(subgroups)];
  if (group == nullptr) group = std::make_shared<const AnalyticGroup>(fabric_, subgroups);
  return group;
}

}  // namespace cmsim::coll
