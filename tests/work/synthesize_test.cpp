#include "cmsim/work/synthesize.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "cmsim/work/trace_summary.hpp"
#include "src/work/clipped_lognormal.hpp"
#include "support.hpp"

namespace cmsim::work {
namespace {

using test::error_of;
using testing::HasSubstr;

SynthesisSpec plain_spec() {
  SynthesisSpec spec;
  spec.requests = 50000;
  spec.arrivals = {.kind = ArrivalKind::kPoisson, .rate = 100};
  spec.prompt = {.mean = 1268, .cv = 3.1, .minimum = 4, .maximum = 60000};
  spec.output = {.mean = 1527, .cv = 1.5, .minimum = 2, .maximum = 32768};
  return spec;
}

TEST(ClippedLognormal, HasTheMomentsAskedForAfterClipping) {
  const LengthSpec specs[] = {{.mean = 1268, .cv = 3.1, .minimum = 4, .maximum = 60000},
                              {.mean = 500, .cv = 0.1, .minimum = 1, .maximum = 131072},
                              {.mean = 900, .cv = 0.4, .minimum = 200, .maximum = 1200}};
  for (const LengthSpec& spec : specs) {
    const ClippedLognormal lengths(spec, "/prompt");
    RandomStream random(1, "test");
    constexpr int kDraws = 400000;
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const auto length = static_cast<double>(lengths.draw(random));
      ASSERT_GE(length, spec.minimum);
      ASSERT_LE(length, spec.maximum);
      sum += length;
      squares += length * length;
    }
    const double mean = sum / kDraws;
    EXPECT_NEAR(mean / spec.mean, 1, 5 * spec.cv / std::sqrt(kDraws));  // five standard errors
    EXPECT_NEAR(std::sqrt(squares / kDraws - mean * mean) / mean / spec.cv, 1, 0.03);
  }
}

TEST(ClippedLognormal, RefusesWhatNoDistributionHas) {
  const auto message = [](LengthSpec spec) {
    return error_of([&] { ClippedLognormal(spec, "/prompt"); });
  };
  EXPECT_THAT(message({.mean = 0.5}), HasSubstr("/prompt/mean: found 0.5"));
  EXPECT_THAT(message({.mean = 5, .minimum = 9}), HasSubstr("/prompt/mean"));
  EXPECT_THAT(message({.mean = 5, .minimum = 9, .maximum = 3}), HasSubstr("/prompt/maximum"));
  EXPECT_THAT(message({.mean = 5, .cv = -1}), HasSubstr("/prompt/cv"));
  // Between 90 and 110 with mean 100 no CV above 10 / 100 exists.
  EXPECT_THAT(message({.mean = 100, .cv = 1, .minimum = 90, .maximum = 110}),
              HasSubstr("/prompt/cv: found 1"));
}

TEST(Synthesize, HasTheRateAndLengthsAskedFor) {
  const TraceSummary summary = summarize(synthesize(plain_spec(), 1));
  EXPECT_EQ(summary.requests, 50000);
  const double error = 5 / std::sqrt(50000);  // five standard errors of a CV of 1: 2.2 %
  EXPECT_NEAR(summary.mean_rate / 100, 1, error);
  EXPECT_NEAR(summary.interarrival_cv, 1, 0.05);
  EXPECT_NEAR(summary.prompt.mean / 1268, 1, 3.1 * error);
  EXPECT_NEAR(summary.output.mean / 1527, 1, 1.5 * error);
  EXPECT_NEAR(summary.prompt.cv / 3.1, 1, 0.15);
  EXPECT_NEAR(summary.output.cv / 1.5, 1, 0.1);
  EXPECT_EQ(summary.reuse.back().by_block, 0);  // no sessions, no shared prompts
}

TEST(Synthesize, EndsAtTheDuration) {
  SynthesisSpec spec = plain_spec();
  spec.requests = 0;
  spec.duration = 20;
  spec.arrivals = {.kind = ArrivalKind::kConstant, .rate = 10};
  const Trace trace = synthesize(spec, 1);
  EXPECT_EQ(trace.rows.size(), 200u);  // 0, 0.1, ..., 19.9 s
  spec.warm_up = 5;                    // arrivals before 0 are not kept
  EXPECT_EQ(synthesize(spec, 1).rows.size(), 200u);
}

TEST(Synthesize, SessionsContinueAsOftenAsAskedAndGrow) {
  SynthesisSpec spec = plain_spec();
  spec.prompt = {.mean = 500, .cv = 0.5};
  spec.output = {.mean = 200, .cv = 0.5};
  spec.continue_probability = 0.4;
  spec.think_time = 10;
  spec.warm_up = 200;  // 4 turns of (200 * 0.05 + 10) s, and more
  spec.max_prompt = 1'000'000;
  const Trace trace = synthesize(spec, 1);
  // A turn n has probability 0.4^(n-1) of being reached, so with p = 0.4 a request is a later turn
  // with probability p; its history grows by prompt + output a turn, and the mean prompt is
  //   500 / (1 - p) + 200 p / (1 - p) = 833.3 + 133.3 = 966.7.
  EXPECT_NEAR(summarize(trace).prompt.mean / 966.7, 1, 0.03);

  // A later turn shares the full blocks of the prompt before; only those can be found again.
  std::map<std::uint64_t, std::size_t> first_user;
  std::size_t later_turns = 0;
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    const auto blocks = trace.blocks(row);
    ASSERT_EQ(blocks.size(), (trace.rows[row].prompt_tokens + 511u) / 512u);
    if (!first_user.try_emplace(blocks[0], row).second) ++later_turns;
  }
  // Turns whose first prompt filled at least one block; some 43 % of 500 +- 250 tokens reach 512.
  EXPECT_GT(later_turns, trace.rows.size() / 10);
  EXPECT_LT(later_turns, trace.rows.size() * 4 / 10);
}

