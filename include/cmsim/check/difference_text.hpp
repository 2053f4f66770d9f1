// Differences as people read them, at most 100 columns wide, without colour.
#pragma once

#include <string>

#include "cmsim/check/difference.hpp"

namespace cmsim::check {

/// What differs between the two, what moved, and which parts of the breakdown explain it.
std::string difference_text(const Difference& difference);

/// All groups, or only those whose parts add up to a step or a latency.
enum class Groups { kAll, kSums };

/// The last of the three: one table a group, its largest moves.
std::string explanation_text(const Difference& difference, Groups which);

}  // namespace cmsim::check
