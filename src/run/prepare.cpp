#include "cmsim/run/prepare.hpp"

#include "batch_shape.hpp"
#include "cmsim/coll/fabric.hpp"
#include "step_models.hpp"

namespace cmsim::run {
namespace {

/// Fills what the experts keep by the number of tokens.
void ask(const model::DecodePipeline& decode, const serve::DecodeSpec& spec) {
  for (std::int64_t sequences = 1; sequences <= spec.slots_per_instance(); sequences *= 2) {
    decode.iteration(even_decode_batch(spec.ranks(), sequences, 1).batch());
  }
}

}  // namespace

void prepare(const Scenario& scenario) try {
  const RoleExperts experts = make_role_experts(scenario);
  const coll::Fabric fabric(scenario.platform);
  if (!fabric.is_uniform(coll::Plane::kUb) || scenario.network == Network::kFlow) return;
  const StepModels models = make_step_models(scenario, experts);
  if (models.decode) ask(*models.decode, scenario.deployment.decode);
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
