#include "cmsim/run/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "cmsim/base/config.hpp"
#include "cmsim/hw/platform_files.hpp"
#include "cmsim/run/digest.hpp"
#include "cmsim/run/shipped.hpp"
#include "cmsim/serve/placement.hpp"
#include "idle_keys.hpp"
#include "policy_keys.hpp"
#include "scenario_document.hpp"
#include "step_models.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;

constexpr Seconds kLeastTime = 1e-6, kMostTime = 1e9;  // of a limit or a horizon

constexpr int kMostTp = 1024;

serve::PrefillSpec read_prefill(const ConfigNode& node) {
  serve::PrefillSpec spec;
  spec.instances = static_cast<int>(node.integer_or("instances", spec.instances, 1, 100000));
  spec.npus_per_instance =
      static_cast<int>(node.integer_or("npus_per_instance", spec.npus_per_instance, 1, 100000));
  spec.ep = static_cast<int>(node.integer_or("ep", spec.ep, 1, 1000000));
  spec.max_num_batched_tokens =
      node.integer_or("max_num_batched_tokens", spec.max_num_batched_tokens, 1, 1'000'000'000);
  const ConfigNode attention = node.child_or_empty("attention");
  spec.attention_tp = static_cast<int>(attention.integer_or("tp", 0, 1, kMostTp));
  attention.close();
  node.close();
  return spec;
}

/// What instances that decode have, whether they compute prompts (mixed) or not.
serve::DecodeSpec read_decode(const ConfigNode& node, bool is_mixed) {
  serve::DecodeSpec spec;
  if (is_mixed) {
    // 1,024 on each of two ranks of an NPU: between the budgets of Sarathi-Serve (512 and 2,048),
    // and what the receive buffers of the fused exchange leave room for at EP512.
    constexpr Tokens kDefaultBudget = 2048;
    spec.max_num_batched_tokens =
        node.integer_or("max_num_batched_tokens", kDefaultBudget, 1, 1'000'000'000);
  }
  spec.instances = static_cast<int>(node.integer_or("instances", spec.instances, 1, 100000));
  spec.npus_per_instance =
      static_cast<int>(node.integer_or("npus_per_instance", spec.npus_per_instance, 1, 100000));
  spec.ep = static_cast<int>(node.integer_or("ep", spec.ep, 1, 1000000));
  spec.max_num_seqs =
      static_cast<int>(node.integer_or("max_num_seqs", spec.max_num_seqs, 1, 1'000'000));
  const ConfigNode attention = node.child_or_empty("attention");
  spec.attention_tp = static_cast<int>(attention.integer_or("tp", 1, 1, kMostTp));
  spec.splits_kv = attention.boolean_or("context_parallel", false);
  if (!is_mixed) {
    spec.attention_npus = static_cast<int>(attention.integer_or("npus", 0, 0, 100000));
    const ConfigNode experts = node.child_or_empty("experts");
    spec.expert_npus = static_cast<int>(experts.integer_or("npus", 0, 0, 100000));
    experts.close();
  }
  attention.close();
  node.close();
  return spec;
}

coll::Plane read_plane(const ConfigNode& node, coll::Plane otherwise,
                       std::span<const coll::Plane> allowed) {
  std::vector<std::string> names;
  for (const coll::Plane plane : allowed) names.emplace_back(hw::to_string(plane));
  const std::string name = node.choice_or("plane", hw::to_string(otherwise), names);
  return allowed[static_cast<std::size_t>(std::ranges::find(names, name) - names.begin())];
}

serve::KvSpec read_kv(const ConfigNode& node) {
  serve::KvSpec spec;
  spec.plane = read_plane(node, spec.plane, serve::kKvPlanes);
  node.close();
  return spec;
}

serve::SsdSpec read_ssd(const ConfigNode& node) {
  serve::SsdSpec spec;
  spec.capacity_per_node = static_cast<Bytes>(node.quantity_or(
      "capacity_per_node", Dimension::kBytes, 0, 0, static_cast<double>(hw::kMostDram)));
  const auto rate = [&](const char* key, BytesPerSecond otherwise) {
    return node.quantity_or(key, Dimension::kBandwidth, otherwise, 1e3, 1e15);
  };
  spec.read_bandwidth = rate("read_bandwidth", spec.read_bandwidth);
  spec.write_bandwidth = rate("write_bandwidth", spec.write_bandwidth);
  spec.latency = node.quantity_or("latency", Dimension::kTime, spec.latency, 0, 60);
  spec.plane = read_plane(node, spec.plane, serve::kCachePlanes);
  node.close();
  return spec;
}

serve::CacheSpec read_cache(const ConfigNode& node) {
  serve::CacheSpec spec;
  spec.enabled = node.boolean_or("enabled", spec.enabled);
  spec.block_size = static_cast<int>(node.integer_or("block_size", spec.block_size, 1, 1'000'000));
  spec.dram_per_node = static_cast<Bytes>(node.quantity_or("dram_per_node", Dimension::kBytes,
                                                           static_cast<double>(spec.dram_per_node),
                                                           0, static_cast<double>(hw::kMostDram)));
  if (node.choice_or("scope", "pooled", {"pooled", "local"}) == "local") {
    spec.scope = serve::CacheScope::kLocal;
  }
  spec.plane = read_plane(node, spec.plane, serve::kCachePlanes);
  if (node.has("reuse")) spec.reuse = node.number("reuse", 0, 1);
  spec.ssd = read_ssd(node.child_or_empty("ssd"));
  node.close();
  return spec;
}

serve::SwapSpec read_swap(const ConfigNode& node) {
  serve::SwapSpec spec;
  spec.dram_per_node = static_cast<Bytes>(node.quantity_or("dram_per_node", Dimension::kBytes, 0, 0,
                                                           static_cast<double>(hw::kMostDram)));
  spec.plane = read_plane(node, spec.plane, serve::kCachePlanes);
  node.close();
  return spec;
}

serve::RoleSwitchSpec read_role_switch(const ConfigNode& node) {
  serve::RoleSwitchSpec spec;
  const auto time = [&](const char* key, Seconds otherwise) {
    return node.quantity_or(key, Dimension::kTime, otherwise, 0, kMostTime);
  };
  spec.load = time("load", spec.load);
  spec.rebuild = time("rebuild", spec.rebuild);
  if (node.has("drain")) spec.drain = time("drain", 0);
  node.close();
  return spec;
}

serve::DeploymentSpec read_deployment(const ConfigNode& node) {
  serve::DeploymentSpec spec;
  spec.prefill = read_prefill(node.child_or_empty("prefill"));
  spec.decode = read_decode(node.child_or_empty("decode"), false);
  spec.kv = read_kv(node.child_or_empty("kv"));
  spec.cache = read_cache(node.child_or_empty("cache"));
  spec.swap = read_swap(node.child_or_empty("swap"));
  if (node.has("mixed")) spec.decode = read_decode(node.child("mixed"), true);
  if (node.has("role_switch")) spec.role_switch = read_role_switch(node.child("role_switch"));
  spec.supernodes = static_cast<int>(node.integer_or("supernodes", 1, 1, 100000));
  spec.copies_per_die =
      static_cast<int>(node.integer_or("copies_per_die", spec.copies_per_die, 1, 1'000'000));
  node.close();
  return spec;
}

/// A named set or limits; what is left out is as in `otherwise`.
metrics::SloSpec read_slo(const ConfigNode& holder, const metrics::SloSpec& otherwise) {
  if (holder.has("slo") && holder.raw()["slo"].is_string()) {
    std::vector<std::string> names;
    for (const metrics::SloSpec& set : metrics::named_slos()) names.push_back(set.name);
    const std::string name = holder.choice("slo", names);
    return *std::find_if(metrics::named_slos().begin(), metrics::named_slos().end(),
                         [&](const metrics::SloSpec& set) { return set.name == name; });
  }
  metrics::SloSpec slo = otherwise;
  const ConfigNode node = holder.child_or_empty("slo");
  slo.ttft = node.quantity_or("ttft", Dimension::kTime, slo.ttft, kLeastTime, kMostTime);
  slo.tpot = node.quantity_or("tpot", Dimension::kTime, slo.tpot, kLeastTime, kMostTime);
  node.close();
  return slo;
}

/// Shares are read with the workload.
std::vector<serve::RequestClass> read_classes(const ConfigNode& node, const Scenario& scenario) {
  constexpr std::int64_t kMostPriority = 1000;
  std::vector<serve::RequestClass> classes;
  for (const std::string& name : node.keys()) {
    const ConfigNode own = node.child(name);
    own.ignore("share");
    const std::int64_t priority = own.integer_or("priority", 0, -kMostPriority, kMostPriority);
    metrics::SloSpec slo = read_slo(own, scenario.slo);
    if (scenario.role == serve::Role::kPrefillOnly) slo.tpot = metrics::kNoLimit;
    own.close();
    classes.push_back({name, static_cast<std::int32_t>(priority), {slo.ttft, slo.tpot}});
  }
  return classes;
}

/// A closed loop of decode alone is the steady state of a full system unless said otherwise.
Start read_population(const ConfigNode& workload, const Scenario& scenario) {
  const bool loop = scenario.workload.arrivals.kind == work::ArrivalKind::kClosedLoop;
  const bool alone = scenario.role == serve::Role::kDecodeOnly;
  const std::string start = workload.choice_or("population", loop && alone ? "stationary" : "empty",
                                               {"empty", "stationary"});
  return start == "empty" ? Start::kEmpty : Start::kStationary;
}

metrics::WindowSpec read_window(const ConfigNode& node) {
  metrics::WindowSpec window;
  if (node.has("warmup")) {
    window.warmup = node.quantity("warmup", Dimension::kTime, 0, work::kLatestArrival);
  }
  node.close();
  return window;
}

serve::Role read_role(const ConfigNode& workload, bool is_mixed) {
  const std::string role = workload.choice_or("role", "all", {"all", "prefill", "decode"});
  if (is_mixed && role == "prefill") {
    workload.fail("role",
                  "found \"prefill\", allowed with /deployment/mixed is one of all, decode");
  }
  if (role == "prefill") return serve::Role::kPrefillOnly;
  if (role == "decode") return serve::Role::kDecodeOnly;
  return is_mixed ? serve::Role::kMixed : serve::Role::kAll;
}

std::optional<Network> read_network(const ConfigNode& root) {
  const std::string network =
      root.choice_or("network", "analytic", {"analytic", "hose", "flow", "auto"});
  if (network == "auto") return std::nullopt;
  if (network == "hose") return Network::kHose;
  return network == "flow" ? Network::kFlow : Network::kAnalytic;
}

/// A check of another room knows the pointer; the document knows where that is written.
template <class Check>
void located(const ConfigDocument& document, const Check& check) {
  try {
    check();
  } catch (const ConfigError& error) {
    if (!error.where().file.empty() || error.where().pointer.empty()) throw;
    const std::string prefix = error.where().pointer + ": ";
    std::string message = error.what();
    if (message.starts_with(prefix)) message.erase(0, prefix.size());
    throw ConfigError(document.location(error.where().pointer), message);
  }
}

/// A closed loop without a concurrency keeps the scenario's one role exactly full: every decode
/// slot, or one whole batch for each prefill instance. Without a number of requests it lasts long
/// enough for a steady state.
void fill_closed_loop(const ConfigNode& workload, Scenario& scenario) {
  work::WorkloadSpec& spec = scenario.workload;
  if (spec.arrivals.kind != work::ArrivalKind::kClosedLoop) return;
  constexpr std::int64_t kDecodeGenerations = 3, kPrefillBatches = 8;
  const bool decode = scenario.role == serve::Role::kDecodeOnly;
  const bool alone = decode || scenario.role == serve::Role::kPrefillOnly;
  if (spec.arrivals.concurrency == 0) {
    if (!alone) {
      workload.child_or_empty("arrivals")
          .fail("concurrency",
                "missing, a closed loop needs it unless /workload/role is prefill or decode");
    }
    const serve::DeploymentSpec& d = scenario.deployment;
    if (decode) {
      spec.arrivals.concurrency = d.decode_slots();
    } else {
      if (spec.prompt_length == 0) workload.fail("prompt_length", "missing, this key is required");
      spec.arrivals.concurrency =
          d.prefill_instances() *
          std::max<std::int64_t>(1, d.prefill.token_budget() / spec.prompt_length);
    }
  }
  if (spec.trace.empty() && spec.requests == 0 && alone) {
    spec.requests = spec.arrivals.concurrency * (decode ? kDecodeGenerations : kPrefillBatches);
    if (spec.requests > work::kMostRequests) {
      workload.child_or_empty("arrivals")
          .fail("concurrency",
                fmt::format("{} requests in flight make {} in all, allowed are {}; give "
                            "/workload/requests or use fewer",
                            spec.arrivals.concurrency, spec.requests, work::kMostRequests));
    }
  }
}

/// Every key, each within its range.
Scenario read_keys(const ConfigDocument& document, const serve::PolicyRegistry& registry) {
  const ConfigNode root(document);
  Scenario scenario;
  if (root.has("extends")) root.fail("extends", "can be given in a file only");
  root.text_or("description", "");
  root.text_or("$schema", "");  // for editors
  scenario.platform = hw::read_platform(root.child("platform"));
  hw::add_faults(scenario.platform,
                 hw::read_faults(root.child_or_empty("faults"), scenario.platform));
  scenario.model = model::read_architecture(root.child("model"));
  scenario.seed = static_cast<std::uint64_t>(root.integer_or("seed", 1, 0));
  scenario.options = model::read_model_options(root, scenario.platform);
  scenario.borrowed = scenario.platform.borrowed;
  const ConfigNode experts = root.child_or_empty("experts");
  if (scenario.model.type != model::kPopularityIsOf && scenario.model.moe_layers() > 0 &&
      !experts.has("popularity") && !experts.has("skew") && !experts.has("balancedness")) {
    scenario.borrowed.emplace_back("/experts/popularity");
  }
  scenario.deployment = read_deployment(root.child_or_empty("deployment"));
  const serve::DecodeSpec& decode = scenario.deployment.decode;
  if (decode.is_disaggregated()) {
    scenario.options.decode.attention_dies = decode.attention_npus * scenario.platform.dies_per_npu;
  }
  scenario.options.decode.attention_group = {decode.attention_tp, decode.splits_kv};
  scenario.options.prefill.attention_tp = scenario.deployment.prefill.attention_tp;
  scenario.policies = read_policies(root.child_or_empty("policies"), registry);
  const ConfigNode workload = root.child("workload");
  scenario.role = read_role(workload, decode.is_mixed());
  scenario.workload = work::read_workload(workload);
  scenario.start = read_population(workload, scenario);
  scenario.slo = read_slo(root, {});
  if (scenario.role == serve::Role::kPrefillOnly) scenario.slo.tpot = metrics::kNoLimit;
  scenario.classes = read_classes(workload.child_or_empty("classes"), scenario);
  scenario.window = read_window(root.child_or_empty("window"));
  scenario.network = read_network(root);
  scenario.horizon =
      root.quantity_or("horizon", Dimension::kTime, scenario.horizon, kLeastTime, kMostTime);
  root.close();
  return scenario;
}

/// Takes what is retired out of the document.
Scenario read(ConfigDocument& document, const serve::PolicyRegistry& registry) {
  hw::retire_keys_beside_builders(document, "/platform");
  retire_parameters(document);
  Scenario scenario = read_keys(document, registry);
  for (auto retired = retired_keys(document, scenario); !retired.empty();
       retired = retired_keys(document, scenario)) {
    for (const std::string& key : retired) document.erase(key);
    scenario = read_keys(document, registry);
  }
  located(document,
          [&] { serve::check_deployment(scenario.deployment, scenario.platform, scenario.role); });
  if (scenario.deployment.decode.is_mixed()) {
    scenario.options.decode.most_tokens =
        static_cast<double>(scenario.deployment.decode.token_budget_of_rank());
  }
  fill_closed_loop(ConfigNode(document).child("workload"), scenario);
  located(document, [&] { check_step_models(scenario); });  // refuses what does not fit HBM
  scenario.digest = scenario_digest(document);
  return scenario;
}

Scenario read(Resolved resolved, const serve::PolicyRegistry& registry) {
  Scenario scenario = read(resolved.document, registry);
  scenario.device = resolved.device.empty() ? scenario.platform.name : resolved.device;
  return scenario;
}

}  // namespace

fs::path trace_of(const ConfigDocument& document) {
  return ConfigNode(document).child_or_empty("workload").text_or("trace", "");
}

std::string scenario_digest(const ConfigDocument& document) {
  nlohmann::json resolved = document.value();
  const fs::path trace = trace_of(document);
  if (!trace.empty()) resolved["workload"]["trace"] = trace.filename().string();
  resolved["platform"] = without_costs(std::move(resolved["platform"]));
  Digest digest;
  digest.add(resolved.dump());
  return digest.hex();
}

std::vector<Setting> settings_of(const std::vector<std::string>& sets) {
  std::vector<Setting> settings;
  for (const std::string& set : sets) settings.push_back({set, "--set " + set});
  return settings;
}

ScenarioFile::ScenarioFile(const std::string& named)
    : ScenarioFile(named, named == "-" ? "/dev/stdin" : find_scenario(named)) {}

ScenarioFile::ScenarioFile(const std::string& named, const fs::path& file)
    : named_(named == "-" ? "stdin" : named),
      directory_(named == "-" ? fs::path() : file.parent_path()),
      document_(base_document(
          ConfigDocument::from_file_as(file, named == "-" ? named : file.string()), directory_)) {}

ConfigDocument ScenarioFile::document(const std::vector<Setting>& settings) const {
  return with_settings(document_, directory_, settings).document;
}

ConfigDocument ScenarioFile::effective_document(const std::vector<Setting>& settings,
                                                const serve::PolicyRegistry& registry) const {
  ConfigDocument effective = document(settings);
  read(effective, registry);
  return effective;
}

Scenario ScenarioFile::scenario(const std::vector<Setting>& settings,
                                const serve::PolicyRegistry& registry) const {
  Resolved settled = with_settings(document_, directory_, settings);
  const std::vector<std::string> retired = retired_by_trace(document_, settled.document);
  Scenario scenario = read(std::move(settled), registry);
  scenario.name = named_;
  scenario.retired_by_trace = retired;
  return scenario;
}

Scenario parse_scenario(const std::string& text, const std::string& name,
                        const std::vector<std::string>& sets,
                        const serve::PolicyRegistry& registry) {
  Scenario scenario = read(with_settings(base_document(ConfigDocument::from_text(text, name), ""),
                                         "", settings_of(sets)),
                           registry);
  scenario.name = name;
  return scenario;
}

Scenario load_scenario(const fs::path& file, const std::vector<std::string>& sets,
                       const serve::PolicyRegistry& registry) {
  return open_scenario(file.string(), settings_of(sets), registry);
}

Scenario open_scenario(const std::string& named, const std::vector<Setting>& settings,
                       const serve::PolicyRegistry& registry) {
  return ScenarioFile(named).scenario(settings, registry);
}

}  // namespace cmsim::run
