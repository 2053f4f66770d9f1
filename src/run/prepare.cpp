#include "cmsim/run/prepare.hpp"

#include "cmsim/coll/group_routes.hpp"
#include "step_models.hpp"

namespace cmsim::run {

void prepare(const Scenario& scenario) try {
  const RoleExperts experts = make_role_experts(scenario);
  const coll::Fabric fabric(scenario.platform);
  if (!fabric.is_uniform(coll::Plane::kUb) || scenario.network == Network::kFlow) return;
  make_step_models(scenario, experts);
} catch (const std::exception&) {
}

void prepare(const hw::Platform& platform) try {
  constexpr int kMostDies = 1024;  // distances take 2 MB of these
  for (const auto uplinks : {coll::Uplinks::kWhenNpusCanFillThem, coll::Uplinks::kAlways}) {
    const coll::Fabric fabric(platform, uplinks);
    if (platform.dies() > kMostDies || !fabric.is_uniform(coll::Plane::kUb)) continue;
    coll::GroupRoutes(fabric, hw::whole_dies(platform), coll::Plane::kUb, coll::Op::kWrite);
  }
} catch (const std::exception&) {
}

}  // namespace cmsim::run
