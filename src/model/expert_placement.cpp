#include "cmsim/model/expert_placement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <queue>
#include <stdexcept>
#include <utility>

namespace cmsim::model {
namespace {

// Smallest r >= minimum for which experts + r divides evenly over `ranks`.
int smallest_redundant(int experts, int minimum, int ranks) {
  const int slots_per_rank = (experts + minimum + ranks - 1) / ranks;
  return slots_per_rank * ranks - experts;
}

// Items by falling weight; equal weights keep their order.
std::vector<int> heaviest_first(std::span<const double> weights) {
  std::vector<int> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return weights[a] > weights[b]; });
  return order;
}

// Longest-first packing into bins of equal item count: each item goes to the lightest bin that
// still has room. The bins list their items in the order they came; one item a bin keeps item i in
// bin i.
std::vector<std::vector<int>> pack(std::span<const double> weights, int bins) {
  const std::size_t room = weights.size() / bins;
  std::vector<std::vector<int>> items(bins);
  if (room == 1) {
    for (int bin = 0; bin < bins; ++bin) items[bin].push_back(bin);
    return items;
  }
  using Bin = std::pair<double, int>;  // weight, index: equal weights, lower index
  std::priority_queue<Bin, std::vector<Bin>, std::greater<>> lightest;
  for (int bin = 0; bin < bins; ++bin) lightest.emplace(0.0, bin);
  for (int item : heaviest_first(weights)) {
    const auto [weight, bin] = lightest.top();
    lightest.pop();
    items[bin].push_back(item);
    if (items[bin].size() < room) lightest.emplace(weight + weights[item], bin);
  }
  return items;
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
  for (const auto& members : pack(group_load, groups.nodes)) {
    auto& node = experts.emplace_back();
    for (int group : members) {
      for (int i = 0; i < group_size; ++i) node.push_back(group * group_size + i);
    }
  }
  return experts;
}

[[noreturn]] void refuse_layout(int experts, int ranks, int shared_copies, int redundant,
                                int routed_ranks) {
  throw std::invalid_argument(fmt::format(
      "expert layout: {} routed + {} redundant experts do not fill {} routed ranks evenly (EP {} "
      "with {} shared copies); allowed: redundant = k * {} - {}, at least {}",
      experts, redundant, routed_ranks, ranks, shared_copies, routed_ranks, experts,
      smallest_redundant(experts, 0, routed_ranks)));
}

// How many shared copies a given number of redundant experts leaves room for.
int shared_for_redundant(int experts, int ranks, int redundant, int published) {
  const int slots = experts + redundant;
  const int routed = published == ranks ? ranks : ranks - published;
  if (slots % routed == 0) return published;
  if (slots % ranks == 0) return ranks;
  if (slots < ranks) return ranks - slots;
  return published;  // refused by the caller, with the published numbers in the text
}

}  // namespace

ExpertLayout derive_layout(const Architecture& architecture, int ranks, int shared_copies,
                           int redundant) {
  const int experts = architecture.routed_experts;
  const int spare = experts / 8;
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
    const int published = ranks <= experts + spare ? ranks : ranks / 10;
    if (!has_shared) {
      shared_copies = 0;
    } else if (redundant == -1) {
      shared_copies = published;
    } else {
      shared_copies = shared_for_redundant(experts, ranks, redundant, published);
    }
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
  if (redundant == -1) {
    // One expert a rank needs no more replicas than it has ranks to fill.
    const bool one_each =
        layout.routed_ranks >= experts && layout.shared_hosting != SharedHosting::kEveryRank;
    redundant = smallest_redundant(experts, one_each ? 0 : spare, layout.routed_ranks);
  }
  layout.redundant = redundant;
  layout.routed_slots = experts + redundant;
  if (layout.routed_slots % layout.routed_ranks != 0) {
    refuse_layout(experts, ranks, shared_copies, redundant, layout.routed_ranks);
  }
  layout.routed_slots_per_rank = layout.routed_slots / layout.routed_ranks;
  return layout;
}

SlotMap place_eplb(std::span<const double> load, int slots, int ranks, PlacementGroups groups) {
  const int experts = static_cast<int>(load.size());
  const auto divides = [](int divisor, int number) { return divisor > 0 && number % divisor == 0; };
  if (experts < 1 || slots < experts || !divides(ranks, slots) || !divides(groups.nodes, ranks) ||
      !divides(groups.expert_groups, experts) || !divides(groups.nodes, groups.expert_groups)) {
    throw std::invalid_argument(
        fmt::format("expert placement: {} experts in {} groups, {} slots, {} ranks, {} nodes; "
                    "allowed: slots >= "
                    "experts, and ranks | slots, nodes | ranks, groups | experts, nodes | groups",
                    experts, groups.expert_groups, slots, ranks, groups.nodes));
  }
  SlotMap expert_of_slot;
  expert_of_slot.reserve(slots);
  for (const std::vector<int>& node_experts : experts_by_node(load, groups)) {
    std::vector<double> node_load;
    for (int e : node_experts) node_load.push_back(load[e]);
    std::vector<int> replicas;
    const std::vector<int> replica = replicate(node_load, slots / groups.nodes, replicas);
    std::vector<double> weight;
    for (int e : replica) weight.push_back(node_load[e] / replicas[e]);
    for (const auto& rank : pack(weight, ranks / groups.nodes)) {
      for (int item : rank) expert_of_slot.push_back(node_experts[replica[item]]);
    }
  }
  return expert_of_slot;
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

std::vector<double> rank_shares(const SlotMap& slots, std::span<const double> shares, int ranks) {
  std::vector<int> replicas(shares.size());
  for (int expert : slots) ++replicas.at(expert);
  const std::size_t slots_per_rank = slots.size() / ranks;
  std::vector<double> result(ranks);
  for (std::size_t s = 0; s < slots.size(); ++s) {
    result[s / slots_per_rank] += shares[slots[s]] / replicas[slots[s]];
  }
  return result;
}

}  // namespace cmsim::model
