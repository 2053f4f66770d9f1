#include "src/run/step_models.hpp"

#include <gtest/gtest.h>

namespace cmsim::run {
namespace {

Scenario default_scenario(const std::vector<std::string>& sets = {}) {
  return load_scenario(CMSIM_SOURCE_DIR "/workloads/scenarios/cloudmatrix384.json", sets);
}

TEST(StepModels, ShareTheLoadOfTheirExperts) {
  const Scenario scenario = default_scenario();
  const RoleExperts experts = make_role_experts(scenario);
  const StepModels models = make_step_models(scenario, experts);
  EXPECT_EQ(&models.prefill->experts(), experts.prefill.get());
  EXPECT_EQ(&models.decode->experts(), experts.decode.get());
}

TEST(StepModels, AreThoseOfTheRolesInUse) {
  const Scenario scenario = default_scenario({"/workload/role=prefill"});
  const RoleExperts experts = make_role_experts(scenario);
  EXPECT_EQ(experts.decode, nullptr);
  const StepModels models = make_step_models(scenario, experts);
  EXPECT_NE(models.prefill, nullptr);
  EXPECT_EQ(models.decode, nullptr);
}

TEST(StepModels, ThePlanOfMemoryIsThatOfTheModel) {
  const Scenario s = default_scenario();
  const StepModels models = make_step_models(s, make_role_experts(s));
  // Half of max_num_seqs and of the token budget: a die of two.
  const model::MemoryPlan decode = model::DecodePipeline::plan_memory(
      s.platform, s.model, s.options, s.deployment.decode.ep, s.deployment.decode.max_num_seqs / 2);
  EXPECT_EQ(decode.kv_tokens(), models.decode->kv_capacity_per_die());
  const model::MemoryPlan prefill = model::PrefillPipeline::plan_memory(
      s.platform, s.model, s.options, s.deployment.prefill.ep,
      static_cast<double>(s.deployment.prefill.max_num_batched_tokens) / 2);
  EXPECT_EQ(prefill.kv_tokens() * s.deployment.prefill.ep, models.prefill->kv_capacity());
}

}  // namespace
}  // namespace cmsim::run
