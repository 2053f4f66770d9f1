#include "cmsim/run/run.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "breakdowns.hpp"
#include "cmsim/base/version.hpp"
#include "cmsim/engine/runtime.hpp"
#include "cmsim/metrics/collector.hpp"
#include "cmsim/metrics/load.hpp"
#include "cmsim/metrics/time_series.hpp"
#include "cmsim/metrics/window.hpp"
#include "cmsim/run/digest.hpp"
#include "cmsim/run/envelope.hpp"
#include "cmsim/serve/cluster.hpp"
#include "cmsim/serve/placement.hpp"
#include "cmsim/serve/policy_call.hpp"
#include "cmsim/work/workload.hpp"
#include "link_meter.hpp"
#include "population.hpp"
#include "step_models.hpp"

namespace cmsim::run {
namespace {

/// To the log that the program has set up; a library writes nowhere of its own accord.
template <class... Args>
void log_phase(fmt::format_string<Args...> format, Args&&... args) {
  if (const auto log = spdlog::get("cmsim")) log->info(format, std::forward<Args>(args)...);
}

/// A set for every supernode, each with draws of its own.
std::vector<serve::Policies> policies_of(const Scenario& scenario, const RunOptions& options,
                                         const work::Trace& trace) {
  const auto output_tokens = [&trace] {
    std::vector<Tokens> tokens;
    for (const work::TraceRow& row : trace.rows) tokens.push_back(row.output_tokens);
    return tokens;
  };
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
  std::vector<serve::Policies> policies;
  for (int i = 0; i < scenario.deployment.supernodes; ++i) {
    policies.push_back(serve::make_policies(options.registry, scenario.policies,
                                            scenario.seed + static_cast<std::uint64_t>(i) * kGolden,
                                            output_tokens, options.policy_call));
  }
  return policies;
}

/// By their place in the trace; one that the scenario says nothing of has the limits of all.
std::vector<serve::RequestClass> classes_of(const Scenario& scenario, const work::Trace& trace) {
  const serve::LatencyLimits limits{scenario.slo.ttft, scenario.slo.tpot};
  if (trace.classes.empty()) return {{.limits = limits}};
  std::vector<serve::RequestClass> classes;
  for (const std::string& name : trace.classes) {
    const auto said = std::ranges::find(scenario.classes, name, &serve::RequestClass::name);
    classes.push_back(said != scenario.classes.end()
                          ? *said
                          : serve::RequestClass{.name = name, .limits = limits});
  }
  return classes;
}

serve::ClusterConfig cluster_config(const Scenario& scenario, const work::Trace& trace) {
  const model::DecodeOptions& decode = scenario.options.decode;
  serve::ClusterConfig config;
  config.deployment = scenario.deployment;
  config.mtp = {decode.draft_tokens, decode.acceptance};
  config.role = scenario.role;
  config.kv_bytes_per_token = kv_bytes_per_token(scenario);
  config.classes = classes_of(scenario, trace);
  config.concurrency = scenario.workload.arrivals.concurrency;
  config.closed_loop = scenario.workload.arrivals.kind == work::ArrivalKind::kClosedLoop;
  config.plan_change = decode.plan_change;
  config.seed = scenario.seed;
  return config;
}

metrics::BenchmarkArguments arguments_of(const Scenario& scenario, const RunOptions& options) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  const work::ArrivalSpec& arrivals = scenario.workload.arrivals;
  metrics::BenchmarkArguments arguments;
  arguments.model_id = scenario.model.name;
  arguments.percentiles = options.percentiles;
  if (arrivals.concurrency > 0) arguments.max_concurrency = arrivals.concurrency;
  switch (arrivals.kind) {
    case work::ArrivalKind::kTrace:
      break;
    case work::ArrivalKind::kAllAtOnce:
    case work::ArrivalKind::kClosedLoop:
      arguments.request_rate = kInfinite;
      arguments.burstiness = 1;  // without effect at this rate, and 1 unless given
      break;
    case work::ArrivalKind::kPoisson:
      arguments.request_rate = arrivals.rate;
      arguments.burstiness = 1;
      break;
    case work::ArrivalKind::kGamma:
      arguments.request_rate = arrivals.rate;
      arguments.burstiness = arrivals.burstiness;
      break;
    case work::ArrivalKind::kConstant:
      arguments.request_rate = arrivals.rate;
      arguments.burstiness = kInfinite;
      break;
  }
  return arguments;
}

metrics::SystemFacts facts_of(const Scenario& scenario, const serve::ClusterConfig& config,
                              const StepModels& models, const work::Trace& trace) {
  const hw::Platform& platform = scenario.platform;
  const serve::CacheSpec& cache = scenario.deployment.cache;
  metrics::SystemFacts facts;
  facts.requests = trace.rows.size();
  facts.role = scenario.role;
  facts.deployment = scenario.deployment;
  facts.dies_per_npu = platform.dies_per_npu;
  facts.hbm_bandwidth = platform.die.hbm_bandwidth;
  facts.drifts = models.drifting != nullptr;
  facts.kv_bytes_per_token = config.kv_bytes_per_token;
  if (models.decode) facts.decode_kv_per_die = models.decode->kv_capacity_per_die();
  if (cache.enabled && serve::computes_prompts(scenario.role)) {
    const Bytes of_block = config.kv_bytes_per_token * cache.block_size;
    for (const serve::Placement& supernode :
         serve::place(scenario.deployment, platform, scenario.role)) {
      for (std::size_t i = 0; i < supernode.caches.size(); ++i) {
        facts.cache_capacity_blocks += supernode.cache_blocks(i, of_block);
        if (cache.has_ssd()) facts.ssd_capacity_blocks += supernode.ssd_blocks(i, of_block);
      }
    }
  }
  facts.slo = scenario.slo;
  facts.classes = config.classes;
  return facts;
}

/// The named streams of a run in which another seed makes a difference.
std::vector<std::string> seeded_streams(const Scenario& scenario, const work::Trace& trace,
                                        const serve::PolicyRegistry& registry) {
  const work::WorkloadSpec& workload = scenario.workload;
  const model::DecodeOptions& decode = scenario.options.decode;
  std::vector<std::string> streams;
  if (trace.format == "servegen") streams.emplace_back("work/servegen");
  if (workload.sessions.draw) streams.emplace_back("work/sessions");
  if (workload.resample_block > 0) streams.emplace_back("work/resample");
  if (workload.classes.size() > 1 && workload.classes[0].share) {
    streams.emplace_back("work/classes");
  }
  if (workload.arrivals.kind == work::ArrivalKind::kPoisson ||
      workload.arrivals.kind == work::ArrivalKind::kGamma) {
    streams.emplace_back("work/arrivals");
  }
  if (scenario.start == Start::kStationary &&
      workload.arrivals.kind != work::ArrivalKind::kClosedLoop) {
    streams.emplace_back("run/population");
  }
  if (scenario.role != serve::Role::kPrefillOnly && decode.draft_tokens > 0 &&
      decode.acceptance > 0 && decode.acceptance < 1) {
    streams.emplace_back("serve/mtp");
  }
  for (const auto& [slot, choice] : scenario.policies) {
    const std::string& stream = registry.info(slot, choice.name).stream;
    if (!stream.empty()) streams.push_back(stream);
  }
  return streams;
}

metrics::Provenance provenance_of(const Scenario& scenario, const work::Trace& trace,
                                  const engine::SimGridRuntime& runtime, const StepModels& models,
                                  const RunOptions& options) {
  metrics::Provenance provenance;
  provenance.version = kVersion;
  provenance.scenario = scenario.name;
  provenance.digest = scenario.digest;
  provenance.workload_digest = digest_of(trace);
  provenance.seed = scenario.seed;
  provenance.seed_redraws = seeded_streams(scenario, trace, options.registry);
  provenance.network = coll::to_string(models.network);
  provenance.network_note = models.network_note;
  if (runtime.keeps_instances_apart()) {
    if (!provenance.network_note.empty()) provenance.network_note += "; ";
    provenance.network_note += "instances share too many links for their exchanges to meet";
  }
  provenance.command = options.command;
  provenance.trace = trace.name;
  provenance.trace_format = trace.format;
  provenance.trace_dropped = trace.dropped;
  provenance.trace_dropped_reason = trace.dropped_reason;
  provenance.trace_retired = scenario.retired_by_trace;
  provenance.borrowed = scenario.borrowed;
  provenance.simgrid = runtime.settings();
  return provenance;
}

void add_links(metrics::Figures& figures, const LinkMeter& meter, const coll::Fabric& fabric,
               const StepModels& models, const serve::DeploymentSpec& deployment) {
  figures.links = meter.links(figures.from, figures.to);
  coll::PortLoads exchanges = coll::no_loads(fabric);
  // Alike on all places; where roles change, on those too that have the other for a time.
  const auto add = [&](const auto& model, const std::optional<metrics::RoleResult>& role,
                       int places) {
    if (!role) return;
    for (int i = 0; i < places; ++i) {
      const model::WireUse wires = model->wire_use(i);
      if (wires.exchange) exchanges += *wires.exchange * (role->exchange_bytes / places);
      if (wires.collective) exchanges += *wires.collective * (role->collective_bytes / places);
    }
  };
  add(models.prefill, figures.prefill, deployment.prefill_places());
  add(models.decode, figures.decode, deployment.decode_places());
  add_exchanges(figures.links, fabric, exchanges, figures.to - figures.from);
}

/// Of a sequence over its iterations, mean over all iterations of the trace.
double mean_decode_context(const work::Trace& trace) {
  double sum = 0, iterations = 0;
  for (const work::TraceRow& row : trace.rows) {
    const double output = row.output_tokens;
    sum += output * (row.prompt_tokens + output / 2);
    iterations += output;
  }
  return iterations > 0 ? sum / iterations : 0;
}

double prompt_per_output(const work::Trace& trace) {
  double prompts = 0, output = 0;
  for (const work::TraceRow& row : trace.rows) {
    prompts += static_cast<double>(row.prompt_tokens);
    output += static_cast<double>(row.output_tokens);
  }
  return output > 0 ? prompts / output : 0;
}

/// What the listeners were told must be what happened (docs/invariants.md).
void check_result(const Result& result, std::size_t rows) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw serve::InvariantError(std::string("broken invariant: ") + what);
  };
  require(result.records.size() == rows, "every row of the trace has one record");
  if (result.partial || result.requests.failed > 0 || !result.whole_run.decode) return;
  std::int64_t emitted = 0;
  for (const metrics::Iteration& step : result.steps) emitted += step.tokens;
  require(emitted == result.total_output_tokens, "the steps emit the tokens of the requests");
}

}  // namespace

