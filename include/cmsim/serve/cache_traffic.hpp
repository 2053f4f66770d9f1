// The context cache at work: look-ups, and the flows that read and write its blocks. Internal to
// serve/.
//
// A request's blocks lie on many CPUs (consistent hashing). To bound the number of flows a
// request's blocks are dealt in turn to at most kFlowsPerRequest flows; a flow carries the bytes of
// its blocks and runs between the CPU that holds the first of them and one die of the instance, the
// flows of an instance taking its sequence-parallel dies in turn. Totals are exact; CPUs are loaded
// alike on average, because holders are hashed. A block is found from the end of its write on, not
// while it is still being computed. A trace without block ids gives no hits and no writes, unless a
// hit rate is imposed. Blocks on SSD are brought into DRAM first (CacheTiers), and what goes to SSD
// is written into DRAM before.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "cmsim/serve/cache_tiers.hpp"
#include "cmsim/serve/copy_queues.hpp"
#include "cmsim/serve/ssd_volumes.hpp"

namespace cmsim::serve {

struct CacheHit {
  std::int32_t blocks = 0;
  Tokens tokens = 0;  // at most context - 1: the last token is always computed
  // Of them, those on SSD.
  std::int32_t ssd_blocks = 0;
  Tokens ssd_tokens = 0;
};

class CacheTraffic {
 public:
  /// Instances are numbered on their supernode.
  CacheTraffic(ClusterState& state, Supernode& supernode, const Policies& policies);

  /// The longest leading run of the request's blocks that the instance's cache holds now. With an
  /// imposed hit rate: floor(reuse * context) tokens, not rounded to blocks.
  CacheHit look_up(RequestIndex index, std::int32_t instance) const;
  /// Tokens of the longest that any cache holds.
  Tokens most_cached(RequestIndex index) const;
  /// Takes a hit: refreshes its blocks and emits a CacheEvent.
  void take(RequestIndex index, std::int32_t instance, const CacheHit& hit);
  /// Starts the flows that bring `hit` to the dies of `instance`; `done` runs once, after the last.
  void read(RequestIndex index, std::int32_t instance, const CacheHit& hit,
            coll::Runtime::Callback done);
  /// The request begins to wait at `instance`, in whose queue `queue` others are: brings what of
  /// its prompt CachePrefetch says from SSD to DRAM.
  void prefetch(const RequestView& request, std::int32_t instance,
                const PrefillInstanceView& queue);
  /// Starts the flows that write back the blocks not held yet, from the dies of `instance`.
  void write(RequestIndex index, std::int32_t instance);

 private:
  struct WriteJob {
    RequestIndex request;
    std::int32_t instance;
    std::int32_t pending;
    std::vector<CacheTier> tiers = {};  // by block
  };
  bool imposed() const { return state_.config.deployment.cache.reuse >= 0; }
  /// Blocks of the prompt in the cache's block size; 0 when the cache knows nothing of the request.
  std::int32_t block_count(RequestIndex index) const;
  BlockId block(RequestIndex index, std::int32_t number) const;
  Tokens block_tokens(Tokens total, std::int32_t number) const;
  CacheTiers::Part part(RequestIndex index, std::int32_t number) const;
  /// What lies on SSD of the first blocks of a prompt, the last first.
  std::vector<CacheTiers::Part> on_ssd(RequestIndex index, std::int32_t instance,
                                       std::int32_t blocks) const;
  /// Blocks dealt in turn to the flows that read or write them.
  struct Dealt {
    std::array<Bytes, kFlowsPerRequest> bytes{};
    std::array<BlockId, kFlowsPerRequest> first{};
    std::int32_t blocks = 0;

    void add(BlockId block, Bytes of_block);
    std::int32_t flows() const { return std::min(blocks, kFlowsPerRequest); }
  };
  void start(const Dealt& dealt, std::int32_t instance, TransferKind kind,
             const coll::Runtime::Callback& done);
  /// Of what its caches hold, after a change.
  void count();
  void tell_of_tiers();
  void add_totals(CacheEvent& event) const;
  /// One flow between the next die of the instance and the CPU that holds `block`.
  void start_flow(std::int32_t instance, BlockId block, Bytes bytes, TransferKind kind,
                  coll::Runtime::Callback done);
  std::int32_t acquire_job(WriteJob job);
  CacheTiers& cache(std::int32_t instance) { return caches_[placement_.cache_of(instance)]; }
  const CacheTiers& cache(std::int32_t instance) const {
    return caches_[placement_.cache_of(instance)];
  }
  void finish_write(std::int32_t job);

  ClusterState& state_;
  Supernode& supernode_;
  const Placement& placement_;
  const Policies& policies_;
  SsdVolumes volumes_;
  std::vector<CacheTiers> caches_;  // as Placement::caches
  std::int32_t combine_ = 1;        // blocks of the trace in one of the cache
  CopyQueues copies_;
  std::vector<std::size_t> next_die_;
  std::vector<WriteJob> jobs_;
  std::vector<std::int32_t> free_jobs_;
};

}  // namespace cmsim::serve
