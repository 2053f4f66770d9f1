// Two streams of one die that share its HBM bandwidth: how much longer each operator takes.
#pragma once

#include <span>
#include <vector>

#include "cmsim/model/cost.hpp"

namespace cmsim::model {

/// Durations of the operators of two streams that start together, each stream running its own in
/// order. An operator moves its bytes evenly over its time alone; when the two running ones ask for
/// more than `bandwidth`, it is shared max-min. The rest of the longer stream runs alone. Throws
/// std::invalid_argument on a cost or bandwidth that is not a finite number from 0.
struct StreamPair {
  std::vector<Seconds> first, second;
};
StreamPair share_bandwidth(std::span<const OperatorCost> first,
                           std::span<const OperatorCost> second, BytesPerSecond bandwidth);

}  // namespace cmsim::model
