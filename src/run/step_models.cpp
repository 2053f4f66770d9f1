#include "step_models.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "cmsim/base/error.hpp"
#include "cmsim/base/kept.hpp"
#include "cmsim/coll/exchange_network.hpp"
#include "cmsim/serve/mtp.hpp"
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

/// An expert layout that the ranks of a role cannot have is refused.
void check_layout(const Scenario& scenario, int ranks) {
  try {
    model::derive_layout(scenario.model, ranks, scenario.options.experts);
  } catch (const std::invalid_argument& error) {
    throw ConfigError({"", 0, "/experts"}, error.what());
  }
}

/// The sequences of a full rank must leave something for prompts.
void check_token_budget(const Scenario& scenario) {
  const serve::DecodeSpec& mixed = scenario.deployment.decode;
  const Tokens of_sequences =
      Tokens{mixed.most_slots_on_a_rank()} * (1 + scenario.options.decode.draft_tokens);
  if (!mixed.is_mixed() || mixed.token_budget_of_rank() > of_sequences) return;
  throw ConfigError(
      {"", 0, "/deployment/mixed/max_num_batched_tokens"},
      fmt::format("found {}, {} tokens for each of the {} ranks of an instance, of which its {} "
                  "sequences take up to {} and leave none for prompts",
                  mixed.max_num_batched_tokens, mixed.token_budget_of_rank(), mixed.ranks(),
                  mixed.most_slots_on_a_rank(), of_sequences));
}

/// The planes that transfers of a run use, as /deployment says.
std::vector<coll::Plane> transfer_planes(const Scenario& scenario) {
  std::vector<coll::Plane> planes;
  const serve::CacheSpec& cache = scenario.deployment.cache;
  if (scenario.role == serve::Role::kAll) planes.push_back(scenario.deployment.kv.plane);
  if (serve::computes_prompts(scenario.role) && cache.enabled) planes.push_back(cache.plane);
  if (serve::computes_prompts(scenario.role) && cache.has_ssd()) planes.push_back(cache.ssd.plane);
  const serve::SwapSpec& swap = scenario.deployment.swap;
  if (serve::has_decode_instances(scenario.role) && swap.dram_per_node > 0) {
    planes.push_back(swap.plane);
  }
  return planes;
}

/// Calls `use` with the loads of every instance of both roles that serves at the start.
template <class Use>
void for_each_instance(const Scenario& scenario, const StepModels& models, const Use& use) {
  std::int32_t prefill = 0, decode = 0;  // numbers of places
  const auto of_role = [&](const auto& model, const auto& places, std::int32_t& number) {
    for (const serve::InstancePlace& place : places) {
      const model::WireUse wires = model->wire_use(number++);
      if (place.serves) use(std::array{wires.exchange.get(), wires.collective.get()});
    }
  };
  for (const serve::Placement& supernode :
       serve::place(scenario.deployment, scenario.platform, scenario.role)) {
    of_role(models.prefill, supernode.prefill, prefill);
    of_role(models.decode, supernode.decode, decode);
  }
}

/// What exchanges meet on the links.
struct Meeting {
  std::vector<coll::Plane> planes;          // of ports that two instances load
  std::string with_transfers, with_others;  // a class of links; empty when there is none
};

Meeting meeting_of(const Scenario& scenario, const coll::Fabric& fabric, const StepModels& models) {
  const std::vector<coll::Plane> transfers = transfer_planes(scenario);
  std::vector<int> instances(fabric.ports().size(), 0);
  for_each_instance(scenario, models, [&](const auto& all_loads) {
    for (std::size_t i = 0; i < instances.size(); ++i) {
      instances[i] += std::ranges::any_of(all_loads, [&](const coll::PortLoads* loads) {
        return loads != nullptr && loads->wire_bytes[i] > 0;
      });
    }
  });
  Meeting meeting;
  for (std::size_t i = 0; i < instances.size(); ++i) {
    if (instances[i] == 0) continue;
    const hw::LinkClassInfo& cls = fabric.classes()[fabric.ports()[i].cls];
    const auto is_in = [&](const auto& planes) {
      return std::ranges::find(planes, cls.plane) != planes.end();
    };
    if (is_in(transfers) && meeting.with_transfers.empty()) meeting.with_transfers = cls.name;
    if (instances[i] < 2) continue;
    if (meeting.with_others.empty()) meeting.with_others = cls.name;
    if (!is_in(meeting.planes)) meeting.planes.push_back(cls.plane);
  }
  return meeting;
}

/// Analytic until something is seen that it leaves out.
void choose_network(const Meeting& meeting, StepModels& models) {
  if (models.network == Network::kFlow) {
    models.network_note = "flow: routes are not spread evenly" +
                          (models.network_note.empty() ? "" : "; " + models.network_note);
  } else if (!meeting.with_transfers.empty()) {
    models.network = Network::kHose;
    models.network_note =
        fmt::format("hose: transfers and exchanges share {} links", meeting.with_transfers);
  } else if (!meeting.with_others.empty()) {
    models.network = Network::kHose;
    models.network_note =
        fmt::format("hose: exchanges of several instances share {} links", meeting.with_others);
  } else {
    models.network_note = "analytic: exchanges share no link with transfers or other instances";
  }
}

