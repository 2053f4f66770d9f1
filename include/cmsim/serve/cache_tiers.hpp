// One context cache of two tiers: what its DRAM and its SSDs hold, and what goes between them.
// Internal to serve/.
//
// A block that is read from SSD comes into the DRAM of the CPU that holds it, from where dies read
// it; CachePlacement says whether it stays. Its copy on SSD stays in any case, so that DRAM may
// give it up for nothing. A block is found on SSD from the end of its write on. What is asked for
// while it is on its way is not read twice. Blocks that move together are dealt to at most
// kFlowsPerRequest flows; the volume of a flow is that half the CPUs of the cache away from the one
// that holds its first block, so that it goes over the wire as it does to a volume of the network.
// Without SSDs (has_ssd()) there is DRAM alone, and nothing moves.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cmsim/serve/cluster_state.hpp"
#include "cmsim/serve/context_cache.hpp"
#include "cmsim/serve/ssd_volumes.hpp"

namespace cmsim::serve {

constexpr std::int32_t kFlowsPerRequest = 4;

class CacheTiers {
 public:
  /// A block as its prompt uses it.
  struct Part {
    BlockId block = 0;
    ContextCache::Use use;
  };
  using Callback = coll::Runtime::Callback;

  /// In blocks.
  struct Capacity {
    std::int64_t dram = 0, ssd = 0;
  };
  /// What is passed by reference outlives it; `changed` runs when something has come to a tier.
  CacheTiers(ClusterState& state, const Policies& policies, SsdVolumes& volumes,
             const std::vector<std::int32_t>& cpus, const Capacity& capacity, Callback changed);

  bool has_room() const { return dram_.capacity() > 0 || ssd_.capacity() > 0; }
  bool has_ssd() const { return ssd_.capacity() > 0; }
  /// The faster of the tiers that hold it; kNowhere: none does.
  CacheTier find(BlockId block) const;
  /// The CPU whose DRAM holds a block, or would.
  std::int32_t holder(BlockId block) const;

  /// A held block is used by a prompt.
  void touch(const Part& part);
  /// Where a block goes that is about to be written.
  CacheTier place(const Part& part) const;
  /// These have been written into DRAM, of which those for SSD go on; held ones are touched. In
  /// order, and as many as `tiers`.
  void store(std::span<const Part> parts, std::span<const CacheTier> tiers);
  /// Brings blocks on SSD, at least one, that a prompt is about to read into DRAM; `done` runs when
  /// all are there.
  void fetch(std::span<const Part> parts, Callback done);
  /// Brings blocks on SSD that are expected to be asked for.
  void prefetch(std::span<const Part> parts);

  const ContextCache& dram() const { return dram_; }
  const ContextCache& ssd() const { return ssd_; }
  /// Of its SSDs.
  SsdCounts counts() const;

 private:
  struct Outgoing {
    Part part;
    std::int64_t uses = 0;
    bool demoted = false;  // or written as soon as it was computed
  };
  struct Coming {
    std::int64_t flow = 0;
    std::int64_t uses = 0;
    bool stays = false;  // in DRAM
  };
  struct Flow {
    std::vector<Part> parts;
    std::vector<Callback> waiting;
  };

  CacheTier decide(CacheOccasion occasion, const Part& part, std::int64_t uses) const;
  Bytes bytes_of(const Part& part) const {
    return part.use.tokens * state_.config.kv_bytes_per_token;
  }
  /// The CPU at which the volume of a flow is whose first block is this one.
  std::int32_t volume(BlockId block) const;
  void use(const Part& part);
  void keep_in_dram(const Part& part, std::int64_t uses_before);
  void give_up(const ContextCache::Resident& gone);
  /// Starts the writes of outgoing_.
  void write_out();
  void finish_write(const std::vector<Outgoing>& blocks);
  /// Starts to read the blocks, each noted in coming_ but for its flow.
  void bring(std::span<const Part> parts);
  void finish_read(std::int64_t number);

  ClusterState& state_;
  const Policies& policies_;
  SsdVolumes& volumes_;
  const std::vector<std::int32_t>& cpus_;
  Callback changed_;
  ContextCache dram_, ssd_;
  SsdCounts counts_;
  std::vector<Outgoing> outgoing_;
  std::int64_t last_flow_ = 0;
  std::unordered_map<std::int64_t, Flow> flows_;  // reads under way
  std::unordered_map<BlockId, Coming> coming_;    // what they bring
  std::unordered_set<BlockId> prefetched_;        // and not asked for since
};

}  // namespace cmsim::serve
