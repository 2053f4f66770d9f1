#include "cmsim/metrics/collector.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "cmsim/metrics/summary.hpp"

namespace cmsim::metrics {

using serve::RequestRecord;

Collector::Collector(const SystemFacts& facts) : facts_(facts) {
  records_.reserve(facts.requests);  // a vector that doubled would hold twice as many for a while
  cache_.enabled = facts.deployment.cache.enabled && facts.role != serve::Role::kDecodeOnly;
  cache_.block_size = facts.deployment.cache.block_size;
  cache_.capacity_blocks = facts.cache_capacity_blocks;
  if (facts.deployment.cache.reuse >= 0) cache_.imposed_reuse = facts.deployment.cache.reuse;
}

/// The run begins with the first of them, and all levels at 0.
void Collector::on_request_sent(const RequestRecord& record) {
  if (std::exchange(begun_, true)) return;
  on_queue({.at = record.sent});
}

void Collector::on_request_end(const RequestRecord& record) { records_.push_back(record); }

void Collector::on_prefill_batch(const serve::PrefillBatchEvent& event) {
  const auto& spec = facts_.deployment.prefill;
  const double dies = spec.npus_per_instance * facts_.dies_per_npu;
  const auto new_tokens = static_cast<double>(event.new_tokens);
  const double budget = static_cast<double>(spec.max_num_batched_tokens) * spec.npus_per_instance;
  prefill_.durations.push_back(event.end - event.start);
  prefill_.busy += event.end - event.start;
  prefill_.sequences += event.sequences;
  prefill_.tokens += new_tokens;
  prefill_.weighted_occupancy += new_tokens / budget;
  prefill_.hbm_bytes += static_cast<double>(event.hbm_bytes_per_die) * dies;
  prefill_.ub_bytes += static_cast<double>(event.ub_bytes_per_die) * dies;
}

void Collector::on_decode_step(const serve::DecodeStepEvent& event) {
  const auto& spec = facts_.deployment.decode;
  const double dies = spec.npus_per_instance * facts_.dies_per_npu;
  const auto sequences = static_cast<double>(event.sequences);
  const Seconds duration = event.end - event.start;
  steps_.push_back({event.start, event.end, event.previous_end, event.instance,
                    static_cast<std::int32_t>(event.sequences),
                    static_cast<std::int32_t>(event.continuing),
                    static_cast<std::int32_t>(event.tokens)});
  decode_.busy += duration;
  decode_.sequences += sequences;
  decode_.tokens += static_cast<double>(event.tokens);
  decode_.weighted_occupancy +=
      duration * sequences / (static_cast<double>(spec.max_num_seqs) * spec.npus_per_instance);
  decode_.hbm_bytes += static_cast<double>(event.hbm_bytes_per_die) * dies;
  decode_.ub_bytes += static_cast<double>(event.ub_bytes_per_die) * dies;
}

void Collector::on_transfer(const serve::TransferEvent& event) {
  TransferSums& sums = transfers_[static_cast<std::size_t>(event.kind)];
  ++sums.count;
  sums.bytes += static_cast<double>(event.bytes);
  sums.seconds += event.end - event.start;
  sums.longest = std::max(sums.longest, event.end - event.start);
}

void Collector::on_queue(const serve::QueueEvent& event) {
  queues_[0].set(event.at, event.prefill_waiting);
  queues_[1].set(event.at, event.prefill_running);
  queues_[2].set(event.at, event.decode_waiting);
  queues_[3].set(event.at, event.decode_running);
  kv_reserved_.set(event.at, static_cast<double>(event.decode_kv_reserved));
}

void Collector::on_cache(const serve::CacheEvent& event) {
  cache_.lookup_blocks += event.lookup_blocks;
  cache_.hit_blocks += event.hit_blocks;
  cache_.lookup_tokens += event.lookup_tokens;
  cache_.hit_tokens += event.hit_tokens;
  cache_.stored_blocks = event.stored_blocks;
  cache_.peak_blocks = std::max(cache_.peak_blocks, event.stored_blocks);
  cache_.evicted_blocks = event.evicted_blocks;
}

RoleResult Collector::role_result(const RoleSums& sums, int instances, int npus_per_instance,
                                  Seconds elapsed) const {
  RoleResult role;
  role.instances = instances;
  role.npus = instances * npus_per_instance;
  const double dies = npus_per_instance * facts_.dies_per_npu;
  const double instance_seconds = elapsed * instances;
  role.utilisation = instance_seconds > 0 ? sums.busy / instance_seconds : 0;
  role.iteration_ms = summarize(sums.durations, 1e3);
  role.iterations = role.iteration_ms.count;
  if (role.iterations > 0) {
    role.mean_sequences = sums.sequences / static_cast<double>(role.iterations);
    role.mean_tokens = sums.tokens / static_cast<double>(role.iterations);
  }
  role.hbm.bytes = sums.hbm_bytes;
  role.ub_bytes = sums.ub_bytes;
  if (sums.busy > 0) role.hbm.busy_bandwidth = sums.hbm_bytes / (sums.busy * dies);
  if (facts_.hbm_bandwidth > 0) {
    role.hbm.busy_utilisation = role.hbm.busy_bandwidth / facts_.hbm_bandwidth;
    role.hbm.utilisation = role.hbm.busy_utilisation * role.utilisation;
  }
  return role;
}

void Collector::add_prefill(Result& result, Seconds elapsed) const {
  const auto& spec = facts_.deployment.prefill;
  RoleResult role = role_result(prefill_, spec.instances, spec.npus_per_instance, elapsed);
  double prompt_tokens = 0;
  for (const RequestRecord& r : result.records) {
    if (r.prefill_end >= 0) prompt_tokens += static_cast<double>(r.prompt_tokens);
  }
  if (elapsed > 0) role.tokens_per_second = prompt_tokens / elapsed;
  role.steady_tokens_per_second = prompt_rate(result.records, result.steady);
  role.steady_tokens_per_second_per_npu = role.steady_tokens_per_second / role.npus;
  if (role.iterations > 0) role.steady_iteration_ms = role.iteration_ms.mean;
  if (role.iterations > 0) {
    role.occupancy = prefill_.weighted_occupancy / static_cast<double>(role.iterations);
  }
  result.prefill = role;
}

void Collector::add_decode(Result& result, Seconds elapsed) const {
  const auto& spec = facts_.deployment.decode;
  RoleSums sums = decode_;
  std::vector<double> steady;
  for (const StepSample& step : result.steps) {
    sums.durations.push_back(step.end - step.start);
    if (step.end > result.steady.from && step.end <= result.steady.to) {
      steady.push_back(step.end - step.start);
    }
  }
  RoleResult role = role_result(sums, spec.instances, spec.npus_per_instance, elapsed);
  if (elapsed > 0) role.tokens_per_second = sums.tokens / elapsed;
  role.steady_tokens_per_second = output_rate(result.steps, result.steady);
  role.steady_tokens_per_second_per_npu = role.steady_tokens_per_second / role.npus;
  if (!steady.empty()) role.steady_iteration_ms = summarize(std::move(steady), 1e3).mean;
  if (elapsed > 0) role.occupancy = sums.weighted_occupancy / (elapsed * spec.instances);
  result.decode = role;
  result.steady_output_throughput = role.steady_tokens_per_second;

  result.kv.capacity_tokens = facts_.decode_kv_per_die * facts_.dies_per_npu * role.npus;
}

void Collector::add_kv_and_queues(Result& result, Seconds run_end) {
  static constexpr std::array<const char*, 4> kNames{"prefill_waiting", "prefill_running",
                                                     "decode_waiting", "decode_running"};
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    queues_[i].close(run_end);
    result.queues.push_back(
        {kNames[i], queues_[i].mean(), queues_[i].percentile(0.99), queues_[i].max()});
  }
  kv_reserved_.close(run_end);
  if (result.kv.capacity_tokens > 0) {
    const auto capacity = static_cast<double>(result.kv.capacity_tokens);
    result.kv.mean_occupancy = kv_reserved_.mean() / capacity;
    result.kv.peak_occupancy = kv_reserved_.max() / capacity;
  }
}

