#include "step_models.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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

/// A class of links that transfers and exchanges both use; empty when there is none.
std::string shared_class(const Scenario& scenario, const coll::Fabric& fabric,
                         const StepModels& models) {
  const std::vector<coll::Plane> planes = transfer_planes(scenario);
  const auto of_loads = [&](const coll::PortLoads* loads) -> std::string {
    for (std::size_t i = 0; loads != nullptr && i < loads->wire_bytes.size(); ++i) {
      const hw::LinkClassInfo& cls = fabric.classes()[fabric.ports()[i].cls];
      const bool is_used = std::ranges::find(planes, cls.plane) != planes.end();
      if (loads->wire_bytes[i] > 0 && is_used) return cls.name;
    }
    return "";
  };
  const auto of_role = [&](const auto& model) -> std::string {
    if (model == nullptr) return "";
    const model::WireUse wires = model->wire_use(0);
    const std::string found = of_loads(wires.exchange.get());
    return found.empty() ? of_loads(wires.collective.get()) : found;
  };
  const std::string found = of_role(models.prefill);
  return found.empty() ? of_role(models.decode) : found;
}

/// Analytic until something is seen that it leaves out.
void choose_network(const Scenario& scenario, const coll::Fabric& fabric, StepModels& models) {
  if (models.network == Network::kFlow) {
    models.network_note = "flow: routes are not spread evenly; " + models.network_note;
    return;
  }
  const std::string shared = shared_class(scenario, fabric, models);
  if (!shared.empty()) models.network = Network::kHose;
  models.network_note = shared.empty()
                            ? "analytic: transfers use no link that exchanges use"
                            : fmt::format("hose: transfers and exchanges share {} links", shared);
}

double tokens_per_die(const Scenario& scenario) {
  return static_cast<double>(scenario.deployment.prefill.max_num_batched_tokens) /
         scenario.platform.dies_per_npu;
}

}  // namespace

std::vector<coll::Plane> transfer_planes(const Scenario& scenario) {
  std::vector<coll::Plane> planes;
  const serve::CacheSpec& cache = scenario.deployment.cache;
  if (scenario.role == serve::Role::kAll) planes.push_back(scenario.deployment.kv.plane);
  if (scenario.role != serve::Role::kDecodeOnly && cache.enabled) planes.push_back(cache.plane);
  return planes;
}

StepModels make_step_models(const Scenario& scenario, const RoleExperts& experts) {
  const hw::Platform& platform = scenario.platform;
  const serve::Placement placement = serve::place(scenario.deployment, platform, scenario.role);
  StepModels models;
  auto analytic = std::make_unique<coll::AnalyticNetwork>(platform);
  const coll::Fabric fabric = analytic->fabric();
  const bool is_even = fabric.is_uniform(coll::Plane::kUb);
  models.network = scenario.network.value_or(is_even ? Network::kAnalytic : Network::kFlow);
  std::unique_ptr<coll::ExchangeNetwork> network = std::move(analytic);
  if (models.network == Network::kFlow) network = std::make_unique<FlowNetwork>(platform);
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
  if (!scenario.network) choose_network(scenario, fabric, models);
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
