// Where the experts of one MoE layer live: how many slots every rank of the EP group has, and which
// expert each slot holds. Knows loads only as weights; no tokens, no time.
//
// Invariant: every routed rank has the same number of slots, and every expert at least one slot.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "cmsim/model/architecture.hpp"
#include "cmsim/model/options.hpp"

namespace cmsim::model {

/// Who holds the shared experts.
enum class SharedHosting {
  kEveryRank,       // each rank serves its own tokens' shared experts
  kDedicatedRanks,  // the first `shared_copies` ranks hold a copy each and nothing else
  kNone,            // the architecture has no shared expert
};

struct ExpertLayout {
  int ranks = 0;
  int shared_copies = 0;     // == ranks, or the number of dedicated shared ranks, or 0
  int experts_per_copy = 0;  // shared experts of the model: a copy holds all of them
  SharedHosting shared_hosting = SharedHosting::kEveryRank;
  int redundant = 0;              // slots beyond one per routed expert
  int routed_slots = 0;           // routed experts + redundant
  int routed_ranks = 0;           // ranks that hold routed experts: the last ones
  int routed_slots_per_rank = 0;  // routed_slots / routed_ranks, exactly

  int first_routed_rank() const { return ranks - routed_ranks; }
  /// Expert weights on the rank that holds most, the shared ones included.
  int experts_per_rank() const {
    return shared_hosting == SharedHosting::kEveryRank
               ? routed_slots_per_rank + experts_per_copy
               : std::max(routed_slots_per_rank, experts_per_copy);
  }
};

/// The layout of an EP group of `ranks` dies. -1 derives a number as the published deployments do:
/// EP320 = 32 dedicated shared ranks + 288 slots, one a rank; EP32 = a shared copy + 9 slots a
/// rank. With E routed experts and m = E/8: up to E + m ranks every rank has a shared copy and
/// `redundant` is the smallest r >= m with (E + r) % ranks == 0; beyond, ranks/10 ranks are
/// dedicated to the shared expert and each other rank has one slot. Throws std::invalid_argument
/// saying what fits.
ExpertLayout derive_layout(const Architecture& architecture, int ranks, int shared_copies = -1,
                           int redundant = -1);

/// expert_of_slot[slot]; slot s is on routed rank s / slots_per_rank.
using SlotMap = std::vector<int>;

/// A two-level machine for hierarchical placement; {1, 1} is one flat level.
struct PlacementGroups {
  int expert_groups = 1;
  int nodes = 1;
};

/// Greedy replication of the hottest (load per replica), then longest-first packing with equal
/// slots per rank. With several nodes: groups are packed to nodes first, replicas stay within the
/// node. Ties go to the lower index. Throws std::invalid_argument when the counts do not divide.
SlotMap place_eplb(std::span<const double> load, int slots, int ranks, PlacementGroups groups = {});

/// Slot s holds expert s * experts / slots: neighbours together, redundant slots spread evenly.
SlotMap place_contiguous(int experts, int slots);

/// Share of the traffic per rank when each expert's share is split evenly over its replicas.
std::vector<double> rank_shares(const SlotMap& slots, std::span<const double> shares, int ranks);

}  // namespace cmsim::model
