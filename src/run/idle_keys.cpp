#include "idle_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "cmsim/model/expert_placement.hpp"

namespace cmsim::run {
namespace {

using work::ArrivalKind;

struct Rule {
  std::vector<std::string> keys;  // pointers; what lies below is meant too
  std::string cause;              // the pointer that decides
  std::string why;                // "with ..., it needs ..."; empty = they have an effect
  bool overridden = false;        // only a cause above the keys takes their effect away
};

std::string when(bool idle, std::string why) { return idle ? std::move(why) : std::string(); }

void role_rules(const Scenario& s, std::vector<Rule>& rules) {
  const char* cause = "/workload/role";
  std::vector<std::string> of_prefill{"/deployment/prefill",
                                      "/deployment/copies_per_die",
                                      "/prefill",
                                      "/experts/popularity/prefill",
                                      "/deployment/cache/block_size",
                                      "/deployment/cache/dram_per_node",
                                      "/deployment/cache/plane",
                                      "/deployment/cache/scope",
                                      "/deployment/cache/reuse",
                                      "/deployment/cache/ssd"};
  std::vector<std::string> of_decode{"/deployment/decode", "/experts/popularity/decode",
                                     "/experts/drift",     "/experts/moves",
                                     "/slo/tpot",          "/deployment/swap"};
  // Prefill computes the KV of the layers that draft.
  for (const char* key : {"microbatches", "split", "planned_context", "mtp/acceptance", "launch",
                          "launch_time", "plan_change", "exchange", "placement_staleness"}) {
    of_decode.push_back(fmt::format("/decode/{}", key));
  }
  for (const serve::RequestClass& one : s.classes) {
    of_decode.push_back(fmt::format("/workload/classes/{}/slo/tpot", one.name));
  }
  std::vector<std::string> apart{"/deployment/prefill", "/deployment/decode", "/deployment/kv",
                                 "/prefill", "/experts/popularity/prefill"};
  for (const serve::SlotInfo& slot : serve::slots()) {
    const std::string key = fmt::format("/policies/{}", slot.name);
    if (!slot.is_asked(serve::Role::kDecodeOnly)) of_prefill.push_back(key);
    if (!slot.is_asked(serve::Role::kPrefillOnly)) of_decode.push_back(key);
    if (!slot.is_asked(serve::Role::kMixed)) apart.push_back(key);
  }
  rules.push_back({std::move(apart), "/deployment/mixed",
                   when(s.deployment.decode.is_mixed(),
                        "with instances that do both prefill and decode, it needs "
                        "/deployment/mixed left out")});
  rules.push_back({std::move(of_prefill), cause,
                   when(s.role == serve::Role::kDecodeOnly,
                        "with /workload/role decode, it needs role all or prefill")});
  rules.push_back({{"/deployment/kv"},
                   cause,
                   when(s.role == serve::Role::kPrefillOnly || s.role == serve::Role::kDecodeOnly,
                        "with one role alone, which pulls no KV, it needs /workload/role all")});
  rules.push_back({std::move(of_decode), cause,
                   when(s.role == serve::Role::kPrefillOnly,
                        "with /workload/role prefill, it needs role all or decode")});
}

void supernode_rules(const Scenario& s, std::vector<Rule>& rules) {
  rules.push_back({{"/policies/proportion"},
                   "/deployment/role_switch",
                   when(!s.deployment.role_switch,
                        "where instances keep their roles, it needs /deployment/role_switch")});
  rules.push_back({{"/policies/supernode_routing"},
                   "/deployment/supernodes",
                   when(s.deployment.supernodes == 1,
                        "with one supernode, it needs /deployment/supernodes from 2")});
}

void cache_rules(const Scenario& s, std::vector<Rule>& rules) {
  const serve::CacheSpec& cache = s.deployment.cache;
  const std::vector<std::string> keys{
      "/deployment/cache/block_size", "/deployment/cache/dram_per_node", "/deployment/cache/plane",
      "/deployment/cache/scope",      "/deployment/cache/ssd",           "/deployment/cache/reuse"};
  rules.push_back({keys, "/deployment/cache/enabled",
                   when(!cache.enabled,
                        "with the context cache off, it needs /deployment/cache/enabled=true")});
  const std::vector<std::string> of_content{"/policies/cache_placement", "/policies/cache_eviction",
                                            "/policies/cache_prefetch"};
  rules.push_back({of_content, "/deployment/cache/enabled",
                   when(!cache.enabled,
                        "with the context cache off, it needs /deployment/cache/enabled=true")});
  std::vector<std::string> not_imposed = of_content;
  not_imposed.emplace_back("/deployment/cache/ssd");
  rules.push_back({std::move(not_imposed), "/deployment/cache/reuse",
                   when(cache.reuse >= 0,
                        "with an imposed hit rate, it needs /deployment/cache/reuse left out")});
  rules.push_back(
      {{"/deployment/cache/ssd/read_bandwidth", "/deployment/cache/ssd/write_bandwidth",
        "/deployment/cache/ssd/latency", "/deployment/cache/ssd/plane", "/policies/cache_prefetch"},
       "/deployment/cache/ssd/capacity_per_node",
       when(cache.ssd.capacity_per_node == 0,
            "without SSDs behind the context cache, it needs "
            "/deployment/cache/ssd/capacity_per_node above 0")});
  std::vector<std::string> of_blocks(keys.begin(), keys.end() - 1);
  std::ranges::copy(of_content, std::back_inserter(of_blocks));
  rules.push_back({std::move(of_blocks), "/workload/trace",
                   when(s.workload.trace.empty() && !s.workload.sessions.draw && cache.reuse < 0,
                        "on requests of fixed length, which share no blocks, it needs a trace "
                        "with block ids, /workload/sessions or /deployment/cache/reuse")});
  rules.push_back({{"/deployment/copies_per_die"},
                   "/deployment/cache/enabled",
                   when(s.role == serve::Role::kPrefillOnly && !cache.enabled,
                        "with role prefill and the context cache off, which copy nothing, it "
                        "needs role all or /deployment/cache/enabled=true")});
}

void decode_rules(const Scenario& s, std::vector<Rule>& rules) {
  rules.push_back({{"/deployment/swap/plane", "/policies/preempted_kv"},
                   "/deployment/swap/dram_per_node",
                   when(s.deployment.swap.dram_per_node == 0,
                        "without DRAM for the KV of preempted requests, it needs "
                        "/deployment/swap/dram_per_node above 0")});
  const model::DecodeOptions& decode = s.options.decode;
  rules.push_back({{"/decode/split", "/decode/planned_context"},
                   "/decode/microbatches",
                   when(decode.microbatches == 1,
                        "with one microbatch, which has all cores, it needs /decode/microbatches "
                        "auto or from 2")});
  rules.push_back({{"/policies/pipeline_plan"},
                   "/platform",
                   when(!decode.is_disaggregated() && !model::can_run_microbatches(s.platform),
                        "on dies that run one microbatch alone")});
  rules.push_back({{"/decode/plan_change"},
                   "/policies/pipeline_plan",
                   when(s.policies.find("pipeline_plan")->second.name == "deployed",
                        "where iterations run as deployed, it needs another "
                        "/policies/pipeline_plan")});
  const std::string attention = fmt::format("/deployment/{}/attention", s.deployment.decode.key());
  rules.push_back(
      {{attention + "/context_parallel"},
       attention + "/tp",
       when(decode.attention_group.dies == 1,
            fmt::format("with a die for every rank, it needs {}/tp from 2", attention))});
  rules.push_back({{"/decode/split"},
                   "/deployment/decode",
                   when(decode.is_disaggregated(),
                        "while attention and experts have NPUs of their own, with all cores, it "
                        "needs /deployment/decode/attention and experts left out")});
  rules.push_back({{"/decode/split/attention_aic", "/decode/split/attention_aiv"},
                   "/decode/split/auto",
                   when(decode.auto_split,
                        "while the fastest split is looked for, it needs "
                        "/decode/split/auto=false")});
  rules.push_back({{"/decode/planned_context"},
                   "/decode/split",
                   when(!decode.auto_split && decode.attention_aic > 0 && decode.attention_aiv > 0,
                        "while /decode/split gives both numbers of cores, it needs one of them "
                        "left out or /decode/split/auto=true")});
  rules.push_back({{"/decode/mtp/acceptance"},
                   "/decode/mtp/draft_tokens",
                   when(decode.draft_tokens == 0,
                        "without draft tokens, it needs /decode/mtp/draft_tokens from 1")});
  rules.push_back({{"/decode/launch_time"},
                   "/decode/launch",
                   when(decode.launch == model::Launch::kInNpu,
                        "with graphs launched in the NPU, it needs /decode/launch=cpu")});
}

/// Of any instance; true where the layout cannot be, which is said elsewhere.
bool has_dedicated_ranks(const Scenario& s) {
  const auto dedicated = [&](bool is_used, int ranks) {
    return is_used &&
           model::derive_layout(s.model, ranks, s.options.experts).first_routed_rank() > 0;
  };
  try {
    return dedicated(serve::has_prefill_instances(s.role), s.deployment.prefill.ep) ||
           dedicated(serve::has_decode_instances(s.role), s.deployment.decode.ep);
  } catch (const std::invalid_argument&) {
    return true;
  }
}

void expert_rules(const Scenario& s, std::vector<Rule>& rules) {
  const model::ExpertOptions& experts = s.options.experts;
  const std::string popularity = "/experts/popularity", staleness = "/placement_staleness";
  const std::vector<std::string> of_drift{"/experts/moves", "/policies/expert_placement"};
  std::vector<std::string> stale{"/prefill" + staleness, "/decode" + staleness, "/experts/drift"};
  stale.insert(stale.end(), of_drift.begin(), of_drift.end());
  std::vector<std::string> all{popularity + "/prefill", popularity + "/decode", "/experts/seed"};
  all.insert(all.end(), stale.begin(), stale.end());
  rules.push_back({all, "/experts/skew",
                   when(experts.skew == 0,
                        "on experts that are equally popular, it needs /experts/skew above 0")});
  all.emplace_back("/experts/skew");
  all.emplace_back(popularity + "/sequence_correlation");
  std::vector<std::string> imposed = all;
  imposed.emplace_back("/experts/placement");
  rules.push_back({imposed, "/experts/balancedness",
                   when(experts.balancedness > 0,
                        "with an imposed balancedness, it needs /experts/balancedness left out")});
  rules.push_back({all, "/experts/placement",
                   when(experts.placement == model::Placement::kBalanced,
                        "with a perfectly balanced load, it needs /experts/placement eplb or "
                        "contiguous")});
  rules.push_back({stale, "/experts/placement",
                   when(experts.placement == model::Placement::kContiguous,
                        "with experts placed whatever their load, it needs "
                        "/experts/placement=eplb")});
  for (const auto& [phase, degree] : {std::pair{"/prefill", s.options.prefill.staleness},
                                      {"/decode", s.options.decode.staleness}}) {
    const bool is_decode = std::string_view(phase) == "/decode";
    const bool may_drift = is_decode && experts.drift.drifts();
    const char* needs_drift = is_decode ? " or /experts/drift/time" : "";
    rules.push_back(
        {{popularity + phase + "/stale_correlation"},
         phase + staleness,
         when(degree == 0 && !may_drift, fmt::format("on experts placed on the load they serve, it "
                                                     "needs {}{} above 0{}",
                                                     phase, staleness, needs_drift))});
  }
  std::vector<std::string> undrifted = of_drift;
  undrifted.emplace_back("/experts/drift/age");
  rules.push_back({std::move(undrifted), "/experts/drift/time",
                   when(!experts.drift.drifts(),
                        "where the popularity of experts does not drift, it needs "
                        "/experts/drift/time")});
  rules.push_back({{"/experts/redundant_on"},
                   "/experts/shared_copies",
                   when(!has_dedicated_ranks(s),
                        "where no rank is dedicated to the shared expert, it needs "
                        "/experts/shared_copies below the ranks of an instance")});
  const bool dense = s.model.moe_layers() + s.model.mtp_layers == 0;
  rules.push_back({{"/experts", "/decode/exchange", "/prefill/exchange", stale[0], stale[1],
                    of_drift[1], "/precision/dispatch", "/policies/pipeline_plan"},
                   "/model",
                   when(dense, "on a model without MoE layers")});
}

void workload_rules(const Scenario& s, std::vector<Rule>& rules) {
  const work::WorkloadSpec& w = s.workload;
  const ArrivalKind kind = w.arrivals.kind;
  const std::string arrivals = "/workload/arrivals";
  const auto with = [&](bool idle, const char* needs) {
    return when(idle, fmt::format("with arrivals of kind {}, it needs {}", name_of(kind), needs));
  };
  const bool draws_sessions = w.sessions.draw.has_value();
  const std::string sessions = "/workload/sessions";
  rules.push_back({{"/workload/block_size"},
                   "/workload/trace",
                   when(w.trace.empty() && !draws_sessions,
                        "on requests of fixed length, name a trace in /workload/trace or draw "
                        "/workload/sessions")});
  rules.push_back(
      {{sessions + "/turns", sessions + "/prompt", sessions + "/output", sessions + "/think_time",
        sessions + "/shared_prompt", sessions + "/max_prompt"},
       "/workload/trace",
       when(!w.trace.empty(), "with a trace, which has sessions of its own")});
  rules.push_back(
      {{sessions + "/wait"},
       "/workload/trace",
       when(w.trace.empty() && !draws_sessions,
            "on requests of fixed length, it needs a trace or /workload/sessions/turns")});
  rules.push_back({{sessions + "/answer_time_per_token"},
                   sessions + "/wait",
                   when(!draws_sessions && !w.sessions.wait,
                        "on a trace whose turns come as recorded, it needs "
                        "/workload/sessions/wait=true")});
  rules.push_back({{"/workload/prompt_length", "/workload/output_length"},
                   sessions + "/turns",
                   when(draws_sessions,
                        "with drawn sessions, whose lengths are /workload/sessions/prompt and "
                        "output")});
  rules.push_back({{"/workload/format", "/workload/start", "/workload/end",
                    "/workload/max_requests", "/workload/max_bytes", "/workload/time_scale",
                    "/workload/spread_timestamps", "/workload/resample"},
                   "/workload/trace",
                   when(w.trace.empty(), "without a trace, name one in /workload/trace")});
  rules.push_back({{"/workload/requests", "/workload/prompt_length", "/workload/output_length"},
                   "/workload/trace",
                   when(!w.trace.empty(),
                        "with a trace, which has requests and lengths of its own "
                        "(/workload/max_requests cuts it)")});
  rules.push_back({{"/workload/time_scale", "/workload/spread_timestamps", "/workload/resample"},
                   arrivals + "/kind",
                   with(kind != ArrivalKind::kTrace,
                        "those of the trace (kind trace); drawn ones follow "
                        "/workload/arrivals/rate")});
  // A rate from above is the rate asked for; a time scale given with or above it makes it faster.
  rules.push_back({{"/workload/time_scale"},
                   arrivals + "/rate",
                   when(kind == ArrivalKind::kTrace && w.arrivals.rate > 0, "with a later rate"),
                   true});
  const bool dated = kind != ArrivalKind::kAllAtOnce && kind != ArrivalKind::kClosedLoop;
  const bool stationary = s.start == Start::kStationary;
  rules.push_back({{"/workload/population"},
                   "/workload/role",
                   when(stationary && s.role == serve::Role::kPrefillOnly,
                        "on prefill alone, it is decode that begins full; it needs role all or "
                        "decode")});
  rules.push_back(
      {{"/workload/population"},
       arrivals + "/kind",
       with(stationary && !dated &&
                !(kind == ArrivalKind::kClosedLoop && s.role == serve::Role::kDecodeOnly),
            "arrivals that have dates, or decode alone in a closed loop")});
  rules.push_back({{arrivals + "/rate"},
                   arrivals + "/kind",
                   with(!dated, "trace, poisson, gamma or constant")});
  rules.push_back(
      {{arrivals + "/burstiness"}, arrivals + "/kind", with(kind != ArrivalKind::kGamma, "gamma")});
  rules.push_back(
      {{arrivals + "/concurrency"},
       arrivals + "/kind",
       with(kind == ArrivalKind::kAllAtOnce, "closed_loop or arrivals that have dates")});
}

/// In which it was decided: of a section, the one that gave its first key.
int first_layer(const ConfigDocument& document, const std::string& cause) {
  int first = document.layer(cause);
  const std::vector<std::string> parameters = document.parameters(cause);
  if (parameters.empty()) return first;
  first = document.layer(parameters.front());
  for (const std::string& parameter : parameters) {
    first = std::min(first, document.layer(parameter));
  }
  return first;
}

std::vector<Rule> rules_for(const Scenario& scenario) {
  std::vector<Rule> rules;
  for (const auto part :
       {role_rules, supernode_rules, cache_rules, decode_rules, expert_rules, workload_rules}) {
    part(scenario, rules);
  }
  std::erase_if(rules, [](const Rule& rule) { return rule.why.empty(); });
  return rules;
}

}  // namespace

std::vector<std::string> retired_keys(const ConfigDocument& document, const Scenario& scenario) {
  std::vector<std::string> retired;
  for (const Rule& rule : rules_for(scenario)) {
    const int decided = first_layer(document, rule.cause);
    for (const std::string& key : rule.keys) {
      for (const std::string& parameter : document.parameters(key)) {
        if (document.layer(parameter) >= decided) {
          if (rule.overridden) continue;
          throw ConfigError(document.location(parameter), "has no effect " + rule.why);
        }
        retired.push_back(parameter);
      }
    }
  }
  return retired;
}

}  // namespace cmsim::run
