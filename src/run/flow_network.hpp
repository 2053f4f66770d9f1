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
  /// Of a larger group, this many ranks are measured, spread evenly over it: CPU time grows with
  /// the third power.
  static constexpr std::size_t kMostRanks = 64;

  explicit FlowNetwork(const hw::Platform& platform);
  /// Throws SimulationError, when costs are asked for, where the child process fails.
  std::shared_ptr<const coll::ExchangeGroup> group(const Subgroups& subgroups) const override;
  coll::PortLoads loads(const Subgroups& subgroups,
                        const coll::ExchangeGroup::Shape& shape) const override {
    return analytic_.loads(subgroups, shape);
  }

  /// "exchanges take up to 1.0004 times their analytic bound on the wire (64 of 320 ranks)"
  std::string note() const override;

 private:
  struct Worst {
    double excess = 0;
    std::size_t measured = 0, ranks = 0;
  };
  class Group;
  coll::AnalyticNetwork analytic_;
  mutable std::map<std::shared_ptr<const coll::ExchangeGroup>, std::shared_ptr<const Group>>
      groups_;
  std::shared_ptr<Worst> worst_;
};

}  // namespace cmsim::run
