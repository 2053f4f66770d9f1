#include "cmsim/serve/cache_traffic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "cmsim/serve/policy_guard.hpp"

namespace cmsim::serve {
namespace {

std::int64_t capacity_in_blocks(const ClusterState& state, const Placement& placement,
                                std::size_t number) {
  const CacheSpec& cache = state.config.deployment.cache;
  if (!cache.enabled) return 0;
  return placement.cache_blocks(number, cache.block_size * state.config.kv_bytes_per_token);
}

double worth(const Policies& policies, const CacheEvictionView& view) {
  const double decided = call_policy<CacheEviction>(policies, view);
  if (!std::isfinite(decided)) {
    refuse<CacheEviction>(policies, view, fmt::format("said that it is worth {}", decided));
  }
  return decided;
}

int copiers(std::span<const InstancePlace> instances) {
  std::size_t dies = 0;
  for (const InstancePlace& instance : instances) dies += instance.dies.size();
  return static_cast<int>(dies);
}

std::int32_t ceil_div(std::int64_t a, std::int64_t b) {
  return static_cast<std::int32_t>((a + b - 1) / b);
}

}  // namespace

CacheTraffic::CacheTraffic(ClusterState& state, Supernode& supernode, const Policies& policies)
    : state_(state),
      supernode_(supernode),
      placement_(supernode.placement),
      copies_(state, copiers(placement_.computing()), state.config.deployment.copies_per_die),
      next_die_(placement_.computing().size(), 0) {
  for (std::size_t i = 0; i < placement_.caches.size(); ++i) {
    caches_.emplace_back(
        capacity_in_blocks(state, placement_, i),
        [&policies](const CacheEvictionView& view) { return worth(policies, view); });
  }
  const CacheSpec& cache = state.config.deployment.cache;
  if (state.trace.has_blocks() && !imposed()) combine_ = cache.block_size / state.trace.block_size;
  combine_ = std::max(combine_, 1);
}

std::int32_t CacheTraffic::block_count(RequestIndex index) const {
  const CacheSpec& cache = state_.config.deployment.cache;
  if (!cache.enabled) return 0;
  const work::TraceRow& row = state_.trace.rows[static_cast<std::size_t>(index)];
  if (imposed()) return ceil_div(row.prompt_tokens, cache.block_size);
  return ceil_div(row.block_count, combine_);
}

BlockId CacheTraffic::block(RequestIndex index, std::int32_t number) const {
  if (imposed()) {  // no content is modelled: only a place is needed
    return (static_cast<BlockId>(index) << 20) + static_cast<BlockId>(number);
  }
  // Ids are prefix-chained, so the last block of a group names the whole group.
  const auto ids = state_.trace.blocks(static_cast<std::size_t>(index));
  const std::size_t last =
      static_cast<std::size_t>(number + 1) * static_cast<std::size_t>(combine_);
  return ids[std::min(last, ids.size()) - 1];
}

Tokens CacheTraffic::block_tokens(Tokens total, std::int32_t number) const {
  const Tokens size = state_.config.deployment.cache.block_size;
  return std::clamp<Tokens>(total - number * size, 0, size);
}

ContextCache::Use CacheTraffic::use(RequestIndex index, std::int32_t number) const {
  const Tokens before = Tokens{number} * state_.config.deployment.cache.block_size;
  return {state_.now(), before,
          block_tokens(state_.trace.rows[static_cast<std::size_t>(index)].prompt_tokens, number)};
}

CacheHit CacheTraffic::look_up(RequestIndex index, std::int32_t instance) const {
  const Request& request = state_.request(index);
  const CacheSpec& spec = state_.config.deployment.cache;
  CacheHit hit;
  if (!spec.enabled) return hit;
  if (imposed()) {
    hit.tokens = static_cast<Tokens>(spec.reuse * static_cast<double>(request.context));
    hit.tokens = std::min(hit.tokens, request.context - 1);
    hit.blocks = ceil_div(hit.tokens, spec.block_size);
    return hit;
  }
  const std::int32_t blocks = block_count(index);
  const ContextCache& held_blocks = cache(instance);
  while (hit.blocks < blocks && held_blocks.contains(block(index, hit.blocks))) ++hit.blocks;
  const Tokens held =
      std::min<Tokens>(Tokens{hit.blocks} * spec.block_size, request.record.prompt_tokens);
  hit.tokens = std::min(held, request.context - 1);
  return hit;
}

Tokens CacheTraffic::most_cached(RequestIndex index) const {
  Tokens most = 0;
  for (std::size_t i = 0; i < caches_.size(); ++i) {
    most = std::max(most, look_up(index, static_cast<std::int32_t>(i)).tokens);
  }
  return most;
}

void CacheTraffic::take(RequestIndex index, std::int32_t instance, const CacheHit& hit) {
  const std::int32_t blocks = block_count(index);
  if (blocks == 0) return;
  if (!imposed()) {
    for (std::int32_t b = hit.blocks; b-- > 0;)
      cache(instance).touch(block(index, b), use(index, b));
  }
  CacheEvent event;
  event.at = state_.now();
  event.lookup_blocks = blocks;
  event.hit_blocks = hit.blocks;
  event.lookup_tokens = state_.request(index).context;
  event.hit_tokens = hit.tokens;
  for (const Supernode& one : state_.supernodes) {
    event.stored_blocks += one.stored_blocks;
    event.evicted_blocks += one.evicted_blocks;
  }
  state_.listeners.emit(&Listener::on_cache, event);
}

void CacheTraffic::start_flow(std::int32_t instance, BlockId block, Bytes bytes, TransferKind kind,
                              coll::Runtime::Callback done) {
  std::size_t& next = next_die_[static_cast<std::size_t>(instance)];
  const std::vector<std::int32_t>& dies =
      placement_.computing()[static_cast<std::size_t>(instance)].dies;
  const std::int32_t die = dies[next];
  // All instances that compute have as many.
  const std::size_t copier = static_cast<std::size_t>(instance) * dies.size() + next;
  next = (next + 1) % dies.size();
  const std::vector<std::int32_t>& cpus = placement_.caches[placement_.cache_of(instance)].cpus;
  const hw::Endpoint holder = hw::cpu(
      cpus[static_cast<std::size_t>(cpu_of_block(block, static_cast<std::int32_t>(cpus.size())))]);
  const coll::Op op = kind == TransferKind::kCacheRead ? coll::Op::kRead : coll::Op::kWrite;
  copies_.start(copier, {hw::die(die), holder, bytes, state_.config.deployment.cache.plane, op},
                kind, std::move(done));
}

void CacheTraffic::read(RequestIndex index, std::int32_t instance, const CacheHit& hit,
                        coll::Runtime::Callback done) {
  std::array<Bytes, kFlowsPerRequest> bytes{};
  const std::int32_t flows = std::min(hit.blocks, kFlowsPerRequest);
  for (std::int32_t b = 0; b < hit.blocks; ++b) {
    bytes[static_cast<std::size_t>(b % flows)] +=
        block_tokens(hit.tokens, b) * state_.config.kv_bytes_per_token;
  }
  state_.request(index).pending_reads = flows;
  for (std::int32_t f = 0; f < flows; ++f) {
    start_flow(instance, block(index, f), bytes[static_cast<std::size_t>(f)],
               TransferKind::kCacheRead, [this, index, done] {
                 if (--state_.request(index).pending_reads == 0) done();
               });
  }
}

void CacheTraffic::write(RequestIndex index, std::int32_t instance) {
  const Request& request = state_.request(index);
  if (!imposed() && cache(instance).capacity() == 0) return;
  const std::int32_t blocks = block_count(index);
  std::array<Bytes, kFlowsPerRequest> bytes{};
  std::array<BlockId, kFlowsPerRequest> first{};
  std::int32_t missing = 0;
  for (std::int32_t b = request.hit_blocks; b < blocks; ++b) {
    const BlockId id = block(index, b);
    if (!imposed() && cache(instance).contains(id)) continue;
    const auto flow = static_cast<std::size_t>(missing % kFlowsPerRequest);
    if (missing < kFlowsPerRequest) first[flow] = id;
    bytes[flow] += block_tokens(request.record.prompt_tokens, b) * state_.config.kv_bytes_per_token;
    ++missing;
  }
  if (missing == 0) return;
  const std::int32_t flows = std::min(missing, kFlowsPerRequest);
  const std::int32_t job = acquire_job({index, instance, flows});
  for (std::int32_t f = 0; f < flows; ++f) {
    start_flow(instance, first[static_cast<std::size_t>(f)], bytes[static_cast<std::size_t>(f)],
               TransferKind::kCacheWrite, [this, job] { finish_write(job); });
  }
}

std::int32_t CacheTraffic::acquire_job(const WriteJob& job) {
  if (free_jobs_.empty()) {
    jobs_.push_back(job);
    return static_cast<std::int32_t>(jobs_.size()) - 1;
  }
  const std::int32_t number = free_jobs_.back();
  free_jobs_.pop_back();
  jobs_[static_cast<std::size_t>(number)] = job;
  return number;
}

void CacheTraffic::finish_write(std::int32_t job_index) {
  WriteJob& job = jobs_[static_cast<std::size_t>(job_index)];
  if (--job.pending > 0) return;
  const RequestIndex index = job.request;
  ContextCache& written = cache(job.instance);
  free_jobs_.push_back(job_index);
  if (imposed()) return;
  for (std::int32_t b = block_count(index); b-- > 0;)
    written.insert(block(index, b), use(index, b));
  supernode_.stored_blocks = supernode_.evicted_blocks = 0;
  for (const ContextCache& one : caches_) {
    supernode_.stored_blocks += one.size();
    supernode_.evicted_blocks += one.evicted();
  }
}

}  // namespace cmsim::serve
