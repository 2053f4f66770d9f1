// Where the experts of one MoE layer live: how many slots every rank of the EP group has, and which
// expert each slot holds. Knows loads only as weights; no tokens, no time.
//
// Invariant: every expert has at least one slot, and ranks of a kind (dedicated to the shared
// expert or not) differ by one slot at most.
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
  kDedicatedRanks,  // the first `shared_copies` ranks hold a copy each, and no routed expert but
                    // replicas that are allowed there
  kNone,            // the architecture has no shared expert
};

/// How many each of `parts` gets of `total`: whole numbers that differ by one at most, the larger
/// ones spread evenly.
std::vector<int> even_parts(int total, int parts);

/// A rank to be filled.
struct RankRoom {
  int slots = 0;
  int beyond = 0;   // of them, those that other ranks of its kind do not have
  double load = 0;  // that it has anyhow, in the unit of the experts' loads
};

struct ExpertLayout {
  int ranks = 0;
  int shared_copies = 0;     // == ranks, or the number of dedicated shared ranks, or 0
  int experts_per_copy = 0;  // shared experts of the model: a copy holds all of them
  SharedHosting shared_hosting = SharedHosting::kEveryRank;
  int redundant = 0;           // slots beyond one per routed expert
  int routed_slots = 0;        // routed experts + redundant
  int routed_ranks = 0;        // all that are not dedicated to the shared expert: the last ones
  int shared_slots = 0;        // of routed_slots, those on dedicated ranks
  bool computes_only = false;  // the ranks have no tokens of their own: attention is elsewhere

  /// Whether a token's shared expert is on its own rank, so that no row travels for it.
  bool shared_stays() const {
    return shared_hosting == SharedHosting::kEveryRank && !computes_only;
  }

  int first_routed_rank() const { return ranks - routed_ranks; }
  /// Slots of the ranks that are not dedicated: the fewest and the most of one.
  int least_slots() const { return (routed_slots - shared_slots) / routed_ranks; }
  int most_slots() const { return (routed_slots - shared_slots + routed_ranks - 1) / routed_ranks; }
  /// The same of dedicated ranks.
  int least_shared_slots() const {
    return first_routed_rank() == 0 ? 0 : shared_slots / first_routed_rank();
  }
  int most_shared_slots() const {
    const int dedicated = first_routed_rank();
    return dedicated == 0 ? 0 : (shared_slots + dedicated - 1) / dedicated;
  }
  std::vector<int> slots_by_rank() const;
  /// `shared_load`: what the shared expert brings a dedicated rank.
  std::vector<RankRoom> rooms(double shared_load) const;
  /// Expert weights on the rank that holds most, the shared ones included.
  int experts_per_rank() const {
    return shared_hosting == SharedHosting::kEveryRank
               ? most_slots() + experts_per_copy
               : std::max(most_slots(), most_shared_slots() + experts_per_copy);
  }
  bool operator==(const ExpertLayout&) const = default;
};

/// The layout of an EP group of `ranks` dies. -1 derives a number as the published deployments do:
/// EP320 = 32 dedicated shared ranks + 288 slots, one a rank; EP32 = a shared copy + 9 slots a
/// rank. With E routed experts: E/8 are redundant, or as many as give every rank one slot.
/// Ranks are dedicated to the shared expert where a tenth of them can be and every other has a slot
/// to itself; else every rank has a copy. `on` says which ranks may hold the redundant slots; no
/// rank is left empty for it. Throws std::invalid_argument saying what fits.
ExpertLayout derive_layout(const Architecture& architecture, int ranks, int shared_copies = -1,
                           int redundant = -1, RedundantOn on = RedundantOn::kRouted);
inline ExpertLayout derive_layout(const Architecture& architecture, int ranks,
                                  const ExpertOptions& options) {
  return derive_layout(architecture, ranks, options.shared_copies, options.redundant,
                       options.redundant_on);
}

/// expert_of_slot[slot]; slots are numbered by rank.
using SlotMap = std::vector<int>;

/// A two-level machine for hierarchical placement; {1, 1} is one flat level.
struct PlacementGroups {
  int expert_groups = 1;
  int nodes = 1;
};

/// Greedy replication of the hottest (load per replica), then longest-first packing to the lightest
/// rank that has a slot left; the slots of ranks with more than others get the coldest beforehand.
/// With several nodes: groups are packed to nodes first, replicas stay within the node. Ties go to
/// the lower index. Throws std::invalid_argument when experts have no slot or nodes do not divide.
SlotMap place_eplb(std::span<const double> load, std::span<const RankRoom> ranks,
                   PlacementGroups groups = {});
/// The same with `slots` spread evenly over `ranks` empty ranks.
SlotMap place_eplb(std::span<const double> load, int slots, int ranks, PlacementGroups groups = {});

/// Slot s holds expert s * experts / slots: neighbours together, redundant slots spread evenly.
SlotMap place_contiguous(int experts, int slots);

/// Share of the traffic per slot when each expert's share is split evenly over its replicas.
std::vector<double> slot_shares(const SlotMap& slots, std::span<const double> shares);

/// The same summed by rank.
std::vector<double> rank_shares(const SlotMap& slots, std::span<const double> shares,
                                std::span<const int> slots_by_rank);
/// With slots spread evenly over `ranks`.
std::vector<double> rank_shares(const SlotMap& slots, std::span<const double> shares, int ranks);

}  // namespace cmsim::model
