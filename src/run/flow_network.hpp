// The flow rung of exchanges: SimGrid shares the ports among all pairs of ranks, max-min fairly.
//
// It differs from the analytic bound where flows that end early leave a port idle, or routes are
// fixed. Of the shapes that are asked for at once, the one of median cost is measured, and what it
// exceeds its bound by holds for all of them. Measured in a child process, because SimGrid allows
// one engine in a process and that one belongs to the run.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cmsim/coll/exchange_network.hpp"

namespace cmsim::run {

class FlowNetwork : public coll::ExchangeNetwork {
 public:
  /// Of a larger group, at most this many ranks are measured, spread evenly over it, two at least
  /// of a subgroup: CPU time grows with the third power.
  static constexpr std::size_t kMostRanks = 64;

  explicit FlowNetwork(const hw::Platform& platform);
  /// Throws SimulationError, when costs are asked for, where the child process fails.
  std::shared_ptr<const coll::ExchangeGroup> group(const Subgroups& subgroups) const override;
  coll::PortLoads loads(const Subgroups& subgroups,
                        const coll::ExchangeGroup::Shape& shape) const override {
    return analytic_.loads(subgroups, shape);
  }

  /// "exchanges take up to 1.0004 times their analytic bound on the wire (64 of 320 ranks)", and
  /// where the bound stands because nothing could be measured.
  std::string note() const override;

 private:
  struct Found {
    double excess = 0;  // the largest
    std::size_t measured = 0, ranks = 0;
    std::size_t unmeasured = 0;  // ranks of a group of which nothing was
  };
  static double excess_of(const coll::Fabric& fabric, const Subgroups& subgroups,
                          const coll::ExchangeGroup::Shape& shape, Found& found);

  coll::AnalyticNetwork analytic_;
  mutable std::map<std::shared_ptr<const coll::ExchangeGroup>,
                   std::shared_ptr<const coll::ExchangeGroup>>
      groups_;
  std::shared_ptr<Found> found_;  // groups may outlive the network
};

}  // namespace cmsim::run
