#include "resample.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

namespace cmsim::work {
namespace {

/// A block in the tree of prefixes.
struct Node {
  std::uint32_t followers = 0, followed_followers = 0;
  bool branches() const { return followed_followers >= 2 || followers > 8; }
};

using Tree = std::unordered_map<std::uint64_t, Node>;

Tree tree_of(const Trace& trace) {
  Tree tree;
  tree.reserve(trace.block_ids.size());
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    const auto blocks = trace.blocks(row);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      if (!tree.try_emplace(blocks[i]).second || i == 0) continue;
      Node& parent = tree[blocks[i - 1]];
      if (parent.followers++ == 0 && i >= 2) ++tree[blocks[i - 2]].followed_followers;
    }
  }
  return tree;
}

/// Blocks at the head of a row that other sessions share: up to the last that branches.
std::size_t shared_head(std::span<const std::uint64_t> blocks, const Tree& tree) {
  std::size_t shared = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (tree.at(blocks[i]).branches()) shared = i + 1;
  }
  return shared;
}

}  // namespace

Sessions find_sessions(const Trace& trace) {
  const Tree tree = tree_of(trace);
  std::unordered_map<std::uint64_t, std::size_t> first_row;  // by first block of its own
  std::unordered_map<std::uint32_t, std::size_t> first_turn;
  Sessions sessions;
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    const auto blocks = trace.blocks(row);
    const std::size_t shared = shared_head(blocks, tree);
    const std::uint32_t named = trace.rows[row].session;
    sessions.shared_head.push_back(shared);
    sessions.of_row.push_back(named != 0 ? first_turn.try_emplace(named, row).first->second
                              : shared < blocks.size()
                                  ? first_row.try_emplace(blocks[shared], row).first->second
                                  : row);
  }
  return sessions;
}

Trace resample(const Trace& trace, Seconds block, RandomStream random) {
  const Sessions sessions = find_sessions(trace);
  const auto count = static_cast<double>(trace.rows.size());
  const Seconds begin = trace.rows.front().arrival;
  // The trace goes on for one gap after its last arrival.
  const Seconds length =
      trace.duration() > 0 ? trace.duration() * count / std::max(1.0, count - 1) : 1;

  std::vector<std::vector<std::size_t>> turns(trace.rows.size());  // by first row
  for (std::size_t row = 0; row < trace.rows.size(); ++row)
    turns[sessions.of_row[row]].push_back(row);
  std::vector<std::size_t> starts;  // first rows, by arrival
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    if (!turns[row].empty()) starts.push_back(row);
  }

  Trace drawn = trace;
  drawn.rows.clear();
  drawn.block_ids.clear();
  std::uint64_t next_id = 0;
  for (const std::uint64_t id : trace.block_ids) next_id = std::max(next_id, id);
  std::unordered_map<std::uint64_t, std::uint64_t> renamed;
  std::uint32_t sessions_drawn = 0;
  std::unordered_map<std::uint32_t, std::uint32_t> renamed_sessions;
  const auto add = [&](std::size_t number, Seconds arrival) {
    const TraceRow& row = trace.rows[number];
    TraceRow copy = row;
    copy.arrival = std::fmod(arrival, length);
    if (row.session != 0) {
      const auto [found, is_new] = renamed_sessions.try_emplace(row.session, sessions_drawn + 1);
      sessions_drawn += is_new ? 1 : 0;
      copy.session = found->second;
    }
    copy.first_block = static_cast<std::uint32_t>(drawn.block_ids.size());
    for (std::uint32_t i = 0; i < row.block_count; ++i) {
      const std::uint64_t id = trace.block_ids[row.first_block + i];
      if (i < sessions.shared_head[number]) {
        drawn.block_ids.push_back(id);
      } else {
        const auto [found, is_new] = renamed.try_emplace(id, next_id + 1);
        next_id += is_new ? 1 : 0;
        drawn.block_ids.push_back(found->second);
      }
    }
    drawn.rows.push_back(copy);
  };
  const auto draw = [&] {
    for (Seconds at = 0; at < length; at += block) {
      const Seconds stretch = std::min(block, length - at);
      const Seconds from = random.uniform() * length;
      renamed.clear();
      renamed_sessions.clear();
      for (const std::size_t first : starts) {
        Seconds offset = trace.rows[first].arrival - begin - from;
        if (offset < 0) offset += length;
        if (offset >= stretch) continue;
        for (const std::size_t turn : turns[first]) {
          add(turn, at + offset + (trace.rows[turn].arrival - trace.rows[first].arrival));
        }
      }
    }
  };
  while (drawn.rows.empty()) draw();  // a trace of few sessions has stretches without one
  std::ranges::stable_sort(drawn.rows, {}, &TraceRow::arrival);
  return drawn;
}

}  // namespace cmsim::work
