// The published machine and model, read once for a test.
#pragma once

#include "cmsim/hw/platform.hpp"
#include "cmsim/model/architecture.hpp"
#include "cmsim/model/options.hpp"

namespace cmsim::model {

inline hw::Platform cloudmatrix() {
  return hw::load_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
}

inline Architecture deepseek_r1() {
  return load_architecture(CMSIM_SOURCE_DIR "/workloads/models/deepseek-r1.json");
}

}  // namespace cmsim::model
