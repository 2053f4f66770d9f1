// Which decode rank takes an admitted request.
#include <algorithm>
#include <functional>
#include <limits>
#include <tuple>
#include <vector>

#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

/// The rank with the fewest sequences that has room, among them the one with the fewest KV tokens,
/// then the lowest. The first decision of a round looks at all ranks, others at those in order.
class LeastSequences : public Policy<DecodeRouting> {
 public:
  std::optional<std::size_t> decide(const View& view) override {
    if (view.ranks.round != round_) {
      round_ = view.ranks.round;
      order_.clear();
      return among_all(view);
    }
    if (order_.empty()) {
      for (std::size_t rank = 0; rank < view.ranks.sequences.size(); ++rank) {
        order_.push_back(load_of(view, rank));
      }
      std::ranges::make_heap(order_, std::ranges::greater());
    }
    const std::size_t least = first_in_order(view);
    return view.fits(least) ? least : among_all(view);
  }

 private:
  using Load = std::tuple<std::int32_t, Tokens, std::size_t>;  // sequences, KV tokens, rank

  static Load load_of(const View& view, std::size_t rank) {
    return {view.ranks.sequences[rank], view.ranks.kv_tokens[rank], rank};
  }

  /// Ranks that have got a request since the order was made move back first.
  std::size_t first_in_order(const View& view) {
    while (true) {
      const std::size_t rank = std::get<std::size_t>(order_.front());
      const Load now = load_of(view, rank);
      if (now == order_.front()) return rank;
      std::ranges::pop_heap(order_, std::ranges::greater());
      order_.back() = now;
      std::ranges::push_heap(order_, std::ranges::greater());
    }
  }

  static std::optional<std::size_t> among_all(const View& view) {
    std::optional<std::size_t> best;
    auto fewest = std::numeric_limits<std::int64_t>::max(), least = fewest;
    for (std::size_t rank = 0; rank < view.ranks.sequences.size(); ++rank) {
      const std::int64_t sequences = view.ranks.sequences[rank],
                         tokens = view.ranks.kv_tokens[rank];
      if (sequences > fewest || (sequences == fewest && tokens >= least)) continue;
      if (!view.fits(rank)) continue;
      best = rank;
      fewest = sequences;
      least = tokens;
    }
    return best;
  }

  std::int64_t round_ = -1;
  std::vector<Load> order_;  // a heap of all ranks, the least loaded first; empty: not made yet
};

/// The rank with the fewest KV tokens, among them the one with the fewest sequences, then the
/// lowest. A step waits for the rank that reads the most KV.
class LeastKv : public Policy<DecodeRouting> {
 public:
  std::optional<std::size_t> decide(const View& view) override {
    std::optional<std::size_t> best;
    const auto& kv = view.ranks.kv_tokens;
    const auto& sequences = view.ranks.sequences;
    for (std::size_t rank = 0; rank < sequences.size(); ++rank) {
      if (best && (kv[rank] > kv[*best] ||
                   (kv[rank] == kv[*best] && sequences[rank] >= sequences[*best]))) {
        continue;
      }
      if (view.fits(rank)) best = rank;
    }
    return best;
  }
};

/// A step waits for the die with the most KV, so it paces all: of the dies that stay below it the
/// one with the fewest sequences; where there is none, the one that raises it least.
class LongestContextAware : public Policy<DecodeRouting> {
 public:
  std::optional<std::size_t> decide(const View& view) override {
    const DecodeRanksView& ranks = view.ranks;
    pace_.assign(ranks.instance_sequences.size(), 0);
    for (std::size_t rank = 0; rank < ranks.kv_tokens.size(); ++rank) {
      Tokens& pace = pace_[ranks.instance_of(rank)];
      pace = std::max(pace, ranks.kv_tokens[rank]);
    }
    std::optional<std::size_t> best;
    std::tuple<Tokens, std::int32_t, Tokens> least;
    for (std::size_t rank = 0; rank < ranks.kv_tokens.size(); ++rank) {
      const Tokens after = ranks.kv_tokens[rank] + view.request.context_tokens;
      const Tokens raised = std::max<Tokens>(0, after - pace_[ranks.instance_of(rank)]);
      const std::tuple key(raised, ranks.sequences[rank], after);
      if ((best && key >= least) || !view.fits(rank)) continue;
      best = rank;
      least = key;
    }
    return best;
  }

 private:
  std::vector<Tokens> pace_;  // of each instance
};

/// The next rank in turn that has room.
class RanksInTurn : public Policy<DecodeRouting> {
 public:
  std::optional<std::size_t> decide(const View& view) override {
    const std::size_t ranks = view.ranks.sequences.size();
    for (std::size_t tried = 0; tried < ranks; ++tried) {
      const std::size_t rank = (next_ + tried) % ranks;
      if (view.fits(rank)) {
        next_ = rank + 1;
        return rank;
      }
    }
    return std::nullopt;
  }

 private:
  std::size_t next_ = 0;
};

/// Pulls spread over the prefill dies: the groups of ranks that pull from one die take turns, in a
/// group the one with the fewest sequences.
class ConnectionGroups : public Policy<DecodeRouting> {
 public:
  std::optional<std::size_t> decide(const View& view) override {
    const auto& sources = view.ranks.prefill_ranks;
    const std::int32_t groups = sources.empty() ? 1 : std::ranges::max(sources) + 1;
    const auto group_of = [&](std::size_t rank) { return sources.empty() ? 0 : sources[rank]; };
    std::optional<std::size_t> best;
    std::tuple<std::int32_t, std::int32_t, Tokens> least;
    for (std::size_t rank = 0; rank < view.ranks.sequences.size(); ++rank) {
      const std::int32_t turns = (group_of(rank) - next_ + groups) % groups;
      const std::tuple key(turns, view.ranks.sequences[rank], view.ranks.kv_tokens[rank]);
      if ((best && key >= least) || !view.fits(rank)) continue;
      best = rank;
      least = key;
    }
    if (best) next_ = (group_of(*best) + 1) % groups;
    return best;
  }

 private:
  std::int32_t next_ = 0;
};

}  // namespace

void add_decode_routing(PolicyRegistry& registry) {
  registry.add<LeastSequences>({"least_sequences",
                                "the die with the fewest sequences, then the "
                                "least KV",
                                {},
                                {},
                                {},
                                "least_loaded"});
  registry.add<LeastKv>({"least_kv", "the die with the least KV, then the fewest sequences"});
  registry.add<LongestContextAware>(
      {"longest_context_aware",
       "the die with the fewest sequences that stays below the one that "
       "paces all, with the most KV"});
  registry.add<ConnectionGroups>({"connection_map",
                                  "the groups that pull from one prefill die in turn, then as "
                                  "least_sequences",
                                  {},
                                  "CloudMatrix384, arXiv:2506.12708"});
  registry.add<RanksInTurn>({"round_robin", "the dies in turn, skipping those without room"});
}

}  // namespace cmsim::serve
