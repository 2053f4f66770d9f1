#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "cmsim/base/json_text.hpp"
#include "cmsim/metrics/breakdown_json.hpp"
#include "cmsim/metrics/output_gaps.hpp"
#include "cmsim/metrics/result.hpp"

namespace cmsim::metrics {
namespace {

using Json = nlohmann::ordered_json;

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json optional(const std::optional<double>& value) { return value ? finite(*value) : Json(nullptr); }

Json milliseconds(const Distribution& d) {
  if (d.count == 0) return nullptr;
  return {{"count", d.count}, {"mean", d.mean}, {"median", d.median},
          {"std", d.std},     {"p99", d.p99},   {"max", d.max}};
}

/// vLLM's flat keys: mean_ttft_ms, median_ttft_ms, std_ttft_ms, and p99_ttft_ms for the percentiles
/// asked for.
void add_latency(Json& json, const std::string& name, const Distribution& d,
                 const std::vector<double>& percents) {
  const auto shown = [&](double value) { return d.count > 0 ? finite(value) : Json(nullptr); };
  json["mean_" + name + "_ms"] = shown(d.mean);
  json["median_" + name + "_ms"] = shown(d.median);
  json["std_" + name + "_ms"] = shown(d.std);
  for (std::size_t i = 0; i < percents.size(); ++i) {
    const double value = d.count > 0 ? d.percentiles[i] : 0;
    json["p" + number_text(percents[i]) + "_" + name + "_ms"] = shown(value);
  }
}

/// An argument of vLLM's benchmark, which writes what is infinite as a word.
Json argument(const std::optional<double>& value) {
  if (!value) return nullptr;
  return std::isinf(*value) ? Json("inf") : Json(*value);
}

void add_arguments(Json& json, const Result& r) {
  const BenchmarkArguments& a = r.arguments;
  json["model_id"] = a.model_id;
  json["num_prompts"] = r.requests.total;
  json["request_rate"] = argument(a.request_rate);
  json["burstiness"] = argument(a.burstiness);
  json["max_concurrency"] = a.max_concurrency ? Json(*a.max_concurrency) : Json(nullptr);
}

Json to_json(const std::optional<RoleLoad>& role) {
  if (!role) return nullptr;
  return {{"offered_tokens_per_second", finite(role->offered)},
          {"sustained_tokens_per_second", finite(role->sustained)},
          {"within_slo_tokens_per_second", finite(role->within_slo)},
          {"rho", finite(role->rho())}};
}

Json to_json(const LoadVerdict& load) {
  return {{"verdict", to_string(load.load)},
          {"arrival_rate", finite(load.arrival_rate)},
          {"why_no_rate", load.why_no_rate},
          {"prefill", to_json(load.prefill)},
          {"decode", to_json(load.decode)},
          {"waiting_by_third", load.waiting_by_third},
          {"growth_share", load.growth_share},
          {"waiting_share", load.waiting_share},
          {"drain_s", load.drain}};
}

Json to_json(const RequestCounts& counts) {
  Json reasons = Json::object();
  for (const auto& [reason, count] : counts.not_finished) reasons[reason] = count;
  return {{"total", counts.total},
          {"finished", counts.finished},
          {"rejected", counts.rejected},
          {"failed", counts.failed},
          {"unfinished", counts.unfinished},
          {"initial", counts.initial},
          {"preempted", counts.preempted},
          {"swapped", counts.swapped},
          {"by_reason", reasons}};
}

Json to_json(const SloVerdict& slo) {
  return {{"name", slo.limits.name},
          {"ttft_ms", finite(slo.limits.ttft * 1e3)},
          {"tpot_ms", finite(slo.limits.tpot * 1e3)},
          {"share_ttft", slo.share_ttft},
          {"share_tpot", slo.share_tpot},
          {"share_both", slo.share_both},
          {"met_on_mean", slo.met_on_mean},
          {"met_at_p99", slo.met_at_p99}};
}

Json to_json(const std::vector<GroupResult>& groups) {
  Json json = Json::object();
  for (const GroupResult& group : groups) {
    json[group.name] = {{"requests", group.requests},
                        {"finished", group.finished},
                        {"rejected", group.rejected},
                        {"share_slo", group.share_slo},
                        {"ttft_ms", milliseconds(group.ttft_ms)},
                        {"tpot_ms", milliseconds(group.tpot_ms)},
                        {"longest_wait_s", optional(group.longest_wait)}};
  }
  return json;
}

Json to_json(const ServiceResult& service) {
  return {{"classes", to_json(service.classes)},
          {"prompt_lengths", to_json(service.prompt_lengths)},
          {"longest_wait_s", optional(service.longest_wait)},
          {"jain_index", finite(service.jain_index)},
          {"imbalance",
           {{"prefill_instances", finite(service.imbalance.prefill_instances)},
            {"decode_instances", finite(service.imbalance.decode_instances)},
            {"decode_ranks", finite(service.imbalance.decode_ranks)}}}};
}

Json to_json(const std::optional<RoleResult>& role) {
  if (!role) return nullptr;
  Json json{{"instances", role->instances},
            {"npus", role->npus},
            {"utilisation", role->utilisation},
            {"occupancy", role->occupancy},
            {"tokens_per_second", role->tokens_per_second},
            {"tokens_per_second_per_npu", role->tokens_per_second_per_npu()},
            {"iterations", role->iterations},
            {"mean_sequences", finite(role->mean_sequences)},
            {"mean_tokens", finite(role->mean_tokens)},
            {"mean_context", finite(role->mean_context)},
            {"iteration_ms", milliseconds(role->iteration_ms)},
            {"contention", role->contention},
            {"hbm",
             {{"bytes", role->hbm.bytes},
              {"busy_bandwidth_per_die", role->hbm.busy_bandwidth},
              {"busy_utilisation", role->hbm.busy_utilisation},
              {"utilisation", role->hbm.utilisation}}},
            {"ub_bytes", role->ub_bytes}};
  if (const auto& prompts = role->prompts) {
    json["prompts"] = {{"tokens_per_second", prompts->tokens_per_second},
                       {"mean_sequences", finite(prompts->mean_sequences)},
                       {"mean_tokens", finite(prompts->mean_tokens)},
                       {"mean_context", finite(prompts->mean_context)}};
  }
  return json;
}

Json to_json(const std::optional<RebalancingResult>& rebalancing) {
  if (!rebalancing) return nullptr;
  return {{"count", rebalancing->count},
          {"experts", rebalancing->experts},
          {"bytes", rebalancing->bytes},
          {"paid_s", rebalancing->paid},
          {"paid_share", rebalancing->paid_share},
          {"mean_balancedness", finite(rebalancing->mean_balancedness)},
          {"mean_age_s", finite(rebalancing->mean_age)}};
}

Json ratio(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? Json(static_cast<double>(part) / static_cast<double>(whole)) : Json(nullptr);
}

Json hits_json(const CacheResult& cache, std::int64_t blocks, Tokens tokens) {
  return {{"hit_blocks", blocks},
          {"hit_tokens", tokens},
          {"hit_bytes", tokens * cache.bytes_per_token},
          {"hit_rate_by_token", ratio(tokens, cache.lookup_tokens)}};
}

/// Where there are SSDs.
Json tiers_json(const CacheResult& cache) {
  const serve::SsdCounts& counts = cache.ssd;
  Json ssd = hits_json(cache, cache.ssd_hit_blocks, cache.ssd_hit_tokens);
  ssd.update(Json{{"capacity_blocks", cache.ssd_capacity_blocks},
                  {"stored_blocks", counts.stored},
                  {"occupancy", ratio(counts.stored, cache.ssd_capacity_blocks)},
                  {"evicted_blocks", counts.evicted},
                  {"placed_blocks", counts.placed},
                  {"demoted_blocks", counts.demoted},
                  {"promoted_blocks", counts.promoted},
                  {"prefetched_blocks", counts.prefetched},
                  {"prefetch_used_blocks", counts.prefetch_used},
                  {"prefetch_wasted_blocks", counts.prefetch_wasted}});
  return {{"dram", hits_json(cache, cache.hit_blocks - cache.ssd_hit_blocks,
                             cache.hit_tokens - cache.ssd_hit_tokens)},
          {"ssd", std::move(ssd)}};
}

Json to_json(const CacheResult& cache) {
  Json json{{"enabled", cache.enabled},
            {"block_size", cache.block_size},
            {"capacity_blocks", cache.capacity_blocks},
            {"imposed_reuse", optional(cache.imposed_reuse)},
            {"lookup_blocks", cache.lookup_blocks},
            {"hit_blocks", cache.hit_blocks},
            {"hit_rate_by_block", ratio(cache.hit_blocks, cache.lookup_blocks)},
            {"lookup_tokens", cache.lookup_tokens},
            {"hit_tokens", cache.hit_tokens},
            {"hit_rate_by_token", ratio(cache.hit_tokens, cache.lookup_tokens)},
            {"stored_blocks", cache.stored_blocks},
            {"peak_blocks", cache.peak_blocks},
            {"occupancy", ratio(cache.stored_blocks, cache.capacity_blocks)},
            {"evicted_blocks", cache.evicted_blocks}};
  if (cache.ssd_capacity_blocks > 0) json["tiers"] = tiers_json(cache);
  return json;
}

Json phases_json(const std::vector<PhaseResult>& phases) {
  Json json = Json::object();
  for (const PhaseResult& phase : phases) {
    json[phase.name] = {{"mean_ms", phase.ms.mean},
                        {"p50_ms", phase.ms.median},
                        {"p99_ms", phase.ms.p99},
                        {"share", phase.share}};
  }
  return json;
}

Json queues_json(const std::vector<QueueResult>& queues) {
  Json json = Json::object();
  for (const QueueResult& queue : queues) {
    json[queue.name] = {{"mean", queue.mean}, {"max", queue.max}};
  }
  return json;
}

Json transfers_json(const std::vector<TransferResult>& transfers) {
  Json json = Json::object();
  for (const TransferResult& t : transfers) {
    json[t.name] = {{"count", t.count},
                    {"bytes", t.bytes},
                    {"mean_ms", finite(t.mean_ms)},
                    {"max_ms", finite(t.max_ms)},
                    {"mean_bandwidth", finite(t.mean_bandwidth)}};
  }
  return json;
}

Json links_json(const std::vector<LinkResult>& links) {
  Json json = Json::array();
  for (const LinkResult& link : links) {
    json.push_back({{"class", link.name},
                    {"direction", link.direction},
                    {"ports", link.ports},
                    {"transfer_bytes", link.transfer_bytes},
                    {"exchange_bytes", link.exchange_bytes},
                    {"utilisation", link.utilisation},
                    {"busiest_utilisation", link.busiest_utilisation}});
  }
  return json;
}

Json binds_json(const std::vector<Bind>& binds) {
  Json json = Json::array();
  for (const Bind& bind : binds) json.push_back({{"what", bind.what}, {"share", bind.share}});
  return json;
}

void add_figures(Json& json, const Figures& f) {
  const auto role_figure = [](const std::optional<RoleResult>& role, auto figure) {
    return role ? finite(figure(*role)) : Json(nullptr);
  };
  const auto per_npu = [](const RoleResult& role) { return role.tokens_per_second_per_npu(); };
  json["request_rate"] = finite(f.request_rate);
  json["request_throughput"] = f.request_throughput;
  json["request_goodput"] = f.request_goodput;
  json["output_throughput"] = f.output_throughput;
  json["total_token_throughput"] = f.total_token_throughput;
  json["prefill_tokens_per_second_per_npu"] = role_figure(f.prefill, per_npu);
  json["decode_tokens_per_second_per_npu"] = role_figure(f.decode, per_npu);
  json["decode_iteration_ms"] = role_figure(f.decode, [](const RoleResult& role) {
    return role.iterations > 0 ? role.iteration_ms.mean : kNoSample;
  });
  json["ttft_ms"] = milliseconds(f.ttft_ms);
  json["tpot_ms"] = milliseconds(f.tpot_ms);
  json["itl_ms"] = milliseconds(f.itl_ms);
  json["e2el_ms"] = milliseconds(f.e2el_ms);
  json["slo"] = to_json(f.slo);
  json["service"] = to_json(f.service);
  if (const auto& proportion = f.proportion) {
    json["proportion"] = {{"prefill_npus", proportion->prefill_npus},
                          {"decode_npus", proportion->decode_npus},
                          {"draining_npus", proportion->draining_npus},
                          {"loading_npus", proportion->loading_npus},
                          {"changes", proportion->changes}};
  }
  json["slowest_phase"] = f.slowest_phase;
  json["longest_wait"] = f.longest_wait;
  json["phases"] = phases_json(f.phases);
  json["prefill"] = to_json(f.prefill);
  json["decode"] = to_json(f.decode);
  if (f.decode) {
    json["decode"]["rebalancing"] = to_json(f.decode->rebalancing);
    json["decode"]["plan_changes"] = f.decode->plan_changes;
  }
  json["kv"] = {{"capacity_tokens", f.kv.capacity_tokens},
                {"mean_occupancy", f.kv.mean_occupancy},
                {"peak_occupancy", f.kv.peak_occupancy}};
  json["queues"] = queues_json(f.queues);
  json["transfers"] = transfers_json(f.transfers);
  json["links"] = links_json(f.links);
  json["binds"] = binds_json(f.binds);
}

Json window_json(const Window& window, const Figures& figures) {
  Json json{{"from_s", window.from},
            {"to_s", window.to},
            {"cohort_to_s", finite(window.cohort().to)},
            {"rule", to_string(window.rule)},
            {"steady", window.steady},
            {"why_not", window.why_not},
            {"needed_s", finite(window.needed)}};
  add_figures(json, figures);
  return json;
}

Json whole_run_json(const Figures& figures) {
  Json json{{"from_s", figures.from}, {"to_s", figures.to}};
  add_figures(json, figures);
  return json;
}

Json to_json(const Extrapolation& e) {
  Json json{{"what", e.what}};
  json["value"] = e.is_named() ? Json(e.name) : Json(e.value);
  json["validated"] = e.is_named() ? Json(e.validated_name) : Json{e.least, e.most};
  return json;
}

Json to_json(const BandConstant& constant) {
  return {{"pointer", constant.pointer},
          {"range", {constant.low, constant.high}},
          {"source", constant.source}};
}

Json to_json(const Band& band) {
  const bool none = band.dominant.empty();
  return {{"nominal", finite(band.nominal)},
          {"low", finite(band.low)},
          {"high", finite(band.high)},
          {"dominant", none ? Json(nullptr) : Json(band.dominant)},
          {"share", none ? Json(nullptr) : Json(band.share())},
          {"correlation", none ? Json(nullptr) : Json(band.correlation)}};
}

template <class Item>
Json array_of(const std::vector<Item>& items) {
  Json json = Json::array();
  for (const Item& item : items) json.push_back(to_json(item));
  return json;
}

void add_uncertainty(Json& json, const Uncertainty& uncertainty) {
  Json bands = Json::object();
  for (const Band& band : uncertainty.bands) bands[band.metric] = to_json(band);
  json["bands"] = std::move(bands);
  json["band_samples"] = uncertainty.samples;
  json["band_constants"] = array_of(uncertainty.constants);
  json["band_idle"] = uncertainty.idle;
}

Json to_json(const Provenance& p) {
  return {{"version", p.version},
          {"scenario", p.scenario},
          {"digest", p.digest},
          {"seed", p.seed},
          {"seed_redraws", p.seed_redraws},
          {"network", p.network},
          {"network_note", p.network_note},
          {"trace", p.trace},
          {"trace_format", p.trace_format},
          {"trace_dropped", p.trace_dropped},
          {"trace_dropped_reason", p.trace_dropped_reason},
          {"trace_retired", p.trace_retired},
          {"borrowed", p.borrowed},
          {"extrapolated", array_of(p.extrapolated)},
          {"workload_digest", p.workload_digest},
          {"command", p.command},
          {"simgrid", p.simgrid}};
}

void add_lists(Json& json, const Result& result) {
  Json ttfts = Json::array(), itls = Json::array();
  Json inputs = Json::array(), outputs = Json::array();
  const OutputGaps gaps(result);
  for (const serve::RequestRecord& r : result.records) {
    if (r.outcome != serve::Outcome::kFinished) continue;
    ttfts.push_back(ttft(r));
    itls.push_back(gaps.of(r));
    inputs.push_back(r.prompt_tokens);
    outputs.push_back(r.output_tokens);
  }
  json["ttfts"] = std::move(ttfts);
  json["itls"] = std::move(itls);
  json["input_lens"] = std::move(inputs);
  json["output_lens"] = std::move(outputs);
}

}  // namespace

Json to_json(const Result& r, Detail detail) {
  Json json;
  json["partial"] = r.partial;
  json["load"] = to_json(r.load);
  add_arguments(json, r);
  json["duration"] = r.duration;
  json["completed"] = r.requests.finished;
  json["failed"] = r.requests.total - r.requests.finished;
  json["total_input_tokens"] = r.total_input_tokens;
  json["total_output_tokens"] = r.total_output_tokens;
  json["request_throughput"] = r.request_throughput;
  json["request_goodput"] = r.request_goodput;
  json["output_throughput"] = r.output_throughput;
  json["total_token_throughput"] = r.total_token_throughput;
  json["max_output_tokens_per_s"] = r.peaks.output_tokens_per_s;
  json["max_concurrent_requests"] = r.peaks.concurrent_requests;
  const std::vector<double>& percents = r.arguments.percentiles;
  add_latency(json, "ttft", r.whole_run.ttft_ms, percents);
  add_latency(json, "tpot", r.whole_run.tpot_ms, percents);
  add_latency(json, "itl", r.whole_run.itl_ms, percents);
  add_latency(json, "e2el", r.whole_run.e2el_ms, percents);
  json["requests"] = to_json(r.requests);
  json["window"] = window_json(r.window, r.measured);
  json["whole_run"] = whole_run_json(r.whole_run);
  json["cache"] = to_json(r.cache);
  json["uplinks"] = {{"in_paths", r.uplinks.in_paths}, {"pressure", r.uplinks.pressure}};
  const auto broken_down = [](const std::optional<model::StepBreakdown>& breakdown) {
    return breakdown ? to_json(*breakdown) : Json(nullptr);
  };
  json["breakdown"] = {{"decode", broken_down(r.decode_breakdown)},
                       {"prefill", broken_down(r.prefill_breakdown)}};
  if (r.uncertainty) add_uncertainty(json, *r.uncertainty);
  json["provenance"] = to_json(r.provenance);
  if (detail == Detail::kPerRequest) add_lists(json, r);
  return json;
}

}  // namespace cmsim::metrics
