// The dies of an exchange in a test.
#pragma once

#include <cstdint>
#include <numeric>
#include <vector>

namespace cmsim::coll {

inline std::vector<std::int32_t> consecutive_dies(int first_die, int ranks) {
  std::vector<std::int32_t> dies(static_cast<std::size_t>(ranks));
  std::iota(dies.begin(), dies.end(), first_die);
  return dies;
}

}  // namespace cmsim::coll
