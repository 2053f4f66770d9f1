// The published machine and model, read once for a test.
#pragma once

#include <algorithm>
#include <string>

#include "cmsim/hw/platform.hpp"
#include "cmsim/model/architecture.hpp"
#include "cmsim/model/breakdown.hpp"
#include "cmsim/model/options.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::model {

using hw::cloudmatrix;

inline Architecture deepseek_r1() {
  return load_architecture(CMSIM_SOURCE_DIR "/workloads/models/deepseek-r1.json");
}

/// Of a typical layer; without work where it has none of the name.
inline OperatorTime op_of(const StepBreakdown& step, const std::string& name) {
  const auto found = std::ranges::find(step.operators, name, &OperatorTime::name);
  return found == step.operators.end() ? OperatorTime{} : *found;
}

}  // namespace cmsim::model
