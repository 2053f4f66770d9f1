#include "step_models.hpp"

#include <fmt/format.h>

#include "cmsim/base/error.hpp"
#include "cmsim/coll/exchange_network.hpp"
#include "cmsim/serve/placement.hpp"
#include "flow_network.hpp"

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

int sequences_per_die(const Scenario& scenario) {
  return scenario.deployment.decode.max_num_seqs / scenario.platform.dies_per_npu;
}

std::unique_ptr<coll::ExchangeNetwork> make_network(const Scenario& scenario) {
  if (scenario.network == Network::kFlow) return std::make_unique<FlowNetwork>(scenario.platform);
  return std::make_unique<coll::AnalyticNetwork>(scenario.platform);
}

double tokens_per_die(const Scenario& scenario) {
  return static_cast<double>(scenario.deployment.prefill.max_num_batched_tokens) /
         scenario.platform.dies_per_npu;
}

}  // namespace

StepModels make_step_models(const Scenario& scenario, const RoleExperts& experts) {
  const hw::Platform& platform = scenario.platform;
  const serve::Placement placement = serve::place(scenario.deployment, platform, scenario.role);
  const auto network = make_network(scenario);
  StepModels models;
  if (experts.prefill) {
    models.prefill = std::make_unique<model::PrefillPipeline>(
        platform, scenario.model, scenario.options, experts.prefill, tokens_per_die(scenario),
        model::InstancePlaces{*network, placement.prefill_groups()});
  }
  if (experts.decode) {
    models.decode = std::make_unique<model::DecodePipeline>(
        platform, scenario.model, scenario.options, experts.decode, sequences_per_die(scenario),
        model::InstancePlaces{*network, placement.decode_groups()});
  }
  models.network_note = network->note();
  return models;
}

void check_step_models(const Scenario& scenario) {
  const hw::Platform& platform = scenario.platform;
  if (scenario.role != serve::Role::kDecodeOnly) {
    const int ranks = scenario.deployment.prefill.ep;
    check_layout(scenario, ranks);
    check_fit(model::PrefillPipeline::plan_memory(platform, scenario.model, scenario.options, ranks,
                                                  tokens_per_die(scenario)),
              "prefill");
  }
  if (scenario.role != serve::Role::kPrefillOnly) {
    const int ranks = scenario.deployment.decode.ep;
    check_layout(scenario, ranks);
    check_fit(model::DecodePipeline::plan_memory(platform, scenario.model, scenario.options, ranks,
                                                 sequences_per_die(scenario)),
              "decode");
  }
}

}  // namespace cmsim::run
