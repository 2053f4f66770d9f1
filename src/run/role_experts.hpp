// The load of the experts of each role: what its step model and the measurement of its fabric
// share. Drawing popularities and placing experts is most of the cost of a step model, so it is
// done once.
#pragma once

#include <memory>

#include "cmsim/model/expert_load.hpp"
#include "cmsim/run/scenario.hpp"

namespace cmsim::run {

struct RoleExperts {
  std::shared_ptr<const model::ExpertLoad> prefill, decode;  // null when the role is not exercised
};
RoleExperts make_role_experts(const Scenario& scenario);

}  // namespace cmsim::run
