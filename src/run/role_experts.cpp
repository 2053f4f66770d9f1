#include "role_experts.hpp"

namespace cmsim::run {

RoleExperts make_role_experts(const Scenario& scenario) {
  const auto make = [&](model::Phase phase, int ranks) {
    return model::make_expert_load(scenario.model, scenario.options, phase, ranks);
  };
  RoleExperts experts;
  if (scenario.role != serve::Role::kDecodeOnly) {
    experts.prefill = make(model::Phase::kPrefill, scenario.deployment.prefill.ep);
  }
  if (scenario.role != serve::Role::kPrefillOnly) {
    experts.decode = make(model::Phase::kDecode, scenario.deployment.decode.ep);
  }
  return experts;
}

}  // namespace cmsim::run
