#include "role_experts.hpp"

namespace cmsim::run {

RoleExperts make_role_experts(const Scenario& scenario) {
  const auto make = [&](model::Phase phase, int ranks) {
    return model::make_expert_load(scenario.model, scenario.options, phase, ranks);
  };
  RoleExperts experts;
  if (serve::has_prefill_instances(scenario.role)) {
    experts.prefill = make(model::Phase::kPrefill, scenario.deployment.prefill.ep);
  }
  if (serve::has_decode_instances(scenario.role)) {
    experts.decode = make(model::Phase::kDecode, scenario.deployment.decode.ep);
  }
  return experts;
}

}  // namespace cmsim::run
