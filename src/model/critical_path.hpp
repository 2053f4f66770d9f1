// What a step waited for, slice by slice: internal to the breakdowns.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cmsim/model/breakdown.hpp"

namespace cmsim::model {

/// Time on the critical path by operator, in the order in which they first come. Walks back from
/// the last slice to end: the one that ended when it started, on its own microbatch or its own
/// track, is what it waited for; a gap is "(waiting)". Slices come in an order that respects
/// waiting. The path covers the time from the first slice's start to the last one's end.
std::vector<std::pair<std::string, Seconds>> critical_path(const std::vector<StepSlice>& slices);

}  // namespace cmsim::model
