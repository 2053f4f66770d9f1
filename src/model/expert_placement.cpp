#include "cmsim/model/expert_placement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <queue>
#include <stdexcept>
#include <utility>

namespace cmsim::model {
namespace {

// Items by falling weight; equal weights keep their order.
std::vector<int> heaviest_first(std::span<const double> weights) {
  std::vector<int> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return weights[a] > weights[b]; });
  return order;
}

/// Nothing tells one bin with room from another: each has room for one item, and no load.
bool all_alike(std::span<const RankRoom> bins) {
  return std::ranges::all_of(bins, [](const RankRoom& bin) {
    return bin.slots == 0 || (bin.slots == 1 && bin.load == 0);
  });
}

// Longest-first packing: each item goes to the lightest bin that still has room, the coldest ones
// to where some bins have more room than others, before all. As many items as there is room. The
// bins list their items in the order they came; one item a bin keeps them in order.
std::vector<std::vector<int>> pack(std::span<const double> weights,
                                   std::span<const RankRoom> bins) {
  std::vector<std::vector<int>> items(bins.size());
  if (all_alike(bins)) {
    int item = 0;
    for (std::size_t bin = 0; bin < bins.size(); ++bin) {
      if (bins[bin].slots == 1) items[bin].push_back(item++);
    }
    return items;
  }
  using Bin = std::pair<double, std::size_t>;  // weight, index: equal weights, lower index
  std::priority_queue<Bin, std::vector<Bin>, std::greater<>> lightest;
  std::vector<int> order = heaviest_first(weights);
  for (std::size_t bin = 0; bin < bins.size(); ++bin) {
    double weight = bins[bin].load;
    for (int i = 0; i < bins[bin].beyond; ++i) {
      items[bin].push_back(order.back());
      weight += weights[order.back()];
      order.pop_back();
    }
    if (bins[bin].slots > bins[bin].beyond) lightest.emplace(weight, bin);
  }
  for (int item : order) {
    const auto [weight, bin] = lightest.top();
    lightest.pop();
    items[bin].push_back(item);
    if (static_cast<int>(items[bin].size()) < bins[bin].slots) {
      lightest.emplace(weight + weights[item], bin);
    }
  }
  return items;
}

/// `total` slots spread evenly over ranks that have `load` anyhow.
std::vector<RankRoom> even_rooms(int total, int ranks, double load = 0) {
  std::vector<RankRoom> rooms;
  const int least = ranks > 0 ? total / ranks : 0;
  for (const int slots : even_parts(total, ranks)) {
    rooms.push_back({slots, least > 0 ? slots - least : 0, load});
  }
  return rooms;
}

// One slot an expert, then each further slot to the expert with the most load per replica.
// Returns the expert of each slot; `replicas` counts them.
std::vector<int> replicate(std::span<const double> load, int slots, std::vector<int>& replicas) {
  const int experts = static_cast<int>(load.size());
  replicas.assign(experts, 1);
  std::vector<int> expert_of_slot(experts);
  std::iota(expert_of_slot.begin(), expert_of_slot.end(), 0);
  const auto cooler = [](const std::pair<double, int>& a, const std::pair<double, int>& b) {
    return a.first < b.first || (a.first == b.first && a.second > b.second);
  };
  std::priority_queue<std::pair<double, int>, std::vector<std::pair<double, int>>, decltype(cooler)>
      hottest(cooler);
  for (int e = 0; e < experts; ++e) hottest.emplace(load[e], e);
  for (int slot = experts; slot < slots; ++slot) {
    const int expert = hottest.top().second;
    hottest.pop();
    expert_of_slot.push_back(expert);
    hottest.emplace(load[expert] / ++replicas[expert], expert);
  }
  return expert_of_slot;
}

// Experts of each node: groups are packed to nodes by their summed load and stay whole.
std::vector<std::vector<int>> experts_by_node(std::span<const double> load,
                                              PlacementGroups groups) {
  const int group_size = static_cast<int>(load.size()) / groups.expert_groups;
  std::vector<double> group_load(groups.expert_groups);
  for (std::size_t e = 0; e < load.size(); ++e) group_load[e / group_size] += load[e];
  std::vector<std::vector<int>> experts;
  for (const auto& members : pack(group_load, even_rooms(groups.expert_groups, groups.nodes))) {
    auto& node = experts.emplace_back();
    for (int group : members) {
      for (int i = 0; i < group_size; ++i) node.push_back(group * group_size + i);
    }
  }
  return experts;
}

