// The shipped machines, read once for a test.
#pragma once

#include "cmsim/hw/platform.hpp"

namespace cmsim::hw {

inline Platform cloudmatrix(Spread spread = Spread::kAdaptive) {
  Platform platform = load_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  platform.ub.spread = spread;
  return platform;
}

}  // namespace cmsim::hw
