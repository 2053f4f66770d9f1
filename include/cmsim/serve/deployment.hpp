// How the supernode is divided among prefill, decode and caching (scenario pointers
// /deployment/...). Counts of NPUs are packages; EP degrees are dies. Defaults are the published
// deployment (P §5.1).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "cmsim/base/units.hpp"
#include "cmsim/coll/runtime.hpp"
#include "cmsim/serve/role.hpp"

namespace cmsim::serve {

struct PrefillSpec {
  int instances = 6;
  int npus_per_instance = 16;
  int ep = 32;                            // dies of an instance: one expert-parallel group
  Tokens max_num_batched_tokens = 16384;  // per NPU; an instance's budget is this times its NPUs
  // Dies that share the heads of a sequence; 0 = as many as the scale-up plane joins, up to
  // one a head.
  int attention_tp = 0;
  /// New tokens of one batch of an instance at most.
  Tokens token_budget() const { return max_num_batched_tokens * npus_per_instance; }
};

struct DecodeSpec {
  int instances = 1;
  int npus_per_instance = 160;
  int ep = 320;           // dies of an instance that have experts
  int max_num_seqs = 96;  // per NPU that attends
  // Attention-FFN disaggregation: NPUs of an instance that attend, and those that have the experts;
  // 0 = all do both.
  int attention_npus = 0, expert_npus = 0;
  int attention_tp = 1;    // dies that share the heads of the same sequences: a data-parallel rank
  bool splits_kv = false;  // and the tokens of their KV (decode context parallelism)
  // Colocated serving: prompts are computed beside the sequences (chunked prefill), so many tokens
  // of both in an iteration at most, per NPU; 0 = prefill has instances of its own.
  Tokens max_num_batched_tokens = 0;

  bool is_mixed() const { return max_num_batched_tokens > 0; }
  /// Below /deployment.
  const char* key() const { return is_mixed() ? "mixed" : "decode"; }
  /// Of a rank of a mixed instance.
  Tokens token_budget_of_rank() const {
    return max_num_batched_tokens * attending_npus() / ranks();
  }
  bool is_disaggregated() const { return attention_npus > 0 && expert_npus > 0; }
  int attending_npus() const { return is_disaggregated() ? attention_npus : npus_per_instance; }
  /// Data-parallel ranks of an instance.
  int ranks() const {
    return (is_disaggregated() ? ep / expert_npus * attention_npus : ep) / attention_tp;
  }
  std::int64_t slots_per_instance() const { return std::int64_t{max_num_seqs} * attending_npus(); }
  std::int64_t slots() const { return instances * slots_per_instance(); }
  /// Of one of the `ranks` dies of an instance that attend: those of an NPU are spread over its
  /// dies, each with one more or less.
  std::int32_t slots_on(std::int64_t rank, std::int64_t ranks) const {
    const std::int64_t all = slots_per_instance();
    return static_cast<std::int32_t>(all * (rank + 1) / ranks - all * rank / ranks);
  }
  std::int32_t most_slots_on_a_rank() const {
    return static_cast<std::int32_t>((slots_per_instance() + ranks() - 1) / ranks());
  }
};

inline constexpr std::array kKvPlanes{coll::Plane::kRdma, coll::Plane::kUb};
inline constexpr std::array kCachePlanes{coll::Plane::kUb, coll::Plane::kVpc, coll::Plane::kRdma};

struct KvSpec {
  coll::Plane plane = coll::Plane::kRdma;  // which network decode pulls the KV of a prompt over
};

/// Whose DRAM a prompt is looked up in: all that is given, from any instance; or that of the nodes
/// on which its prefill instance lies.
enum class CacheScope { kPooled, kLocal };

/// SSDs behind the DRAM of the cache, a volume at every node. No figure of the machine's is
/// published: rates and latency are assumptions, of the order of one data-centre NVMe drive
/// (PCIe 4.0).
struct SsdSpec {
  Bytes capacity_per_node = 0;                                 // 0: there is no such tier
  BytesPerSecond read_bandwidth = 7e9, write_bandwidth = 4e9;  // of a node's volume
  Seconds latency = 200e-6;                                    // of an access, beside the wire
  coll::Plane plane = coll::Plane::kVpc;  // from a volume to the DRAM of a CPU (P §4.4: EVS)
};

struct CacheSpec {
  bool enabled = true;
  int block_size = 512;     // tokens
  Bytes dram_per_node = 0;  // of each node's DRAM given to the cache
  CacheScope scope = CacheScope::kPooled;
  coll::Plane plane = coll::Plane::kUb;  // which network cached blocks are read over
  double reuse = -1;                     // imposed hit rate in [0,1] by token; < 0 = from block ids
  SsdSpec ssd;

  /// No content is modelled where a hit rate is imposed.
  bool has_ssd() const { return enabled && reuse < 0 && ssd.capacity_per_node > 0; }
};

/// What it costs that NPUs change their role: until the last request has left, then loading of
/// weights and rebuilding of the groups.
struct RoleSwitchSpec {
  Seconds load = 5;      // warm start from the pooled model cache (P Table 2)
  Seconds rebuild = 35;  // assumption: with the above 40 s, as measured of another deployment
  // After which those that still decode are preempted; infinite: they run to their end.
  Seconds drain = std::numeric_limits<double>::infinity();
};

/// DRAM that takes the KV of preempted requests (vLLM's swap space).
struct SwapSpec {
  Bytes dram_per_node = 0;               // 0: there is none, KV is dropped
  coll::Plane plane = coll::Plane::kUb;  // from a die to a CPU of its node, and back to any die
};

struct DeploymentSpec {
  // Each with the instances and caches below, behind one router. With one, what the machine has is
  // one pool.
  int supernodes = 1;
  PrefillSpec prefill;
  DecodeSpec decode;  // or what both prefill and decode on the same dies have, /deployment/mixed
  KvSpec kv;
  CacheSpec cache;
  SwapSpec swap;
  std::optional<RoleSwitchSpec> role_switch;  // none: instances keep their roles
  // Reads, and as many writes, that a die has on the wire at once (serve/copy_queues.hpp).
  // Assumption; two fill the port of a die, for that of a CPU is 0.8 as wide (P Table 1's machine).
  int copies_per_die = 2;

  /// Of all supernodes, at the start.
  int prefill_instances() const { return supernodes * prefill.instances; }
  int decode_instances() const { return supernodes * decode.instances; }
  /// NPUs that change their role together: a whole number of instances of either.
  int npus_of_block() const {
    return std::max(prefill.npus_per_instance, decode.npus_per_instance);
  }
  int prefill_blocks() const {
    return prefill.instances * prefill.npus_per_instance / npus_of_block();
  }
  int decode_blocks() const {
    return decode.instances * decode.npus_per_instance / npus_of_block();
  }
  /// Where an instance may be, over all supernodes.
  int prefill_places() const { return places(prefill.instances, prefill.npus_per_instance); }
  int decode_places() const { return places(decode.instances, decode.npus_per_instance); }
  std::int64_t decode_slots() const { return supernodes * decode.slots(); }

 private:
  int places(int instances, int npus) const {
    if (!role_switch) return supernodes * instances;
    return supernodes * (prefill_blocks() + decode_blocks()) * (npus_of_block() / npus);
  }
};

struct MtpSpec {
  int draft_tokens = 1;     // 0 = MTP off
  double acceptance = 0.7;  // of each draft token, given those before it were accepted
};

}  // namespace cmsim::serve