/// Of the redundant slots, those that dedicated ranks hold. No other rank is left empty for them.
int slots_on_dedicated(const ExpertLayout& layout, int experts, RedundantOn on) {
  const int dedicated = layout.first_routed_rank();
  if (dedicated == 0 || on == RedundantOn::kRouted) return 0;
  const int most = std::max(0, layout.routed_slots - std::max(experts, layout.routed_ranks));
  if (on == RedundantOn::kShared) return most;
  // Every rank holds as many experts as the others, shared ones included.
  const std::int64_t shared = std::int64_t{dedicated} * layout.experts_per_copy;
  const std::int64_t even = (layout.routed_slots + shared) * dedicated / layout.ranks - shared;
  return static_cast<int>(std::clamp<std::int64_t>(even, 0, most));
}

/// Copies of the shared expert as published: dedicated ranks where a tenth of all can be dedicated
/// and every other has a slot to itself, else one a rank.
int derive_shared_copies(int experts, int ranks, int redundant) {
  const int slots = experts + (redundant == -1 ? experts / 8 : redundant);
  const int tenth = (ranks + 9) / 10;
  if (ranks - slots < tenth) return ranks;
  return redundant == -1 ? tenth : ranks - slots;
}

}  // namespace

std::vector<int> even_parts(int total, int parts) {
  std::vector<int> result;
  for (std::int64_t i = 0; i < parts; ++i) {
    result.push_back(static_cast<int>((i + 1) * total / parts - i * total / parts));
  }
  return result;
}

std::vector<RankRoom> ExpertLayout::rooms(double shared_load) const {
  std::vector<RankRoom> rooms = even_rooms(shared_slots, first_routed_rank(), shared_load);
  const std::vector<RankRoom> others = even_rooms(routed_slots - shared_slots, routed_ranks);
  rooms.insert(rooms.end(), others.begin(), others.end());
  return rooms;
}

std::vector<int> ExpertLayout::slots_by_rank() const {
  std::vector<int> slots;
  for (const RankRoom& room : rooms(0)) slots.push_back(room.slots);
  return slots;
}

ExpertLayout derive_layout(const Architecture& architecture, int ranks, int shared_copies,
                           int redundant, RedundantOn on) {
  const int experts = architecture.routed_experts;
  if (ranks < 1 || shared_copies < -1 || redundant < -1) {
    throw std::invalid_argument(fmt::format(
        "expert layout: EP {} with {} shared copies and {} redundant experts; allowed: at least 1 "
        "rank, and counts >= 0 (or -1 to derive)",
        ranks, shared_copies, redundant));
  }
  if (experts == 0) {  // nothing to place
    return {.ranks = ranks, .shared_hosting = SharedHosting::kNone, .routed_ranks = ranks};
  }
  const bool has_shared = architecture.shared_experts > 0;
  if (shared_copies == -1) {
    shared_copies = has_shared ? derive_shared_copies(experts, ranks, redundant) : 0;
  }
  if (has_shared ? shared_copies < 1 || shared_copies > ranks : shared_copies != 0) {
    throw std::invalid_argument(fmt::format(
        "expert layout: {} shared copies over {} ranks; allowed: {}", shared_copies, ranks,
        has_shared ? fmt::format("1 to {} (that many dedicated ranks), or {} (one on every rank)",
                                 ranks - 1, ranks)
                   : std::string("0, the model has no shared expert")));
  }
  ExpertLayout layout;
  layout.ranks = ranks;
  layout.shared_copies = shared_copies;
  layout.experts_per_copy = architecture.shared_experts;
  layout.shared_hosting = !has_shared              ? SharedHosting::kNone
                          : shared_copies == ranks ? SharedHosting::kEveryRank
                                                   : SharedHosting::kDedicatedRanks;
  layout.routed_ranks =
      layout.shared_hosting == SharedHosting::kDedicatedRanks ? ranks - shared_copies : ranks;
  const std::int64_t most = std::int64_t{experts} * (layout.routed_ranks - 1);
  const std::int64_t derived = std::max(experts / 8, layout.routed_ranks - experts);
  layout.redundant = redundant == -1 ? static_cast<int>(std::min(derived, most)) : redundant;
  layout.routed_slots = experts + layout.redundant;
  layout.shared_slots = slots_on_dedicated(layout, experts, on);
  const int holders = on == RedundantOn::kRouted ? layout.routed_ranks : ranks;
  if (std::max(layout.most_slots(), layout.most_shared_slots()) > experts) {
    throw std::invalid_argument(
        fmt::format("expert layout: {} redundant experts on EP {}; allowed: at most {}, with which "
                    "each of {} ranks has all {} experts",
                    redundant, ranks, std::int64_t{experts} * (holders - 1), holders, experts));
  }
  return layout;
}

