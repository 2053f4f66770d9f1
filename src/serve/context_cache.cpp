#include "cmsim/serve/context_cache.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace cmsim::serve {

ContextCache::ContextCache(std::int64_t capacity_blocks, Worth worth, CacheTier tier)
    : capacity_(capacity_blocks), worth_(std::move(worth)), tier_(tier) {}

void ContextCache::use_node(Node& node, const Use& use) {
  Resident& resident = node.resident;
  resident.tokens_before = use.tokens_before;
  resident.tokens = use.tokens;
  const CacheEvictionView view{
      use.now, ++uses_, ++resident.uses, use.tokens_before, use.tokens, last_evicted_, tier_};
  node.standing = {std::max(node.standing.worth, worth_(view)), uses_};
}

void ContextCache::touch(BlockId block, const Use& use) {
  use_node(nodes_[static_cast<std::size_t>(index_.at(block))], use);
}

std::optional<ContextCache::Resident> ContextCache::insert(BlockId block, const Use& use,
                                                           std::int64_t uses_before) {
  std::optional<Resident> gone;
  if (capacity_ <= 0) return gone;
  const auto [it, is_new] = index_.try_emplace(block, 0);
  if (!is_new) {
    Node& node = nodes_[static_cast<std::size_t>(it->second)];
    node.resident.uses = std::max(node.resident.uses, uses_before);
    use_node(node, use);
    return gone;
  }
  if (size() > capacity_) {
    it->second = evict();
    gone = nodes_[static_cast<std::size_t>(it->second)].resident;
  } else {
    it->second = static_cast<std::int32_t>(nodes_.size());
    nodes_.emplace_back();
  }
  Node& node = nodes_[static_cast<std::size_t>(it->second)];
  node = {{block, uses_before, 0, 0}, {std::numeric_limits<double>::lowest(), 0}};
  use_node(node, use);
  heap_.push_back({node.standing, it->second});
  std::push_heap(heap_.begin(), heap_.end(), goes_later);
  return gone;
}

std::int32_t ContextCache::evict() {
  for (;;) {
    std::pop_heap(heap_.begin(), heap_.end(), goes_later);
    Place& place = heap_.back();
    const Node& node = nodes_[static_cast<std::size_t>(place.node)];
    if (place.standing == node.standing) break;
    place.standing = node.standing;  // used since
    std::push_heap(heap_.begin(), heap_.end(), goes_later);
  }
  const std::int32_t found = heap_.back().node;
  heap_.pop_back();
  const Node& node = nodes_[static_cast<std::size_t>(found)];
  last_evicted_ = node.standing.worth;
  index_.erase(node.resident.block);
  ++evicted_;
  return found;
}

std::int32_t cpu_of_block(BlockId block, std::int32_t cpus) {
  std::uint64_t key = block + 0x9e3779b97f4a7c15ULL;  // ids may be small integers: mix them first
  key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9ULL;
  key = (key ^ (key >> 27)) * 0x94d049bb133111ebULL;
  key ^= key >> 31;
  std::int64_t chosen = -1, candidate = 0;
  while (candidate < cpus) {
    chosen = candidate;
    key = key * 2862933555777941757ULL + 1;
    candidate = static_cast<std::int64_t>(static_cast<double>(chosen + 1) *
                                          (2147483648.0 / static_cast<double>((key >> 33) + 1)));
  }
  return static_cast<std::int32_t>(chosen);
}

}  // namespace cmsim::serve
