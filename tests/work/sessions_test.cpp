#include "src/work/sessions.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "src/work/resample.hpp"
#include "support.hpp"

namespace cmsim::work {
namespace {

using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;

/// Three turns a session, 100 new tokens and 60 of answer, 10 s of thought.
SessionDraw three_turns() {
  return {.turns = {.mean = 3, .cv = 0},
          .prompt = {.mean = 100, .cv = 0, .maximum = 100},
          .output = {.mean = 60, .cv = 0},
          .think_mean = 10,
          .think_cv = 0};
}

WorkloadSpec drawn_spec() {
  WorkloadSpec spec;
  spec.requests = 600;
  spec.arrivals = {.kind = ArrivalKind::kConstant, .rate = 3};
  spec.sessions.wait = true;
  spec.sessions.draw = three_turns();
  return spec;
}

TEST(DrawSessions, LetsPromptsGrowOverWhatTheyShare) {
  const Trace trace = draw_sessions(three_turns(), 4, 50, 0.1, 1);
  ASSERT_EQ(trace.rows.size(), 4u);
  // 100; + 60 + 100; again. Then the next session.
  EXPECT_EQ(trace.rows[0].prompt_tokens, 100);
  EXPECT_EQ(trace.rows[1].prompt_tokens, 260);
  EXPECT_EQ(trace.rows[2].prompt_tokens, 420);
  EXPECT_EQ(trace.rows[3].prompt_tokens, 100);
  EXPECT_EQ(trace.rows[3].session, 2u);
  // An answer of 60 tokens takes 6 s, thought 10.
  EXPECT_DOUBLE_EQ(trace.rows[2].arrival, 32);
  // The two full blocks of the first prompt lead the second; of its 5.2 blocks five are full, and
  // lead the third.
  EXPECT_THAT(trace.blocks(0), ElementsAre(0, 1));
  EXPECT_THAT(trace.blocks(1), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(trace.blocks(2), ElementsAre(0, 1, 2, 3, 4, 6, 7, 8, 9));
  EXPECT_THAT(trace.blocks(3), ElementsAre(10, 11));
}

TEST(DrawSessions, BeginWithASharedPromptAndEndAtTheLongest) {
  SessionDraw draw = three_turns();
  draw.shared_prompt = 120;  // 2 blocks of 50, and a part
  draw.longest = 400;
  const Trace trace = draw_sessions(draw, 3, 50, 0, 1);
  EXPECT_EQ(trace.rows[1].prompt_tokens, 380);
  EXPECT_EQ(trace.rows[2].session, 2u);  // the third turn would have 540
  EXPECT_THAT(trace.blocks(0).first(2), ElementsAre(0, 1));
  EXPECT_THAT(trace.blocks(2).first(2), ElementsAre(0, 1));
  EXPECT_NE(trace.blocks(0)[2], trace.blocks(2)[2]);
  draw.longest = 200;
  EXPECT_THAT(error_of([&] { draw_sessions(draw, 3, 50, 0, 1); }), HasSubstr("/max_prompt"));
}

TEST(DrawSessions, ThinkAsTheDistributionSays) {
  SessionDraw draw = three_turns();
  draw.turns.mean = 1000;
  draw.longest = kMostTokens;
  draw.think_cv = 1;
  draw.prompt = draw.output = {.mean = 1, .cv = 0, .maximum = 1};
  const Trace trace = draw_sessions(draw, 1000, 512, 0, 1);
  double sum = 0, squares = 0;
  for (std::size_t i = 1; i < 1000; ++i) {
    const Seconds gap = trace.rows[i].arrival - trace.rows[i - 1].arrival;
    sum += gap / 999;
    squares += gap * gap / 999;
  }
  EXPECT_NEAR(sum, 10, 1);                             // 3 standard errors
  EXPECT_NEAR(std::sqrt(squares - sum * sum), 10, 3);  // heavy tail
}

TEST(WaitingTurns, ThinkForTheGapWithoutTheAnswer) {
  WorkloadSpec spec = drawn_spec();
  spec.sessions.answer_time_per_token = 0.1;
  const Trace trace = make_workload(spec, 1);
  ASSERT_EQ(trace.waits.size(), trace.rows.size());
  for (std::size_t i = 0; i < trace.rows.size(); ++i) {
    const Wait& wait = trace.waits[i];
    EXPECT_EQ(wait.after < 0, trace.rows[i].turn == 1) << i;
    if (wait.after < 0) continue;
    EXPECT_EQ(trace.rows[static_cast<std::size_t>(wait.after)].turn, trace.rows[i].turn - 1);
    EXPECT_NEAR(wait.think, 10, 1e-9);  // of a gap of 16 s
  }
  // Three requests a second are one session a second.
  EXPECT_DOUBLE_EQ(trace.rows[1].arrival, 1);
  spec.sessions.wait = false;
  const Trace open = make_workload(spec, 1);
  EXPECT_TRUE(open.waits.empty());
  EXPECT_DOUBLE_EQ(open.rows.back().arrival, trace.rows.back().arrival);
}

TEST(WaitingTurns, OfAStationaryStartComeFromTheBeginning) {
  WorkloadSpec spec = drawn_spec();
  const Trace empty = make_workload(spec, 1);
  spec.sessions.stationary = true;
  const Trace trace = make_workload(spec, 1);
  // 200 sessions, one a second; turns 10 and 20 s after a first one that came 200 s or later wrap.
  EXPECT_GT(empty.rows.back().arrival, 215);
  EXPECT_LT(trace.rows.back().arrival, 200);
  std::int64_t open = 0;
  for (const Wait& wait : trace.waits) open += wait.after < 0 ? 1 : 0;
  EXPECT_EQ(open, 200 + 10 + 20 - 10);  // the third turns of those whose second wrapped follow it
}

TEST(WaitingTurns, AreThoseThatPrefixesTell) {
  Trace trace;
  for (int i = 0; i < 3; ++i) {
    trace.rows.push_back({.arrival = 5.0 * i,
                          .prompt_tokens = 512 * (i + 1),
                          .output_tokens = 1,
                          .first_block = static_cast<std::uint32_t>(trace.block_ids.size()),
                          .block_count = static_cast<std::uint32_t>(i + 1)});
    for (int block = 0; block <= i; ++block) trace.block_ids.push_back(block);
  }
  ASSERT_TRUE(name_sessions(trace));
  EXPECT_THAT(predecessors(trace), ElementsAre(-1, 0, 1));
  trace.rows.erase(trace.rows.begin());  // cut off: the second has nobody to wait for
  EXPECT_THAT(predecessors(trace), ElementsAre(-1, 0));
  Trace bare;
  bare.rows.push_back({});
  EXPECT_FALSE(name_sessions(bare));
}

TEST(WaitingTurns, AreNotForALoop) {
  WorkloadSpec spec = drawn_spec();
  spec.arrivals = {.kind = ArrivalKind::kClosedLoop, .concurrency = 3};
  EXPECT_THAT(error_of([&] { make_workload(spec, 1); }), HasSubstr("/workload/arrivals/kind"));
}

TEST(Sessions, ThatATraceNamesAreDrawnWhole) {
  Trace trace;  // without blocks, of which prefixes could be told
  for (int i = 0; i < 8; ++i) {
    trace.rows.push_back({.arrival = 1.0 * i,
                          .prompt_tokens = 1,
                          .output_tokens = 1,
                          .session = static_cast<std::uint32_t>(i % 2 + 1),
                          .turn = static_cast<std::uint32_t>(i / 2 + 1),
                          .answers = static_cast<std::uint32_t>(i / 2)});
  }
  const Trace drawn = resample(trace, 4.0, RandomStream(3, "test"));
  EXPECT_EQ(drawn.rows.size() % 4, 0u);
  std::map<std::uint32_t, int> turns;
  for (const TraceRow& row : drawn.rows) ++turns[row.session];
  for (const auto& [session, count] : turns) EXPECT_EQ(count, 4) << session;
}

}  // namespace
}  // namespace cmsim::work
