// The seam of exchanges: a group of ranks and what they send each other → time on the wire and the
// load of every port.
//
// A step model asks once for each shape that its exchanges have, at the place of every instance,
// and gets a cost that is linear in their bytes. The fabric alone is in here: what the cores spend
// on issuing messages comes on top (model/exchange.hpp).
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cmsim/coll/group_routes.hpp"
#include "cmsim/coll/traffic.hpp"

namespace cmsim::coll {

/// A rank's bytes count whole, with those that it keeps.
struct ExchangeCost {
  Seconds latency = 0;  // of the farthest pair
  double per_mean = 0;  // s/B: the busiest port, for each byte that a rank sends on average
  double per_rank = 0;  // s/B: a rank's own ports, for what it sends or gets itself

  /// Until the busiest port is through: with the expected bytes of all ranks, and with those that
  /// the fullest rank sends or gets in this very exchange.
  Seconds wire(double mean, double most) const {
    return std::max(per_mean * mean, per_rank * most);
  }
};

/// Ranks at their places in the fabric. They exchange within subgroups, all at once.
class ExchangeGroup {
 public:
  virtual ~ExchangeGroup() = default;
  /// Rank i sends rank j of its subgroup bytes in proportion to send[i] * receive[j]. One entry a
  /// rank, subgroup after subgroup.
  struct Shape {
    std::vector<double> send, receive;
  };
  virtual std::vector<ExchangeCost> costs(std::span<const Shape> shapes) const = 0;
};

class ExchangeNetwork {
 public:
  using Subgroups = std::vector<std::vector<std::int32_t>>;  // of dies
  virtual ~ExchangeNetwork() = default;
  /// Writes between dies over the scale-up plane, and beyond it over the scale-out plane. Groups
  /// whose places are alike are one.
  virtual std::shared_ptr<const ExchangeGroup> group(const Subgroups& subgroups) const = 0;
  /// What every byte puts on the ports that is sent in this shape by these very dies together.
  virtual PortLoads loads(const Subgroups& subgroups, const ExchangeGroup::Shape& shape) const = 0;
  /// What it adds to the analytic bound of what was asked so far, in words; empty when nothing.
  virtual std::string note() const { return ""; }
};

/// What every rank sends is spread evenly over its subgroup.
ExchangeGroup::Shape even_shape(const ExchangeNetwork::Subgroups& subgroups);
ExchangeCost even_cost(const ExchangeNetwork& network, const ExchangeNetwork::Subgroups& subgroups);

class AnalyticGroup;

/// The analytic bound: an exchange lasts until its busiest port is through, uplinks included, and
/// meets nothing else. Shapes and groups that were seen before are remembered.
class AnalyticNetwork : public ExchangeNetwork {
 public:
  explicit AnalyticNetwork(const hw::Platform& platform);
  std::shared_ptr<const ExchangeGroup> group(const Subgroups& subgroups) const override;
  PortLoads loads(const Subgroups& subgroups, const ExchangeGroup::Shape& shape) const override;
  const Fabric& fabric() const { return *fabric_; }

 private:
  /// Places that are alike have one.
  Subgroups key_of(const Subgroups& subgroups) const;

  std::shared_ptr<const Fabric> fabric_;
  mutable std::map<Subgroups, std::shared_ptr<const AnalyticGroup>> groups_;
};

}  // namespace cmsim::coll
