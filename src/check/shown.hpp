// One move of a metric as the cells of a row.
#pragma once

#include <string>

#include "cmsim/check/difference.hpp"

namespace cmsim::check {

struct Shown {
  std::string name, old, now, change;  // "tpot, ms"; "-" where a value is missing
};

Shown shown(const MetricMove& move);

/// By characters, so that "é" counts as one; what is cut ends in "...".
std::string cut(const std::string& text, std::size_t most);

}  // namespace cmsim::check