struct InstancesOfPlatform {
  hw::Platform platform;
  coll::ExchangeNetwork::Subgroups prefill, decode;
  bool operator==(const InstancesOfPlatform&) const = default;
};

/// With what it knows already of the instances at these places.
std::shared_ptr<const coll::AnalyticNetwork> analytic_network(
    const InstancesOfPlatform& instances) {
  static Kept<InstancesOfPlatform, const coll::AnalyticNetwork> kept(2);
  return kept.get(
      instances, [&] { return std::make_shared<const coll::AnalyticNetwork>(instances.platform); });
}

double tokens_per_die(const Scenario& scenario) {
  return static_cast<double>(scenario.deployment.prefill.max_num_batched_tokens) /
         scenario.platform.dies_per_npu;
}

}  // namespace

void plan_decode(Scenario& scenario, const serve::DecodeSpec& full, double context,
                 double prompt_per_output) {
  model::DecodeOptions& decode = scenario.options.decode;
  decode.planned_sequences = static_cast<double>(full.slots_per_instance()) / full.ranks();
  if (decode.planned_context == 0) decode.planned_context = context;
  if (!full.is_mixed()) return;
  const double emitted = serve::mean_tokens_per_iteration({decode.draft_tokens, decode.acceptance});
  const double left = decode.most_tokens - decode.planned_sequences * (1.0 + decode.draft_tokens);
  decode.planned_prompt_tokens =
      std::clamp(decode.planned_sequences * emitted * prompt_per_output, 0.0, left);
}

Bytes kv_bytes_per_token(const Scenario& scenario) {
  const model::OperatorList operators(scenario.model, scenario.options.precision);
  return static_cast<Bytes>(operators.kv_bytes_per_token(model::KvLayers::kMain));
}

StepModels make_step_models(const Scenario& scenario, const RoleExperts& experts) {
  const hw::Platform& platform = scenario.platform;
  const std::vector<serve::Placement> supernodes =
      serve::place(scenario.deployment, platform, scenario.role);
  const auto prefill = serve::dies_of(supernodes, &serve::Placement::prefill);
  const auto decode = serve::dies_of(supernodes, &serve::Placement::decode);
  StepModels models;
  const auto analytic = analytic_network({platform, prefill, decode});
  const coll::Fabric& fabric = analytic->fabric();
  const bool is_even = fabric.is_uniform(coll::Plane::kUb);
  models.network = scenario.network.value_or(is_even ? Network::kAnalytic : Network::kFlow);
  std::shared_ptr<const coll::ExchangeNetwork> network = analytic;
  if (models.network == Network::kFlow) network = std::make_shared<const FlowNetwork>(platform);
  if (experts.prefill) {
    models.prefill = std::make_unique<model::PrefillPipeline>(
        platform, scenario.model, scenario.options, experts.prefill, tokens_per_die(scenario),
        model::InstancePlaces{*network, prefill});
  }
  if (experts.decode) {
    const model::InstancePlaces places{*network, decode};
    models.decode = std::make_unique<model::DecodePipeline>(
        platform, scenario.model, scenario.options, experts.decode,
        scenario.deployment.decode.most_slots_on_a_rank(), places);
    if (scenario.options.experts.drift.drifts()) {
      models.drifting = std::make_unique<model::DriftingDecode>(
          platform, scenario.model, scenario.options, *models.decode, places);
    }
  }
  models.network_note = network->note();
  models.planes = transfer_planes(scenario);
  if (scenario.network == Network::kAnalytic) return models;
  const Meeting meeting = meeting_of(scenario, fabric, models);
  if (!scenario.network) choose_network(meeting, models);
  if (models.network == Network::kAnalytic) return models;
  for (const coll::Plane plane : meeting.planes) {
    if (std::ranges::find(models.planes, plane) == models.planes.end()) {
      models.planes.push_back(plane);
    }
  }
  return models;
}

void check_step_models(const Scenario& scenario) {
  const hw::Platform& platform = scenario.platform;
  if (serve::has_prefill_instances(scenario.role)) {
    const int ranks = scenario.deployment.prefill.ep;
    check_layout(scenario, ranks);
    check_fit(model::PrefillPipeline::plan_memory(platform, scenario.model, scenario.options, ranks,
                                                  tokens_per_die(scenario)),
              "prefill");
  }
  if (serve::has_decode_instances(scenario.role)) {
    check_token_budget(scenario);
    const int ranks = scenario.deployment.decode.ep;
    check_layout(scenario, ranks);
    check_fit(model::DecodePipeline::plan_memory(platform, scenario.model, scenario.options, ranks,
                                                 scenario.deployment.decode.most_slots_on_a_rank()),
              scenario.deployment.decode.key());
    if (scenario.options.decode.is_disaggregated()) {
      check_fit(model::DecodePipeline::plan_expert_memory(
                    platform, scenario.model, scenario.options, ranks,
                    scenario.deployment.decode.most_slots_on_a_rank()),
                "decode/experts");
    }
  }
}

}  // namespace cmsim::run
