// Keys that are refused where they stand: asking for one by ConfigNode::has() would make it one of
// those that are allowed.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cmsim/base/config.hpp"

namespace cmsim::hw {

inline bool has_key(const ConfigNode& node, std::string_view key) {
  const std::vector<std::string> keys = node.keys();
  return std::ranges::find(keys, key) != keys.end();
}

}  // namespace cmsim::hw
