#include "cmsim/metrics/collector.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "cmsim/metrics/peaks.hpp"

namespace cmsim::metrics {
namespace {

using serve::Outcome;
using serve::RequestRecord;

RequestCounts count(const Records& records) {
  RequestCounts counts;
  std::map<std::string, std::int64_t> reasons;
  counts.total = static_cast<std::int64_t>(records.size());
  for (const RequestRecord& r : records) {
    counts.initial += r.initial_tokens > 0 ? 1 : 0;
    counts.preempted += r.preemptions > 0 ? 1 : 0;
    counts.swapped += r.swaps > 0 ? 1 : 0;
    switch (r.outcome) {
      case Outcome::kFinished:
        ++counts.finished;
        continue;
      case Outcome::kRejected:
        ++counts.rejected;
        break;
      case Outcome::kFailed:
        ++counts.failed;
        break;
      case Outcome::kUnfinished:
        ++counts.unfinished;
        break;
    }
    ++reasons[serve::to_string(r.reason)];
  }
  counts.not_finished.assign(reasons.begin(), reasons.end());
  return counts;
}

/// As vLLM's benchmark counts: over all that finished, from the first send to the last finish.
void add_benchmark_figures(Result& result, const SystemFacts& facts) {
  Seconds last_finish = -1;
  double good = 0;
  for (const RequestRecord& r : result.records) {
    if (r.outcome != Outcome::kFinished) continue;
    last_finish = std::max(last_finish, r.finished);
    result.total_input_tokens += r.prompt_tokens;
    result.total_output_tokens += output_of(r, facts.role);
    good += check_slo(r, facts).both() ? 1 : 0;
  }
  const Seconds begin = result.whole_run.from;
  result.elapsed = result.whole_run.to - begin;
  result.duration = last_finish >= 0 && !result.partial ? last_finish - begin : result.elapsed;
  if (result.duration <= 0) return;
  const auto input = static_cast<double>(result.total_input_tokens);
  const auto output = static_cast<double>(result.total_output_tokens);
  result.request_throughput = static_cast<double>(result.requests.finished) / result.duration;
  result.request_goodput = good / result.duration;
  result.output_throughput = output / result.duration;
  result.total_token_throughput = (input + output) / result.duration;
}

}  // namespace

Collector::Collector(const SystemFacts& facts) : facts_(facts) {
  records_.reserve(facts.requests);
  cache_.enabled = facts.deployment.cache.enabled && serve::computes_prompts(facts.role);
  cache_.block_size = facts.deployment.cache.block_size;
  cache_.capacity_blocks = facts.cache_capacity_blocks;
  cache_.ssd_capacity_blocks = facts.ssd_capacity_blocks;
  cache_.bytes_per_token = facts.kv_bytes_per_token;
  if (facts.deployment.cache.reuse >= 0) cache_.imposed_reuse = facts.deployment.cache.reuse;
}

/// The run begins with the first of them, and all levels at 0.
void Collector::on_request_sent(const RequestRecord& record) {
  if (std::exchange(begun_, true)) return;
  on_queue({.at = record.sent});
}

void Collector::on_request_end(const RequestRecord& record) { records_.push_back(record); }

void Collector::on_prefill_batch(const serve::PrefillBatchEvent& event) {
  batches_.push_back({.start = event.start,
                      .end = event.end,
                      .instance = event.instance,
                      .sequences = event.sequences,
                      .tokens = static_cast<std::int32_t>(event.new_tokens),
                      .context = event.cached_tokens,
                      .bytes_per_die = event.bytes_per_die,
                      .late = event.late,
                      .cached_blocks = event.cached_blocks});
}

void Collector::on_decode_step(const serve::DecodeStepEvent& event) {
  steps_.push_back({.start = event.start,
                    .end = event.end,
                    .instance = event.instance,
                    .sequences = static_cast<std::int32_t>(event.sequences),
                    .continuing = static_cast<std::int32_t>(event.continuing),
                    .tokens = static_cast<std::int32_t>(event.tokens),
                    .context = event.kv_tokens,
                    .bytes_per_die = event.bytes_per_die,
                    .late = event.late});
  if (facts_.drifts) {
    step_experts_.push_back({event.moving, event.placement_age, event.balancedness});
  }
  if (facts_.role != serve::Role::kMixed) return;
  prompts_.push_back({static_cast<std::int32_t>(event.prompts),
                      static_cast<std::int32_t>(event.prompt_tokens), event.prompt_context});
}

void Collector::on_rebalancing(const serve::RebalancingEvent& event) {
  rebalancings_.push_back(event);
}

void Collector::on_plan_change(const serve::PlanChangeEvent& event) {
  plan_changes_.push_back(event.at);
}

void Collector::on_transfer(const serve::TransferEvent& event) { timeline_.add(event); }

void Collector::on_queue(const serve::QueueEvent& event) { timeline_.set(event); }

void Collector::on_cache(const serve::CacheEvent& event) {
  cache_.lookup_blocks += event.lookup_blocks;
  cache_.hit_blocks += event.hit_blocks;
  cache_.lookup_tokens += event.lookup_tokens;
  cache_.hit_tokens += event.hit_tokens;
  cache_.stored_blocks = event.stored_blocks;
  cache_.peak_blocks = std::max(cache_.peak_blocks, event.stored_blocks);
  cache_.evicted_blocks = event.evicted_blocks;
  cache_.ssd_hit_blocks += event.ssd_hit_blocks;
  cache_.ssd_hit_tokens += event.ssd_hit_tokens;
  cache_.ssd = event.ssd;
}

Result Collector::result(Seconds run_end, const WindowSpec& spec) {
  Result result;
  result.arguments = facts_.arguments;
  result.records = std::move(records_);
  result.batches = std::move(batches_);
  result.steps = std::move(steps_);
  result.step_experts = std::move(step_experts_);
  result.rebalancings = std::move(rebalancings_);
  result.records.sort_by_id();
  result.requests = count(result.records);
  result.partial = result.requests.unfinished > 0;
  if (!begun_) on_queue({.at = run_end});
  timeline_.close(run_end);
  const Evidence evidence{result.records, result.batches, result.steps,        timeline_,
                          prompts_,       roles_,         result.step_experts, result.rebalancings,
                          plan_changes_};
  result.window = find_window(timeline_, result.records, run_end, spec);
  result.measured =
      figures_of(evidence, facts_, result.window.from, result.window.to, result.window.cohort());
  result.whole_run = figures_of(evidence, facts_, timeline_.begin(), run_end);
  add_benchmark_figures(result, facts_);
  result.cache = cache_;
  result.peaks = peaks_of(result, facts_.role);
  return result;
}

}  // namespace cmsim::metrics
