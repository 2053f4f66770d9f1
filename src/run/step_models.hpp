// The iteration models that a scenario asks for, one a role in use.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cmsim/model/decode_model.hpp"
#include "cmsim/model/drifting_decode.hpp"
#include "cmsim/model/prefill_model.hpp"
#include "cmsim/run/scenario.hpp"
#include "role_experts.hpp"

namespace cmsim::run {

struct StepModels {
  std::unique_ptr<model::PrefillPipeline> prefill;  // null when the role is not exercised
  std::unique_ptr<model::DecodePipeline> decode;
  std::unique_ptr<model::DriftingDecode> drifting;  // stands on `decode`; null: nothing drifts
  /// What a run steps with.
  const model::DecodeModel* decode_model() const {
    return drifting ? static_cast<const model::DecodeModel*>(drifting.get()) : decode.get();
  }
  /// While experts were placed so long ago.
  const model::DecodePipeline& decode_aged(Seconds age) const {
    return drifting ? drifting->aged(age) : *decode;
  }
  Network network = Network::kAnalytic;  // the rung, chosen where the scenario leaves it open
  /// On which a run has links: those of transfers, and where the rung lets exchanges meet, theirs.
  std::vector<coll::Plane> planes;
  /// What the rung adds to the analytic bound of exchanges, and why it was chosen; may be empty.
  std::string network_note;
};

/// Says what decode is planned for, where the scenario does not: a full deployment, whose sequences
/// have on average `context` tokens; where they are computed beside them, so many tokens of prompts
/// for each of their output.
void plan_decode(Scenario& scenario, const serve::DecodeSpec& full, double context,
                 double prompt_per_output = 0);

/// KV of one token as instances send it to each other and the context cache keeps it.
Bytes kv_bytes_per_token(const Scenario& scenario);

/// Throws SimulationError where exchanges cannot be measured on the scenario's network.
StepModels make_step_models(const Scenario& scenario, const RoleExperts& experts);

/// Refuses, without building a model, an expert layout that does not fill its ranks and a role
/// whose weights and buffers leave no HBM for KV: a ConfigError with the pointer, no file.
void check_step_models(const Scenario& scenario);

}  // namespace cmsim::run
