#include "cmsim/run/prepare.hpp"

#include "cmsim/coll/fabric.hpp"
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
  const std::vector<std::int32_t> dies = hw::whole_dies(platform);
  for (const auto uplinks : {coll::Uplinks::kWhenNpusCanFillThem, coll::Uplinks::kAlways}) {
    const coll::Fabric fabric(platform, uplinks);
    if (platform.dies() > kMostDies) continue;
    for (const std::int32_t die : dies) {
      const std::int32_t other = die == dies.front() ? dies.back() : dies.front();
      fabric.path(hw::die(other), hw::die(die), coll::Plane::kUb, coll::Op::kWrite);
    }
  }
} catch (const std::exception&) {
}

}  // namespace cmsim::run
