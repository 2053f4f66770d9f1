// The iteration models that a scenario asks for, one a role in use.
#pragma once

#include <memory>

#include "cmsim/model/step.hpp"
#include "cmsim/run/scenario.hpp"

namespace cmsim::run {

struct StepModels {
  std::unique_ptr<model::PrefillModel> prefill;  // null when the role is not exercised
  std::unique_ptr<model::DecodeModel> decode;
};

/// Throws ConfigError (with the pointer, no file) when weights and buffers leave no HBM for KV.
StepModels make_step_models(const Scenario& scenario);

}  // namespace cmsim::run
