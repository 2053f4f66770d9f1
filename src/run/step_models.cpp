#include "step_models.hpp"

#include <fmt/format.h>

#include "cmsim/base/error.hpp"

namespace cmsim::run {
namespace {

/// A role whose weights and buffers leave no room for one sequence's KV is refused.
void check_fit(const model::MemoryPlan& memory, const std::string& role) {
  if (memory.kv_tokens() > 0) return;
  const auto size = [](double bytes) { return format_quantity(bytes, Dimension::kBytes); };
  throw ConfigError(
      {"", 0, "/deployment/" + role},
      fmt::format("the model does not fit HBM: a die has {}, of which weights take {}, exchange "
                  "buffers {} and the reserve {}, which leaves none for KV; use more NPUs per "
                  "instance or smaller batches",
                  size(memory.capacity), size(memory.weights), size(memory.buffers),
                  size(memory.reserved)));
}

/// An expert layout that does not fill the ranks of a role is refused.
void check_layout(const Scenario& scenario, int ranks) {
  const model::ExpertOptions& experts = scenario.options.experts;
  try {
    model::derive_layout(scenario.model, ranks, experts.shared_copies, experts.redundant);
  } catch (const std::invalid_argument& error) {
    throw ConfigError({"", 0, "/experts"}, error.what());
  }
}

}  // namespace

StepModels make_step_models(const Scenario& scenario, const FabricScale& fabric) {
  const hw::Platform& platform = scenario.platform;
  StepModels models;
  if (scenario.role != serve::Role::kDecodeOnly) {
    const serve::PrefillSpec& spec = scenario.deployment.prefill;
    check_layout(scenario, spec.ep);
    const double tokens_per_die =
        static_cast<double>(spec.max_num_batched_tokens) / platform.dies_per_npu;
    models.prefill = std::make_unique<model::PrefillPipeline>(
        platform, scenario.model, scenario.options, spec.ep, tokens_per_die, fabric.prefill);
    check_fit(models.prefill->memory(), "prefill");
  }
  if (scenario.role != serve::Role::kPrefillOnly) {
    const serve::DecodeSpec& spec = scenario.deployment.decode;
    check_layout(scenario, spec.ep);
    models.decode = std::make_unique<model::DecodePipeline>(
        platform, scenario.model, scenario.options, spec.ep,
        spec.max_num_seqs / platform.dies_per_npu, fabric.decode);
    check_fit(models.decode->memory(), "decode");
  }
  return models;
}

}  // namespace cmsim::run