void Collector::add_transfers(Result& result) const {
  static constexpr std::array<const char*, 3> kNames{"cache_read", "cache_write", "kv_pull"};
  for (std::size_t i = 0; i < transfers_.size(); ++i) {
    const TransferSums& sums = transfers_[i];
    TransferResult transfer{.name = kNames[i], .count = sums.count, .bytes = sums.bytes};
    if (sums.count > 0) {
      transfer.mean_ms = sums.seconds * 1e3 / static_cast<double>(sums.count);
      transfer.max_ms = sums.longest * 1e3;
    }
    if (sums.seconds > 0) transfer.mean_bandwidth = sums.bytes / sums.seconds;
    result.transfers.push_back(std::move(transfer));
  }
}

Result Collector::result(Seconds run_end) {
  Result result;
  result.records = std::move(records_);
  result.steps = std::move(steps_);
  std::sort(result.records.begin(), result.records.end(),
            [](const RequestRecord& a, const RequestRecord& b) { return a.id < b.id; });
  for (const RequestRecord& r : result.records) {
    result.partial = result.partial || r.outcome == serve::Outcome::kUnfinished;
  }
  summarize_requests(result, facts_.role, facts_.slo, run_end);
  if (facts_.role != serve::Role::kDecodeOnly) add_prefill(result, result.elapsed);
  if (facts_.role != serve::Role::kPrefillOnly) {
    add_decode(result, result.elapsed);
    result.itl_ms =
        pooled_itl_ms(result.steps, measured_window(result.records, facts_.role, result.steady));
  }
  add_kv_and_queues(result, run_end);
  add_transfers(result);
  result.cache = cache_;
  return result;
}

}  // namespace cmsim::metrics
