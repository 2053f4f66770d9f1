// The index of one tier of the context cache: which KV blocks it holds.
//
// Blocks are keyed by prefix-chained ids (an equal id means equal content and an equal prefix).
// Each has a worth, asked for at every use; the block of the least goes first, of equal ones the
// one not used for longest. A chain is used from its end, so that a prefix outlives what hangs on
// it. It moves no bytes: CacheTraffic does. Invariant: size() <= capacity(), and the heap holds
// each resident block once, at or below its worth.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cmsim/serve/policy_slots.hpp"

namespace cmsim::serve {

using BlockId = std::uint64_t;

class ContextCache {
 public:
  /// What keeping a block is worth, see CacheEviction.
  using Worth = std::function<double(const CacheEvictionView&)>;
  /// A use of a block: when, and where it stands in its prompt.
  struct Use {
    Seconds now = 0;
    Tokens tokens_before = 0, tokens = 0;
  };
  /// A block, how often it has been used and where it stood at its last use.
  struct Resident {
    BlockId block = 0;
    std::int64_t uses = 0;
    Tokens tokens_before = 0, tokens = 0;
  };

  ContextCache(std::int64_t capacity_blocks, Worth worth, CacheTier tier = CacheTier::kDram);

  bool contains(BlockId block) const { return index_.count(block) != 0; }
  /// A resident block is used.
  void touch(BlockId block, const Use& use);
  /// Stores a block (or touches it) that was used `uses_before` times; returns what is evicted when
  /// there is no room. No-op at capacity 0.
  std::optional<Resident> insert(BlockId block, const Use& use, std::int64_t uses_before = 0);
  /// Of a resident block.
  std::int64_t uses(BlockId block) const { return node_of(block).resident.uses; }

  std::int64_t capacity() const { return capacity_; }
  std::int64_t size() const { return static_cast<std::int64_t>(index_.size()); }
  std::int64_t evicted() const { return evicted_; }

 private:
  struct Standing {
    double worth = 0;
    std::uint64_t used = 0;  // number of its last use
    auto operator<=>(const Standing&) const = default;
  };
  struct Node {
    Resident resident;
    Standing standing;
  };
  struct Place {  // in the heap: as the block stood when it was put there
    Standing standing;
    std::int32_t node;
  };
  static bool goes_later(const Place& a, const Place& b) { return a.standing > b.standing; }

  const Node& node_of(BlockId block) const {
    return nodes_[static_cast<std::size_t>(index_.at(block))];
  }
  void use_node(Node& node, const Use& use);
  /// Takes the least worth block out; returns its node, to be used again.
  std::int32_t evict();

  std::int64_t capacity_;
  Worth worth_;
  CacheTier tier_;
  std::uint64_t uses_ = 0;
  double last_evicted_ = 0;
  std::int64_t evicted_ = 0;
  std::vector<Node> nodes_;
  std::vector<Place> heap_;  // the least first; brought up to date when it is to be evicted
  std::unordered_map<BlockId, std::int32_t> index_;
};

/// The CPU that holds a block: jump consistent hashing (Lamping and Veach, 2014), by which a change
/// of the number of CPUs moves the least possible share of blocks.
std::int32_t cpu_of_block(BlockId block, std::int32_t cpus);

}  // namespace cmsim::serve
