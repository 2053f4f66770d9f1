#include "cmsim/model/expert_moves.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

namespace cmsim::model {
namespace {

using Experts = std::vector<int>;

/// Those of each rank, in order and each once.
std::vector<Experts> experts_by_rank(const SlotMap& slots, std::span<const int> slots_by_rank) {
  std::vector<Experts> by_rank;
  auto first = slots.begin();
  for (const int count : slots_by_rank) {
    Experts& experts = by_rank.emplace_back(first, first + count);
    std::ranges::sort(experts);
    experts.erase(std::unique(experts.begin(), experts.end()), experts.end());
    first += count;
  }
  return by_rank;
}

}  // namespace

ExpertMoves moves_between(const SlotMap& from, const SlotMap& to,
                          std::span<const int> slots_by_rank) {
  const auto before = experts_by_rank(from, slots_by_rank);
  const auto after = experts_by_rank(to, slots_by_rank);
  const auto experts =
      static_cast<std::size_t>(std::max(std::ranges::max(from), std::ranges::max(to))) + 1;
  std::vector<double> fetched(experts, 0), holders(experts, 0);
  ExpertMoves moves;
  for (std::size_t rank = 0; rank < before.size(); ++rank) {
    Experts lacking;
    std::ranges::set_difference(after[rank], before[rank], std::back_inserter(lacking));
    for (const int expert : lacking) fetched[static_cast<std::size_t>(expert)] += 1;
    for (const int expert : before[rank]) holders[static_cast<std::size_t>(expert)] += 1;
    moves.experts += static_cast<int>(lacking.size());
    moves.most = std::max(moves.most, static_cast<double>(lacking.size()));
  }
  for (const Experts& held : before) {
    double sent = 0;
    for (const int expert : held) {
      sent += fetched[static_cast<std::size_t>(expert)] / holders[static_cast<std::size_t>(expert)];
    }
    moves.most = std::max(moves.most, sent);
  }
  return moves;
}

}  // namespace cmsim::model
