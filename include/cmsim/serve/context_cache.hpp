// The index of the context cache: which KV blocks the DRAM of the nodes holds, and where.
//
// Blocks are keyed by prefix-chained ids (an equal id means equal content and an equal prefix). One
// LRU list over the whole DRAM tier; a chain is refreshed from its end, so that a prefix outlives
// what hangs on it. It moves no bytes: CacheTraffic does. Invariant: size() <= capacity(), and the
// LRU list holds each resident block once.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace cmsim::serve {

using BlockId = std::uint64_t;

class ContextCache {
 public:
  explicit ContextCache(std::int64_t capacity_blocks);

  bool contains(BlockId block) const { return index_.count(block) != 0; }
  /// Makes a resident block the most recently used one.
  void touch(BlockId block);
  /// Stores a block (or touches it), evicting the least recently used ones. No-op at capacity 0.
  void insert(BlockId block);

  std::int64_t capacity() const { return capacity_; }
  std::int64_t size() const { return static_cast<std::int64_t>(index_.size()); }
  std::int64_t evicted() const { return evicted_; }

 private:
  struct Node {
    BlockId block;
    std::int32_t newer, older;  // indices into nodes_
  };
  void unlink(std::int32_t node);
  void push_newest(std::int32_t node);

  std::int64_t capacity_;
  std::int64_t evicted_ = 0;
  std::vector<Node> nodes_;  // node 0 is the sentinel: its `older` is the newest block
  std::unordered_map<BlockId, std::int32_t> index_;
};

/// The CPU that holds a block: jump consistent hashing (Lamping and Veach, 2014), by which a change
/// of the number of CPUs moves the least possible share of blocks.
std::int32_t cpu_of_block(BlockId block, std::int32_t cpus);

}  // namespace cmsim::serve
