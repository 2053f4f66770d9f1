#include "cmsim/serve/placement.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "cmsim/base/error.hpp"
#include "cmsim/hw/analysis.hpp"

namespace cmsim::serve {
namespace {

[[noreturn]] void fail(const std::string& pointer, const std::string& message) {
  throw ConfigError({"", 0, "/deployment/" + pointer}, message);
}

void check_at_least(const std::string& pointer, std::int64_t value, std::int64_t least) {
  if (value < least) {
    fail(pointer, "found " + std::to_string(value) + ", must be at least " + std::to_string(least));
  }
}

/// Groups of dies that share heads fill an instance.
void check_tp(const std::string& role, int tp, int dies) {
  if (tp == 0 || dies % tp == 0) return;
  fail(role + "/attention/tp", "found " + std::to_string(tp) + ", which does not divide the " +
                                   std::to_string(dies) + " dies of an instance that attend");
}

/// Attention and experts together are the instance.
void check_disaggregation(const DecodeSpec& decode) {
  const auto found = [](int npus) { return npus > 0 ? std::to_string(npus) : std::string("none"); };
  if (decode.attention_npus == 0 && decode.expert_npus == 0) return;
  if (decode.attention_npus == 0 || decode.expert_npus == 0) {
    const bool attends = decode.attention_npus > 0;
    fail(std::string("decode/") + (attends ? "experts" : "attention") + "/npus",
         std::string("missing: with ") + (attends ? "attention" : "experts") +
             " on NPUs of their own the others need a number too");
  }
  if (decode.attention_npus + decode.expert_npus == decode.npus_per_instance) return;
  fail("decode/npus_per_instance",
       "found " + std::to_string(decode.npus_per_instance) + ", allowed is " +
           std::to_string(decode.attention_npus + decode.expert_npus) + ": attention on " +
           found(decode.attention_npus) + " and experts on " + found(decode.expert_npus));
}

/// With one, the machine is whatever it is.
void check_supernodes(const DeploymentSpec& deployment, const hw::Platform& platform) {
  if (deployment.supernodes == 1 || deployment.supernodes <= platform.supernodes) return;
  fail("supernodes", "found " + std::to_string(deployment.supernodes) + ", the platform has " +
                         std::to_string(platform.supernodes));
}

/// Instances of either role fill blocks of NPUs, so that a block can have the other.
void check_role_switch(const DeploymentSpec& deployment, Role role) {
  if (!deployment.role_switch) return;
  if (role != Role::kAll) {
    fail("role_switch", "needs prefill and decode instances: /workload/role all and no mixed ones");
  }
  const int block = deployment.npus_of_block();
  const auto check = [&](const char* name, int instances, int npus) {
    if (block % npus != 0) {
      fail(std::string(name) + "/npus_per_instance",
           "found " + std::to_string(npus) + ", which does not divide the " +
               std::to_string(block) + " NPUs that change their role together");
    }
    if (instances * npus % block != 0) {
      fail(std::string(name) + "/instances",
           "found " + std::to_string(instances) + ", allowed are multiples of " +
               std::to_string(block / npus) + ": " + std::to_string(block) +
               " NPUs change their role together");
    }
  };
  check("prefill", deployment.prefill.instances, deployment.prefill.npus_per_instance);
  check("decode", deployment.decode.instances, deployment.decode.npus_per_instance);
}

/// An instance is one expert-parallel group, so the EP degree is its number of dies.
void check_ep(const std::string& role, const std::string& npus_key, int npus, int ep,
              int dies_per_npu) {
  const int dies = npus * dies_per_npu;
  if (ep == dies) return;
  std::string message =
      "an EP degree of " + std::to_string(ep) + " does not fit " + std::to_string(npus) +
      " NPUs an instance: an instance is one EP group, so " + "ep must be " + npus_key + " x " +
      std::to_string(dies_per_npu) + " dies = " + std::to_string(dies);
  if (ep > 0 && ep % dies_per_npu == 0) {
    message += " (or set " + npus_key + " to " + std::to_string(ep / dies_per_npu) + ")";
  }
  fail(role + "/ep", message);
}

/// The first of `ends` that the first of them does not reach over the plane.
std::optional<hw::Endpoint> unreached(const hw::Platform& platform, const hw::Topology& topology,
                                      hw::Plane plane, std::span<const hw::Endpoint> ends) {
  const std::vector<hw::Hops> hops =
      hw::hops_from(platform, topology, plane, topology.vertex_of(ends.front()));
  const auto found = std::ranges::find_if(
      ends, [&](hw::Endpoint end) { return hops[topology.vertex_of(end)].least < 0; });
  return found == ends.end() ? std::nullopt : std::optional(*found);
}

/// Whether any of `ends` reaches any other, over a plane that could be another one.
void check_plane(const std::string& pointer, hw::Plane plane, std::span<const hw::Plane> allowed,
                 const hw::Platform& platform, const hw::Topology& topology,
                 std::span<const hw::Endpoint> ends) {
  const auto end = unreached(platform, topology, plane, ends);
  if (!end) return;
  std::string others;
  for (const hw::Plane other : allowed) {
    if (unreached(platform, topology, other, ends)) continue;
    others += (others.empty() ? "\"" : ", \"") + std::string(hw::to_string(other)) + "\"";
  }
  fail(pointer, "found \"" + std::string(hw::to_string(plane)) +
                    "\", by which there is no way from " + hw::to_string(ends.front()) + " to " +
                    hw::to_string(*end) + " on this platform" + hw::with_faults(platform) + "; " +
                    (others.empty() ? "nor is there by another plane" : "allowed is " + others));
}

/// Dies that compute prompts and CPUs reach each other by the plane of the cache, prefill and
/// decode dies by that of the KV.
void check_planes(const DeploymentSpec& deployment, const hw::Platform& platform,
                  const hw::Topology& topology, const Placement& placement, Role role) {
  const bool caches = deployment.cache.enabled && computes_prompts(role);
  const bool pulls = role == Role::kAll;
  const bool swaps = has_decode_instances(role) && deployment.swap.dram_per_node > 0;
  if (!caches && !pulls && !swaps) return;
  const auto dies = [](std::span<const InstancePlace> instances) {
    std::vector<hw::Endpoint> ends;
    for (const InstancePlace& instance : instances) {
      for (const std::int32_t die : instance.dies) ends.push_back(hw::die(die));
    }
    return ends;
  };
  std::vector<hw::Endpoint> all = dies(placement.prefill);
  std::ranges::copy(dies(placement.decode), std::back_inserter(all));
  if (caches) {
    std::vector<hw::Endpoint> users = dies(placement.computing()), ends{users.front()};
    for (const CacheStore& cache : placement.caches) {
      for (const int cpu : cache.cpus) ends.push_back(hw::cpu(cpu));
    }
    std::ranges::copy(users, std::back_inserter(ends));
    check_plane("cache/plane", deployment.cache.plane, kCachePlanes, platform, topology, ends);
    if (deployment.cache.has_ssd()) {
      const auto cpus = std::ranges::count(ends, hw::EndpointKind::kCpu, &hw::Endpoint::kind);
      check_plane("cache/ssd/plane", deployment.cache.ssd.plane, kCachePlanes, platform, topology,
                  std::span(ends).subspan(1, static_cast<std::size_t>(cpus)));
    }
  }
  if (swaps) {
    std::vector<hw::Endpoint> ends = dies(placement.decode);
    for (const InstancePlace& instance : placement.decode) {
      for (const std::int32_t cpu : instance.cpus) {
        if (cpu >= 0) ends.push_back(hw::cpu(cpu));
      }
    }
    check_plane("swap/plane", deployment.swap.plane, kCachePlanes, platform, topology, ends);
  }
  if (pulls) check_plane("kv/plane", deployment.kv.plane, kKvPlanes, platform, topology, all);
}

/// The nodes of an instance may have lost every CPU.
void check_stores(const Placement& placement, const hw::Platform& platform) {
  const auto without = std::ranges::find_if(
      placement.caches, [](const CacheStore& cache) { return cache.cpus.empty(); });
  if (without == placement.caches.end()) return;
  fail("cache/scope", "found \"local\", but the nodes of instance " +
                          std::to_string(without - placement.caches.begin()) +
                          " have no CPU whose DRAM could hold its cache" +
                          hw::with_faults(platform) + "; allowed is \"pooled\"");
}

/// What a supernode has to give.
struct Share {
  std::vector<std::int32_t> dies, cpus;
};

/// All of the machine, where there is one.
std::vector<Share> shares_of(const hw::Platform& platform, int supernodes) {
  const std::vector<std::int32_t> dies = hw::whole_dies(platform), cpus = hw::whole_cpus(platform);
  if (supernodes == 1) return {{dies, cpus}};
  std::vector<Share> shares(static_cast<std::size_t>(supernodes));
  const int nodes = platform.nodes_per_supernode();
  const auto deal = [&](std::span<const std::int32_t> parts, int of_node,
                        std::vector<std::int32_t> Share::*field) {
    for (const std::int32_t part : parts) {
      const int supernode = part / (nodes * of_node);
      if (supernode < supernodes)
        (shares[static_cast<std::size_t>(supernode)].*field).push_back(part);
    }
  };
  deal(dies, platform.npus_per_node * platform.dies_per_npu, &Share::dies);
  deal(cpus, platform.cpus_per_node, &Share::cpus);
  return shares;
}

/// Of what every node gives, the share of so many of its CPUs.
Bytes share_of(std::size_t cpus, Bytes per_node, const hw::Platform& platform) {
  const auto own = static_cast<Bytes>(cpus);
  const Bytes of_node = platform.cpus_per_node;
  return own / of_node * per_node + own % of_node * per_node / of_node;
}

CacheStore pooled_cache(const CacheSpec& spec, const hw::Platform& platform,
                        const std::vector<std::int32_t>& own) {
  return {share_of(own.size(), spec.dram_per_node, platform),
          share_of(own.size(), spec.ssd.capacity_per_node, platform), own};
}

CacheStore local_cache(const CacheSpec& spec, const hw::Platform& platform, const Share& share,
                       std::span<const std::int32_t> dies) {
  const std::int32_t dies_of_node = platform.npus_per_node * platform.dies_per_npu;
  CacheStore cache;
  for (const std::int32_t cpu : share.cpus) {
    const std::int32_t node = cpu / platform.cpus_per_node;
    const auto own =
        std::ranges::count(dies, node, [&](std::int32_t die) { return die / dies_of_node; });
    if (own == 0) continue;
    cache.cpus.push_back(cpu);
    cache.dram += spec.dram_per_node / platform.cpus_per_node * own / dies_of_node;
    cache.ssd += spec.ssd.capacity_per_node / platform.cpus_per_node * own / dies_of_node;
  }
  return cache;
}

/// CPUs of its node that are left, taken in turn by the ranks.
std::vector<std::int32_t> cpus_beside(const InstancePlace& place, const hw::Platform& platform,
                                      std::span<const std::int32_t> cpus) {
  std::map<std::int32_t, std::vector<std::int32_t>> of_node;
  for (const std::int32_t cpu : cpus) of_node[platform.node_of_cpu(cpu)].push_back(cpu);
  std::vector<std::int32_t> beside;
  std::map<std::int32_t, std::size_t> turn;  // by node
  for (std::size_t first = 0; first < place.dies.size();
       first += static_cast<std::size_t>(place.dies_per_rank)) {
    const std::int32_t node = platform.node_of_die(place.dies[first]);
    const std::vector<std::int32_t>& own = of_node[node];
    beside.push_back(own.empty() ? -1 : own[turn[node]++ % own.size()]);
  }
  return beside;
}

Placement place_on(const Share& share, const DeploymentSpec& deployment,
                   const hw::Platform& platform, Role role) {
  Placement placement;
  placement.cpus_per_node = platform.cpus_per_node;
  std::span<const std::int32_t> left = share.dies;
  const auto take = [&](int instances, int npus, int dies_per_rank) {
    std::vector<InstancePlace> places;
    for (int i = 0; i < instances; ++i) {
      // A deployment that does not fit is refused elsewhere.
      const std::size_t size =
          std::min(left.size(), static_cast<std::size_t>(npus * platform.dies_per_npu));
      places.push_back(
          {{left.begin(), left.begin() + static_cast<std::ptrdiff_t>(size)}, dies_per_rank});
      left = left.subspan(size);
    }
    return places;
  };
  const PrefillSpec& prefill = deployment.prefill;
  const DecodeSpec& decode = deployment.decode;
  if (has_prefill_instances(role)) {
    const int places = deployment.prefill_places() / deployment.supernodes;
    placement.prefill = take(places, prefill.npus_per_instance, 1);
  }
  if (deployment.role_switch) left = share.dies;  // any block may have either role
  if (has_decode_instances(role)) {
    const int places = deployment.decode_places() / deployment.supernodes;
    placement.decode = take(places, decode.npus_per_instance, decode.attention_tp);
    if (deployment.swap.dram_per_node > 0) {
      for (InstancePlace& place : placement.decode) {
        place.cpus = cpus_beside(place, platform, share.cpus);
      }
    }
  }
  if (deployment.role_switch) {
    const auto leave = [](std::span<InstancePlace> places) {
      for (InstancePlace& place : places) place.serves = false;
    };
    const auto idle = placement.decode.size() - static_cast<std::size_t>(decode.instances);
    leave(std::span(placement.prefill).subspan(static_cast<std::size_t>(prefill.instances)));
    leave(std::span(placement.decode).first(idle));
  }
  const CacheSpec& cache = deployment.cache;
  if (cache.scope == CacheScope::kPooled || !computes_prompts(role)) {
    placement.caches.push_back(pooled_cache(cache, platform, share.cpus));
    return placement;
  }
  for (const InstancePlace& instance : placement.computing()) {
    placement.caches.push_back(local_cache(cache, platform, share, instance.dies));
  }
  return placement;
}

}  // namespace

std::vector<std::vector<std::int32_t>> dies_of(std::span<const Placement> supernodes,
                                               std::vector<InstancePlace> Placement::*instances) {
  std::vector<std::vector<std::int32_t>> dies;
  for (const Placement& supernode : supernodes) {
    for (const InstancePlace& instance : supernode.*instances) dies.push_back(instance.dies);
  }
  return dies;
}

std::vector<Placement> place(const DeploymentSpec& deployment, const hw::Platform& platform,
                             Role role) {
  std::vector<Placement> supernodes;
  for (const Share& share : shares_of(platform, deployment.supernodes)) {
    supernodes.push_back(place_on(share, deployment, platform, role));
  }
  return supernodes;
}

void check_deployment(const DeploymentSpec& deployment, const hw::Platform& platform, Role role) {
  const PrefillSpec& prefill = deployment.prefill;
  const DecodeSpec& decode = deployment.decode;
  const CacheSpec& cache = deployment.cache;
  std::int64_t npus = 0;
  if (has_prefill_instances(role)) {
    check_at_least("prefill/instances", prefill.instances, 1);
    check_at_least("prefill/npus_per_instance", prefill.npus_per_instance, 1);
    check_at_least("prefill/max_num_batched_tokens", prefill.max_num_batched_tokens, 1);
    npus += std::int64_t{prefill.instances} * prefill.npus_per_instance;
  }
  if (has_decode_instances(role)) {
    const std::string key = decode.key();
    check_at_least(key + "/instances", decode.instances, 1);
    check_at_least(key + "/npus_per_instance", decode.npus_per_instance, 1);
    check_at_least(key + "/max_num_seqs", decode.max_num_seqs, 1);
    npus += std::int64_t{decode.instances} * decode.npus_per_instance;
  }
  check_supernodes(deployment, platform);
  const std::vector<Share> shares = shares_of(platform, deployment.supernodes);
  const auto whole =
      static_cast<int>(
          std::ranges::min(shares, {}, [](const Share& share) { return share.dies.size(); })
              .dies.size()) /
      platform.dies_per_npu;
  if (npus > whole) {
    std::string message = "the instances need " + std::to_string(npus) + " NPUs (";
    if (has_prefill_instances(role)) {
      message += std::to_string(prefill.instances) + " x " +
                 std::to_string(prefill.npus_per_instance) + " prefill";
    }
    if (role == Role::kAll) message += " + ";
    if (has_decode_instances(role)) {
      message += std::to_string(decode.instances) + " x " +
                 std::to_string(decode.npus_per_instance) + " " + decode.key();
    }
    const int there = platform.npus() / (deployment.supernodes > 1 ? platform.supernodes : 1);
    message += deployment.supernodes > 1 ? "), each supernode has " : "), the platform has ";
    message += std::to_string(there);
    if (whole < there) {
      message += ", of which the faults leave " + std::to_string(whole) + hw::with_faults(platform);
    }
    throw ConfigError({"", 0, "/deployment"}, message);
  }
  check_role_switch(deployment, role);
  if (has_prefill_instances(role)) {
    check_tp("prefill", prefill.attention_tp, prefill.npus_per_instance * platform.dies_per_npu);
    check_ep("prefill", "npus_per_instance", prefill.npus_per_instance, prefill.ep,
             platform.dies_per_npu);
  }
  if (has_decode_instances(role)) {
    check_disaggregation(decode);
    check_tp(decode.key(), decode.attention_tp, decode.attending_npus() * platform.dies_per_npu);
    const bool apart = decode.is_disaggregated();
    check_ep(decode.key(), apart ? "experts/npus" : "npus_per_instance",
             apart ? decode.expert_npus : decode.npus_per_instance, decode.ep,
             platform.dies_per_npu);
  }
  check_at_least("cache/block_size", cache.block_size, 1);
  check_at_least("cache/dram_per_node", cache.dram_per_node, 0);
  if (cache.enabled && cache.dram_per_node > platform.dram_per_node) {
    fail("cache/dram_per_node",
         "found " + format_quantity(static_cast<double>(cache.dram_per_node), Dimension::kBytes) +
             ", a node has " +
             format_quantity(static_cast<double>(platform.dram_per_node), Dimension::kBytes));
  }
  const Bytes cached = cache.enabled && computes_prompts(role) ? cache.dram_per_node : 0;
  if (deployment.swap.dram_per_node > platform.dram_per_node - cached) {
    fail(
        "swap/dram_per_node",
        "found " +
            format_quantity(static_cast<double>(deployment.swap.dram_per_node), Dimension::kBytes) +
            ", a node has " +
            format_quantity(static_cast<double>(platform.dram_per_node), Dimension::kBytes) +
            ", of which the context cache takes " +
            format_quantity(static_cast<double>(cached), Dimension::kBytes));
  }
  const bool caches = cache.enabled && computes_prompts(role);
  if (caches && std::ranges::any_of(shares, [](const Share& one) { return one.cpus.empty(); })) {
    fail("cache/enabled",
         "the faults leave no CPU whose DRAM could hold the cache" + hw::with_faults(platform));
  }
  if (caches || role == Role::kAll || deployment.swap.dram_per_node > 0) {
    const hw::Topology topology(platform);
    for (const Placement& supernode : place(deployment, platform, role)) {
      if (caches) check_stores(supernode, platform);
      check_planes(deployment, platform, topology, supernode, role);
    }
  }
  if (cache.reuse > 1) fail("cache/reuse", "found a hit rate above 1; allowed is 0 to 1");
}

void check_cache_blocks(const CacheSpec& cache, const work::Trace& trace) {
  if (!cache.enabled || cache.reuse >= 0 || !trace.has_blocks()) return;
  if (cache.block_size >= trace.block_size && cache.block_size % trace.block_size == 0) return;
  fail("cache/block_size", "found " + std::to_string(cache.block_size) +
                               " tokens, but the blocks of the trace have " +
                               std::to_string(trace.block_size) +
                               ": the cache's block must be a whole multiple of them");
}

int ConnectionMap::prefill_tp_rank(int decode_dp_rank, int decode_tp_rank) const {
  const std::int64_t ratio = std::max(1, prefill_tp / decode_tp);
  const std::int64_t group_id = decode_dp_rank * ratio / decode_dp;
  return static_cast<int>((group_id * decode_tp + decode_tp_rank) % prefill_tp);
}

}  // namespace cmsim::serve