TEST(Synthesize, LaterTurnsComeAfterTheAnswer) {
  SynthesisSpec spec = plain_spec();
  spec.requests = 5000;
  spec.prompt = {.mean = 1000, .cv = 0};
  spec.output = {.mean = 100, .cv = 0};
  spec.continue_probability = 0.5;
  spec.think_time = 1;
  const Trace trace = synthesize(spec, 1);
  std::map<std::uint64_t, Seconds> last_use;
  std::size_t later = 0;
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    const auto [use, is_new] = last_use.try_emplace(trace.blocks(row)[0], trace.rows[row].arrival);
    if (is_new) continue;
    ++later;
    EXPECT_GE(trace.rows[row].arrival - use->second, 5);  // 100 tokens * 0.05 s
    use->second = trace.rows[row].arrival;
    EXPECT_EQ((trace.rows[row].prompt_tokens - 1000) % 1100, 0);  // + answer + new turn
  }
  EXPECT_GT(later, 1000u);
}

TEST(Synthesize, SharedPromptsHaveZipfPopularity) {
  SynthesisSpec spec = plain_spec();
  spec.prompt = {.mean = 100, .cv = 0};
  spec.shared_probability = 0.5;
  spec.shared_prompts = 3;
  spec.shared_blocks = 2;
  spec.zipf = 1;
  const Trace trace = synthesize(spec, 1);
  std::map<std::uint64_t, double> uses;
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    const auto blocks = trace.blocks(row);
    if (blocks[0] >= 6) continue;  // shared blocks are 0 to 5
    ++uses[blocks[0]];
    EXPECT_EQ(blocks[1], blocks[0] + 1);
    EXPECT_EQ(trace.rows[row].prompt_tokens, 2 * 512 + 100);
  }
  // Half of 50,000, by weights 1 : 1/2 : 1/3, that is 6/11, 3/11 and 2/11 of 25,000; five
  // deviations of a count are at most 5 * sqrt(50000 * 0.27 * 0.73) = 496.
  ASSERT_EQ(uses.size(), 3u);
  EXPECT_NEAR(uses[0], 13636, 496);
  EXPECT_NEAR(uses[2], 6818, 496);
  EXPECT_NEAR(uses[4], 4545, 496);
}

TEST(Synthesize, FollowsTheSeed) {
  SynthesisSpec spec = plain_spec();
  spec.requests = 10;
  const auto last = [&](std::uint64_t seed) { return synthesize(spec, seed).rows.back().arrival; };
  EXPECT_EQ(last(1), last(1));
  EXPECT_NE(last(1), last(2));
}

TEST(Synthesize, RefusesWhatCannotBe) {
  const auto message = [](auto change) {
    SynthesisSpec spec = plain_spec();
    change(spec);
    return error_of([&] { synthesize(spec, 1); });
  };
  EXPECT_THAT(message([](auto& s) { s.requests = 0; }),
              HasSubstr("/requests: is not given, nor is a duration"));
  EXPECT_THAT(message([](auto& s) { s.arrivals.rate = 0; }), HasSubstr("/arrivals/rate"));
  EXPECT_THAT(message([](auto& s) { s.arrivals.rate = 1e-300; }), HasSubstr("/arrivals/rate"));
  EXPECT_THAT(message([](auto& s) { s.arrivals.rate = 1e7; }), HasSubstr("/arrivals/rate"));
  EXPECT_THAT(message([](auto& s) {  // the second arrives at 1e6 s, the 10,002nd after 1e10 s
                s.arrivals = {.kind = ArrivalKind::kConstant, .rate = 1e-6};
                s.requests = 10002;
              }),
              HasSubstr("/arrivals/rate: found 1e-06, at which requests arrive after 1e+10 s"));
  EXPECT_THAT(message([](auto& s) { s.prompt.cv = INFINITY; }), HasSubstr("/prompt/cv"));
  EXPECT_THAT(
      message([](auto& s) {  // 2^31 blocks of one token in one prompt
        s.max_prompt = INT32_MAX;
        s.block_size = 1;
      }),
      HasSubstr("/max_prompt: found 2147483647, allowed is at most 2147483647 and 500000000 "
                "blocks"));
  EXPECT_THAT(message([](auto& s) { s.arrivals.kind = ArrivalKind::kAllAtOnce; }),
              HasSubstr("/arrivals/kind: found all_at_once"));
  EXPECT_THAT(message([](auto& s) { s.continue_probability = 1; }),
              HasSubstr("/continue_probability"));
  EXPECT_THAT(message([](auto& s) { s.shared_probability = 0.5; }), HasSubstr("/shared_prompts"));
  EXPECT_THAT(message([](auto& s) { s.max_prompt = 5; }), HasSubstr("/prompt/maximum"));
  EXPECT_THAT(message([](auto& s) { s.block_size = 0; }), HasSubstr("/block_size"));
}

}  // namespace
}  // namespace cmsim::work
