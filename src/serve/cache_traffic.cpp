#include "cmsim/serve/cache_traffic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cmsim/serve/policy_guard.hpp"

namespace cmsim::serve {
namespace {

CacheTiers::Capacity capacity_in_blocks(const ClusterState& state, const Placement& placement,
                                        std::size_t number) {
  const CacheSpec& cache = state.config.deployment.cache;
  if (!cache.enabled) return {};
  const Bytes of_block = cache.block_size * state.config.kv_bytes_per_token;
  return {placement.cache_blocks(number, of_block),
          cache.has_ssd() ? placement.ssd_blocks(number, of_block) : 0};
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
      policies_(policies),
      volumes_(state, placement_.cpus_per_node),
      copies_(state, copiers(placement_.computing()), state.config.deployment.copies_per_die),
      next_die_(placement_.computing().size(), 0) {
  caches_.reserve(placement_.caches.size());  // callbacks know where they are
  for (std::size_t i = 0; i < placement_.caches.size(); ++i) {
    caches_.emplace_back(state, policies, volumes_, placement_.caches[i].cpus,
                         capacity_in_blocks(state, placement_, i), [this] { tell_of_tiers(); });
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

CacheTiers::Part CacheTraffic::part(RequestIndex index, std::int32_t number) const {
  const Tokens before = Tokens{number} * state_.config.deployment.cache.block_size;
  const Tokens prompt = state_.trace.rows[static_cast<std::size_t>(index)].prompt_tokens;
  return {block(index, number), {state_.now(), before, block_tokens(prompt, number)}};
}

std::vector<CacheTiers::Part> CacheTraffic::on_ssd(RequestIndex index, std::int32_t instance,
                                                   std::int32_t blocks) const {
  std::vector<CacheTiers::Part> parts;
  for (std::int32_t b = blocks; b-- > 0;) {
    if (cache(instance).find(block(index, b)) == CacheTier::kSsd) parts.push_back(part(index, b));
  }
  return parts;
}

CacheHit CacheTraffic::look_up(RequestIndex index, std::int32_t instance) const {
  const CacheSpec& spec = state_.config.deployment.cache;
  CacheHit hit;
  // A policy may ask for one that it has kept the view of.
  if (!spec.enabled || !state_.requests.is_open(static_cast<std::size_t>(index))) return hit;
  const Request& request = state_.request(index);
  if (imposed()) {
    hit.tokens = static_cast<Tokens>(spec.reuse * static_cast<double>(request.context));
    hit.tokens = std::min(hit.tokens, request.context - 1);
    hit.blocks = ceil_div(hit.tokens, spec.block_size);
    return hit;
  }
  const std::int32_t blocks = block_count(index);
  const CacheTiers& tiers = cache(instance);
  Tokens held = 0;
  for (; hit.blocks < blocks; ++hit.blocks) {
    const CacheTier tier = tiers.find(block(index, hit.blocks));
    if (tier == CacheTier::kNowhere) break;
    const Tokens until = std::min(Tokens{hit.blocks + 1} * spec.block_size,
                                  std::min(request.record.prompt_tokens, request.context - 1));
    if (tier == CacheTier::kSsd) {
      ++hit.ssd_blocks;
      hit.ssd_tokens += until - held;
    }
    held = until;
  }
  hit.tokens = held;
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
    for (std::int32_t b = hit.blocks; b-- > 0;) cache(instance).touch(part(index, b));
  }
  CacheEvent event;
  event.at = state_.now();
  event.lookup_blocks = blocks;
  event.hit_blocks = hit.blocks;
  event.lookup_tokens = state_.request(index).context;
  event.hit_tokens = hit.tokens;
  event.ssd_hit_blocks = hit.ssd_blocks;
  event.ssd_hit_tokens = hit.ssd_tokens;
  if (cache(instance).has_ssd()) count();
  add_totals(event);
  state_.listeners.emit(&Listener::on_cache, event);
}

void CacheTraffic::add_totals(CacheEvent& event) const {
  for (const Supernode& one : state_.supernodes) {
    event.stored_blocks += one.stored_blocks;
    event.evicted_blocks += one.evicted_blocks;
    event.ssd += one.ssd;
  }
}

void CacheTraffic::count() {
  supernode_.stored_blocks = supernode_.evicted_blocks = 0;
  supernode_.ssd = {};
  for (const CacheTiers& one : caches_) {
    supernode_.stored_blocks += one.dram().size();
    supernode_.evicted_blocks += one.dram().evicted();
    supernode_.ssd += one.counts();
  }
}

void CacheTraffic::tell_of_tiers() {
  count();
  CacheEvent event;
  event.at = state_.now();
  add_totals(event);
  state_.listeners.emit(&Listener::on_cache, event);
}

void CacheTraffic::prefetch(const RequestView& request, std::int32_t instance,
                            const PrefillInstanceView& queue) {
  const CacheTiers& tiers = cache(instance);
  if (!tiers.has_ssd() || tiers.dram().capacity() == 0) return;
  const auto index = static_cast<RequestIndex>(request.id);
  const CacheHit hit = look_up(index, instance);
  if (hit.ssd_tokens == 0) return;
  const CachePrefetchView seen{state_.now(),
                               request,
                               queue.waiting_requests,
                               queue.waiting_tokens,
                               hit.tokens - hit.ssd_tokens,
                               hit.ssd_tokens};
  const Tokens wanted = call_policy<CachePrefetch>(policies_, seen);
  if (wanted < 0 || wanted > hit.ssd_tokens) {
    refuse<CachePrefetch>(policies_, seen,
                          fmt::format("chose {} of the {} tokens on SSD", wanted, hit.ssd_tokens));
  }
  std::vector<CacheTiers::Part> parts = on_ssd(index, instance, hit.blocks);
  Tokens tokens = 0;
  auto first = parts.end();
  while (first != parts.begin() && tokens < wanted) tokens += (--first)->use.tokens;
  if (first != parts.end()) cache(instance).prefetch(std::span(first, parts.end()));
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
  const hw::Endpoint holder = hw::cpu(cache(instance).holder(block));
  const coll::Op op = kind == TransferKind::kCacheRead ? coll::Op::kRead : coll::Op::kWrite;
  copies_.start(copier, {hw::die(die), holder, bytes, state_.config.deployment.cache.plane, op},
                kind, std::move(done));
}

void CacheTraffic::Dealt::add(BlockId block, Bytes of_block) {
  const auto flow = static_cast<std::size_t>(blocks % kFlowsPerRequest);
  if (blocks < kFlowsPerRequest) first[flow] = block;
  bytes[flow] += of_block;
  ++blocks;
}

void CacheTraffic::start(const Dealt& dealt, std::int32_t instance, TransferKind kind,
                         const coll::Runtime::Callback& done) {
  for (std::int32_t f = 0; f < dealt.flows(); ++f) {
    const auto flow = static_cast<std::size_t>(f);
    start_flow(instance, dealt.first[flow], dealt.bytes[flow], kind, done);
  }
}

void CacheTraffic::read(RequestIndex index, std::int32_t instance, const CacheHit& hit,
                        coll::Runtime::Callback done) {
  Dealt from_dram, from_ssd;
  for (std::int32_t b = 0; b < hit.blocks; ++b) {
    const BlockId id = block(index, b);
    const bool on_ssd = hit.ssd_blocks > 0 && cache(instance).find(id) == CacheTier::kSsd;
    (on_ssd ? from_ssd : from_dram)
        .add(id, block_tokens(hit.tokens, b) * state_.config.kv_bytes_per_token);
  }
  state_.request(index).pending_reads = from_dram.flows() + from_ssd.flows();
  const auto arrived = [this, index, done = std::move(done)] {
    if (--state_.request(index).pending_reads == 0) done();
  };
  start(from_dram, instance, TransferKind::kCacheRead, arrived);
  if (from_ssd.blocks == 0) return;
  cache(instance).fetch(on_ssd(index, instance, hit.blocks), [this, instance, from_ssd, arrived] {
    start(from_ssd, instance, TransferKind::kCacheRead, arrived);
  });
}

void CacheTraffic::write(RequestIndex index, std::int32_t instance) {
  const Request& request = state_.request(index);
  if (!imposed() && !cache(instance).has_room()) return;
  const std::int32_t blocks = block_count(index);
  std::vector<CacheTier> tiers(static_cast<std::size_t>(blocks), CacheTier::kDram);
  Dealt missing;
  for (std::int32_t b = request.hit_blocks; b < blocks; ++b) {
    const CacheTiers::Part written = part(index, b);
    if (!imposed()) {
      if (cache(instance).find(written.block) != CacheTier::kNowhere) continue;
      CacheTier& tier = tiers[static_cast<std::size_t>(b)];
      tier = cache(instance).place(written);
      if (tier == CacheTier::kNowhere) continue;
    }
    missing.add(written.block, written.use.tokens * state_.config.kv_bytes_per_token);
  }
  if (missing.blocks == 0) return;
  const std::int32_t job = acquire_job({index, instance, missing.flows(), std::move(tiers)});
  start(missing, instance, TransferKind::kCacheWrite, [this, job] { finish_write(job); });
}

std::int32_t CacheTraffic::acquire_job(WriteJob job) {
  if (free_jobs_.empty()) {
    jobs_.push_back(std::move(job));
    return static_cast<std::int32_t>(jobs_.size()) - 1;
  }
  const std::int32_t number = free_jobs_.back();
  free_jobs_.pop_back();
  jobs_[static_cast<std::size_t>(number)] = std::move(job);
  return number;
}

void CacheTraffic::finish_write(std::int32_t job_index) {
  WriteJob& job = jobs_[static_cast<std::size_t>(job_index)];
  if (--job.pending > 0) return;
  const RequestIndex index = job.request;
  CacheTiers& written = cache(job.instance);
  std::vector<CacheTier> tiers = std::move(job.tiers);
  free_jobs_.push_back(job_index);
  if (imposed()) return;
  std::ranges::reverse(tiers);
  std::vector<CacheTiers::Part> parts;
  for (std::int32_t b = block_count(index); b-- > 0;) parts.push_back(part(index, b));
  written.store(parts, tiers);
  count();
}

}  // namespace cmsim::serve