Result run(const Scenario& scenario, const RunOptions& options) {
  work::Trace trace = work::make_workload(scenario.workload, scenario.seed);
  serve::check_cache_blocks(scenario.deployment.cache, trace);
  log_phase("read {}: {} requests over {:g} s", trace.name, trace.rows.size(), trace.duration());
  const RoleExperts experts = make_role_experts(scenario);
  Scenario planned = scenario;
  plan_decode(planned, scenario.deployment.decode, mean_decode_context(trace),
              scenario.role == serve::Role::kMixed ? prompt_per_output(trace) : 0);
  const StepModels models = make_step_models(planned, experts);
  if (scenario.start == Start::kStationary) add_population(trace, scenario, models);
  const serve::ClusterConfig config = cluster_config(scenario, trace);
  log_phase("built the step models, network {}", coll::to_string(models.network));

  const coll::Fabric fabric(scenario.platform);
  engine::RuntimeOptions runtime_options;
  runtime_options.planes = models.planes;
  runtime_options.contention = models.network != Network::kAnalytic;
  engine::SimGridRuntime runtime(fabric, runtime_options);
  runtime.set_interrupt_flag(options.interrupt);
  runtime.set_horizon(scenario.horizon);
  // Policies are made last: only a cluster destroys them under their names.
  serve::Cluster cluster(runtime, scenario.platform, config,
                         {models.prefill.get(), models.decode_model()},
                         policies_of(scenario, options, trace), trace);
  metrics::SystemFacts facts = facts_of(scenario, config, models, trace);
  facts.arguments = arguments_of(scenario, options);
  metrics::Collector collector(facts);
  LinkMeter meter(runtime);
  std::optional<metrics::TimeSeries> series;
  if (options.time_series) cluster.add_listener(series.emplace(*options.time_series, facts));
  cluster.add_listener(collector);
  cluster.add_listener(meter);
  for (serve::Listener* listener : options.listeners) cluster.add_listener(*listener);

  cluster.start();
  if (options.on_start) options.on_start(trace);
  log_phase("simulating");
  runtime.run();
  log_phase("simulated {:g} s", runtime.now());
  const bool cut = runtime.interrupted() || runtime.horizon_reached();
  cluster.finish(cut ? serve::RunEnd::kInterrupted : serve::RunEnd::kDrained);
  if (!cut) runtime.check_bytes_conserved();

  metrics::Provenance provenance = provenance_of(scenario, trace, runtime, models, options);
  const std::size_t rows = trace.rows.size();
  trace = {};  // has been asked for the last time, and is as large as the samples of the figures
  Result result = collector.result(runtime.now(),
                                   {scenario.window.warmup, scenario.start == Start::kStationary});
  check_result(result, rows);
  result.classes = config.classes;
  result.provenance = std::move(provenance);
  if (series) result.time_series = series->csv(runtime.now());
  add_links(result.measured, meter, fabric, models, scenario.deployment);
  add_links(result.whole_run, meter, fabric, models, scenario.deployment);
  result.uplinks = {runtime.fabric().uplinks_in_paths(), runtime.uplink_pressure()};
  add_breakdowns(result, models);
  result.load = metrics::judge_load(result, offer_of(result, scenario, models));
  result.window = metrics::with_load(std::move(result.window), result.load.load);
  result.provenance.extrapolated = extrapolations(built_in_envelope(), scenario, result);
  return result;
}

}  // namespace cmsim::run
