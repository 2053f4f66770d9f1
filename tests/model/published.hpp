// The published machine and model, read once for a test.
#pragma once

#include "cmsim/hw/platform.hpp"
#include "cmsim/model/architecture.hpp"
#include "cmsim/model/options.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::model {

using hw::cloudmatrix;

inline Architecture deepseek_r1() {
  return load_architecture(CMSIM_SOURCE_DIR "/workloads/models/deepseek-r1.json");
}

}  // namespace cmsim::model
