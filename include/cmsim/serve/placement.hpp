// Where the roles sit on the machine, and which prefill die serves which decode die.
//
// Instances are contiguous: prefill instances first, then decode instances, over the NPUs that are
// whole, from die 0 up; every CPU that is left belongs to the cache. Pure functions of the
// deployment; counts are dies unless named.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cmsim/hw/platform.hpp"
#include "cmsim/serve/deployment.hpp"
#include "cmsim/work/trace.hpp"

namespace cmsim::serve {

/// Memory in which blocks are looked up together.
struct CacheStore {
  Bytes dram = 0, ssd = 0;
  std::vector<std::int32_t> cpus;  // whose DRAM it is, and at which the SSDs are
};

/// Dies that iterate together.
struct InstancePlace {
  std::vector<std::int32_t> dies;  // rank by rank
  int dies_per_rank = 1;
  bool serves = true;                   // at the start; where roles change another may later
  std::vector<std::int32_t> cpus = {};  // by rank, of its node: takes its swapped KV; -1 = is lost

  /// The first of a rank's, which moves its KV.
  std::int32_t die(int rank) const { return dies[static_cast<std::size_t>(rank * dies_per_rank)]; }
};

struct Placement {
  std::vector<InstancePlace> prefill;
  std::vector<InstancePlace> decode;  // or mixed
  std::vector<CacheStore> caches;     // one of all CPUs that are left, or one an instance
  std::int32_t cpus_per_node = 1;

  /// Instances that compute prompts, and so read and write caches.
  const std::vector<InstancePlace>& computing() const { return prefill.empty() ? decode : prefill; }
  /// In which the prompts of a computing instance are looked up.
  std::size_t cache_of(int instance) const {
    return caches.size() == 1 ? 0 : static_cast<std::size_t>(instance);
  }
  std::int64_t cache_blocks(std::size_t cache, Bytes bytes_of_block) const {
    return bytes_of_block > 0 ? caches[cache].dram / bytes_of_block : 0;
  }
  std::int64_t ssd_blocks(std::size_t cache, Bytes bytes_of_block) const {
    return bytes_of_block > 0 ? caches[cache].ssd / bytes_of_block : 0;
  }
};

/// The dies of every instance of one kind, as step models are asked about them.
std::vector<std::vector<std::int32_t>> dies_of(std::span<const Placement> supernodes,
                                               std::vector<InstancePlace> Placement::*instances);

/// Of each supernode, all alike but for what faults took. Instances the role does not use take no
/// dies. A CPU has its share of a node's cache DRAM and SSD, and of that a local cache as much as
/// the instance has of the node's dies.
std::vector<Placement> place(const DeploymentSpec& deployment, const hw::Platform& platform,
                             Role role);

/// Throws ConfigError (with the JSON pointer, no file) when the deployment does not fit the
/// machine: more NPUs than there are, an EP degree other than the dies of an instance, more cache
/// DRAM than a node has, a plane by which KV or cached blocks have no way, values out of range.
void check_deployment(const DeploymentSpec& deployment, const hw::Platform& platform, Role role);

/// Throws ConfigError when blocks of the trace cannot be combined to blocks of the cache: the
/// cache's block must be a whole multiple of the trace's. A cache that is off, has an imposed hit
/// rate, or a trace without blocks always passes.
void check_cache_blocks(const CacheSpec& cache, const work::Trace& trace);

/// The published connection map (P §4): which tensor-parallel rank of the prefill instance a decode
/// rank pulls KV from.
///   ratio = prefill_tp / decode_tp        group_size = decode_dp / ratio
///   group_id = floor(decode_dp_rank / group_size)
///   prefill_tp_rank = group_id * decode_tp + decode_tp_rank
/// When decode_dp / ratio is not whole, group_size is the exact quotient: group_id =
/// floor(decode_dp_rank * ratio / decode_dp), so that groups differ by one rank at most and no
/// prefill rank idles needlessly. A ratio below 1 counts as 1, the rank is then taken modulo
/// prefill_tp.
struct ConnectionMap {
  int prefill_tp = 1, decode_tp = 1, decode_dp = 1;
  int prefill_tp_rank(int decode_dp_rank, int decode_tp_rank) const;
};

}  // namespace cmsim::serve
