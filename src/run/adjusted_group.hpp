// A group of ranks whose costs are those of another network, put right by what was measured.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cmsim/coll/exchange_network.hpp"

namespace cmsim::run {

class AdjustedGroup : public coll::ExchangeGroup {
 public:
  /// Gets the shapes that are asked for and their costs; may change the costs.
  using Adjust = std::function<void(std::span<const Shape>, std::vector<coll::ExchangeCost>&)>;
  AdjustedGroup(std::shared_ptr<const ExchangeGroup> group, Adjust adjust)
      : group_(std::move(group)), adjust_(std::move(adjust)) {}

  std::vector<coll::ExchangeCost> costs(std::span<const Shape> shapes) const override {
    std::vector<coll::ExchangeCost> costs = group_->costs(shapes);
    adjust_(shapes, costs);
    return costs;
  }

 private:
  std::shared_ptr<const ExchangeGroup> group_;
  Adjust adjust_;
};

}  // namespace cmsim::run
