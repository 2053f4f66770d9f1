#include "src/work/resample.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace cmsim::work {
namespace {

Trace trace_of(const std::vector<std::pair<Seconds, std::vector<std::uint64_t>>>& rows) {
  Trace trace;
  for (const auto& [arrival, blocks] : rows) {
    trace.rows.push_back(
        {.arrival = arrival,
         .prompt_tokens = 512 * static_cast<int>(std::max<std::size_t>(1, blocks.size())),
         .output_tokens = 10,
         .first_block = static_cast<std::uint32_t>(trace.block_ids.size()),
         .block_count = static_cast<std::uint32_t>(blocks.size())});
    trace.block_ids.insert(trace.block_ids.end(), blocks.begin(), blocks.end());
  }
  return trace;
}

/// Three users below the prefix 1 2: two of three turns (the last block of a turn is partly full,
/// so the next turn has another in its place), one of one.
Trace three_sessions() {
  return trace_of({{0, {1, 2, 10, 19}},
                   {1, {1, 2, 20, 29}},
                   {2, {1, 2, 10, 11, 18}},
                   {3, {1, 2, 20, 21, 28}},
                   {4, {1, 2, 30, 39}},
                   {5, {1, 2, 10, 11, 12, 17}},
                   {6, {}},
                   {7, {1, 2, 20, 21, 22, 27}}});
}

TEST(Sessions, ArePathsBelowWhereThePrefixesBranch) {
  // Block 2 is followed by 10, 20 and 30, all of which go on: it branches, and so do none below.
  const Sessions sessions = find_sessions(three_sessions());
  EXPECT_EQ(sessions.of_row, (std::vector<std::size_t>{0, 1, 0, 1, 4, 0, 6, 1}));
  // Blocks 1 and 2 of the seven rows that have blocks.
  EXPECT_EQ(
      std::accumulate(sessions.shared_head.begin(), sessions.shared_head.end(), std::size_t{0}),
      7 * 2u);
}

TEST(Resample, DrawsWholeSessionsAndTellsCopiesApart) {
  const Trace trace = three_sessions();
  const Trace drawn = resample(trace, 2.0, RandomStream(3, "test"));
  EXPECT_LE(drawn.rows.back().arrival, 8.0);  // 8 rows over 7 s: a gap of 1 s after the last
  EXPECT_TRUE(std::ranges::is_sorted(drawn.rows, {}, &TraceRow::arrival));
  std::map<std::uint64_t, int> first_turns;
  for (std::size_t row = 0; row < drawn.rows.size(); ++row) {
    const auto blocks = drawn.blocks(row);
    if (blocks.empty()) continue;
    EXPECT_EQ(blocks[0], 1u);
    EXPECT_EQ(blocks[1], 2u);
    if (blocks.size() == 4) ++first_turns[blocks[2]];
  }
  for (const auto& [id, count] : first_turns) EXPECT_EQ(count, 1) << id;  // no two users share it
  // A turn of five blocks goes on with one of four, wherever it is.
  for (std::size_t row = 0; row < drawn.rows.size(); ++row) {
    if (drawn.blocks(row).size() == 5) {
      EXPECT_TRUE(first_turns.contains(drawn.blocks(row)[2]));
    }
  }
}

TEST(Resample, KeepsRateAndLengthsOnAverage) {
  // 1,000 requests of 1 to 1,000 tokens over 100 s: over 40 draws of 10 stretches each the mean
  // count is 1,000 and the mean length 500.5, within three standard errors (of 400 stretches: the
  // sum of a stretch of 100 rows wanders by some 29,000 of 50,000).
  Trace trace;
  for (int i = 0; i < 1000; ++i) {
    trace.rows.push_back({.arrival = i * 0.1, .prompt_tokens = 1 + i, .output_tokens = 5});
  }
  double rows = 0, tokens = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Trace drawn = resample(trace, 10, RandomStream(seed, "test"));
    rows += static_cast<double>(drawn.rows.size());
    for (const TraceRow& row : drawn.rows) tokens += row.prompt_tokens;
  }
  EXPECT_NEAR(rows / 40, 1000, 10);
  EXPECT_NEAR(tokens / rows, 500.5, 3 * 290 / 20.0);
}

TEST(Resample, EachSeedIsAnotherDrawAndTheSameSeedTheSame) {
  const auto arrivals = [](std::uint64_t seed) {
    std::vector<Seconds> list;
    for (const TraceRow& row : resample(three_sessions(), 1, RandomStream(seed, "test")).rows) {
      list.push_back(row.arrival);
    }
    return list;
  };
  EXPECT_EQ(arrivals(1), arrivals(1));
  std::set<std::vector<Seconds>> all;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) all.insert(arrivals(seed));
  EXPECT_GE(all.size(), 7u);
}

}  // namespace
}  // namespace cmsim::work