SlotMap place_eplb(std::span<const double> load, std::span<const RankRoom> ranks,
                   PlacementGroups groups) {
  const int experts = static_cast<int>(load.size());
  const auto slots_of = [](std::span<const RankRoom> some) {
    return std::accumulate(some.begin(), some.end(), 0,
                           [](int sum, const RankRoom& rank) { return sum + rank.slots; });
  };
  const int slots = slots_of(ranks), count = static_cast<int>(ranks.size());
  const auto divides = [](int divisor, int number) { return divisor > 0 && number % divisor == 0; };
  if (experts < 1 || slots < experts || count < 1 || !divides(groups.nodes, count) ||
      !divides(groups.expert_groups, experts) || !divides(groups.nodes, groups.expert_groups)) {
    throw std::invalid_argument(
        fmt::format("expert placement: {} experts in {} groups, {} slots, {} ranks, {} nodes; "
                    "allowed: slots >= "
                    "experts, and nodes | ranks, groups | experts, nodes | groups",
                    experts, groups.expert_groups, slots, count, groups.nodes));
  }
  SlotMap expert_of_slot;
  expert_of_slot.reserve(static_cast<std::size_t>(slots));
  const std::size_t of_node = ranks.size() / static_cast<std::size_t>(groups.nodes);
  for (const std::vector<int>& node_experts : experts_by_node(load, groups)) {
    const std::span<const RankRoom> node = ranks.first(of_node);
    ranks = ranks.subspan(of_node);
    std::vector<double> node_load;
    for (int e : node_experts) node_load.push_back(load[e]);
    std::vector<int> replicas;
    const std::vector<int> replica = replicate(node_load, slots_of(node), replicas);
    std::vector<double> weight;
    for (int e : replica) weight.push_back(node_load[e] / replicas[e]);
    for (const auto& rank : pack(weight, node)) {
      for (int item : rank) expert_of_slot.push_back(node_experts[replica[item]]);
    }
  }
  return expert_of_slot;
}

SlotMap place_eplb(std::span<const double> load, int slots, int ranks, PlacementGroups groups) {
  return place_eplb(load, even_rooms(slots, ranks), groups);
}

SlotMap place_contiguous(int experts, int slots) {
  if (experts < 1 || slots < experts) {
    throw std::invalid_argument(
        fmt::format("expert placement: {} experts in {} slots; allowed: at least one slot each",
                    experts, slots));
  }
  SlotMap expert_of_slot(slots);
  for (int s = 0; s < slots; ++s) {
    expert_of_slot[s] = static_cast<int>(static_cast<std::int64_t>(s) * experts / slots);
  }
  return expert_of_slot;
}

std::vector<double> slot_shares(const SlotMap& slots, std::span<const double> shares) {
  std::vector<int> replicas(shares.size());
  for (int expert : slots) ++replicas.at(expert);
  std::vector<double> result;
  result.reserve(slots.size());
  for (int expert : slots) result.push_back(shares[expert] / replicas[expert]);
  return result;
}

std::vector<double> rank_shares(const SlotMap& slots, std::span<const double> shares,
                                std::span<const int> slots_by_rank) {
  const std::vector<double> by_slot = slot_shares(slots, shares);
  std::vector<double> result;
  auto slot = by_slot.begin();
  for (const int here : slots_by_rank) {
    result.push_back(std::accumulate(slot, slot + here, 0.0));
    slot += here;
  }
  return result;
}

std::vector<double> rank_shares(const SlotMap& slots, std::span<const double> shares, int ranks) {
  return rank_shares(slots, shares, even_parts(static_cast<int>(slots.size()), ranks));
}

}  // namespace cmsim::model
