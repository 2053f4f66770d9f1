#include "cmsim/serve/context_cache.hpp"

namespace cmsim::serve {

ContextCache::ContextCache(std::int64_t capacity_blocks)
    : capacity_(capacity_blocks), nodes_{{0, 0, 0}} {}

void ContextCache::unlink(std::int32_t node) {
  nodes_[nodes_[node].newer].older = nodes_[node].older;
  nodes_[nodes_[node].older].newer = nodes_[node].newer;
}

void ContextCache::push_newest(std::int32_t node) {
  nodes_[node].newer = 0;
  nodes_[node].older = nodes_[0].older;
  nodes_[nodes_[0].older].newer = node;
  nodes_[0].older = node;
}

void ContextCache::touch(BlockId block) {
  const std::int32_t node = index_.at(block);
  unlink(node);
  push_newest(node);
}

void ContextCache::insert(BlockId block) {
  if (capacity_ <= 0) return;
  const auto [it, is_new] = index_.try_emplace(block, 0);
  if (!is_new) {
    unlink(it->second);
    push_newest(it->second);
    return;
  }
  std::int32_t node;
  if (size() > capacity_) {  // reuse the node of the oldest
    node = nodes_[0].newer;
    unlink(node);
    index_.erase(nodes_[node].block);
    ++evicted_;
  } else {
    node = static_cast<std::int32_t>(nodes_.size());
    nodes_.emplace_back();
  }
  nodes_[node].block = block;
  it->second = node;
  push_newest(node);
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
