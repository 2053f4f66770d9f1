// The iteration models that a scenario asks for, one a role in use.
#pragma once

#include <memory>

#include "cmsim/model/decode_model.hpp"
#include "cmsim/model/prefill_model.hpp"
#include "cmsim/run/scenario.hpp"
#include "fabric_scale.hpp"

namespace cmsim::run {

struct StepModels {
  std::unique_ptr<model::PrefillPipeline> prefill;  // null when the role is not exercised
  std::unique_ptr<model::DecodePipeline> decode;
};

StepModels make_step_models(const Scenario& scenario, const RoleExperts& experts,
                            const FabricScale& fabric = {});

/// Refuses, without building a model, an expert layout that does not fill its ranks and a role
/// whose weights and buffers leave no HBM for KV: a ConfigError with the pointer, no file.
void check_step_models(const Scenario& scenario);

}  // namespace cmsim::run
