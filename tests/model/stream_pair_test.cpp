#include "src/model/stream_pair.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>

namespace cmsim::model {
namespace {

using ::testing::DoubleNear;
using ::testing::Pointwise;

constexpr BytesPerSecond kBandwidth = 100;
constexpr auto near = [] { return DoubleNear(1e-9); };

OperatorCost streaming(double bytes) { return {.hbm_bytes = bytes}; }
OperatorCost computing(Seconds time, double bytes) { return {.compute = time, .hbm_bytes = bytes}; }

TEST(StreamPair, LeavesStreamsAloneThatFitTheBandwidth) {
  const std::vector<OperatorCost> first{computing(1, 40)}, second{computing(2, 120)};  // 40 + 60
  const StreamPair pair = share_bandwidth(first, second, kBandwidth);
  EXPECT_THAT(pair.first, Pointwise(near(), {1.0}));
  EXPECT_THAT(pair.second, Pointwise(near(), {2.0}));
}

TEST(StreamPair, RefusesWhatWouldNeverEnd) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const std::vector<OperatorCost> sound{computing(1, 40)};
  for (const OperatorCost& bad : {computing(kInf, 0), computing(std::nan(""), 0), computing(-1, 0),
                                  streaming(kInf), OperatorCost{.fixed = kInf}}) {
    const std::vector<OperatorCost> costs{bad};
    EXPECT_THROW(share_bandwidth(costs, sound, kBandwidth), std::invalid_argument);
    EXPECT_THROW(share_bandwidth(sound, costs, kBandwidth), std::invalid_argument);
  }
  for (const double bandwidth : {0.0, -1.0, kInf, std::nan("")}) {
    EXPECT_THROW(share_bandwidth(sound, sound, bandwidth), std::invalid_argument);
  }
}

// What is left of 1e9 s after rounding is more than the slack of a picosecond.
TEST(StreamPair, EndsAnOperatorOfAnyLength) {
  const std::vector<OperatorCost> first{computing(1e9, 9e10), computing(1e300, 0)};
  const std::vector<OperatorCost> second{computing(1e9 / 3, 9e10 / 7), computing(0, 0)};
  const StreamPair pair = share_bandwidth(first, second, kBandwidth);
  EXPECT_GE(pair.first[0], 1e9);
  EXPECT_EQ(pair.first[1], 1e300);
}

TEST(StreamPair, HalvesTheBandwidthOfTwoThatWantItAll) {
  const std::vector<OperatorCost> one{streaming(100)};  // 1 s alone, 2 s at 50 B/s
  const StreamPair pair = share_bandwidth(one, one, kBandwidth);
  EXPECT_THAT(pair.first, Pointwise(near(), {2.0}));
  EXPECT_THAT(pair.second, Pointwise(near(), {2.0}));
}

TEST(StreamPair, GrantsTheModestWhatItAsks) {
  // 20 B/s are granted, 80 are left: after 1 s 20 of 100 B remain, alone another 0.2 s.
  const std::vector<OperatorCost> modest{computing(1, 20)}, greedy{streaming(100)};
  const StreamPair pair = share_bandwidth(modest, greedy, kBandwidth);
  EXPECT_THAT(pair.first, Pointwise(near(), {1.0}));
  EXPECT_THAT(pair.second, Pointwise(near(), {1.2}));
}

TEST(StreamPair, SlowsAnOperatorOnlyWhileTheOtherStreams) {
  // Beside 1 s of pure compute nothing is lost; then 100 B and the last 100 of 200 B share: 2 s.
  const std::vector<OperatorCost> first{computing(1, 0), streaming(100)}, second{streaming(200)};
  const StreamPair pair = share_bandwidth(first, second, kBandwidth);
  EXPECT_THAT(pair.first, Pointwise(near(), {1.0, 2.0}));
  EXPECT_THAT(pair.second, Pointwise(near(), {3.0}));
}

TEST(StreamPair, PassesOverEmptyStreamsAndOperators) {
  const std::vector<OperatorCost> none, empty{OperatorCost{}, streaming(100)};
  EXPECT_THAT(share_bandwidth(empty, none, kBandwidth).first, Pointwise(near(), {0.0, 1.0}));
  EXPECT_TRUE(share_bandwidth(none, none, kBandwidth).first.empty());
}

// Whatever is drawn: no operator is faster than alone, bytes need their time, and the pair is never
// slower than one stream after the other.
TEST(StreamPair, ConservesWork) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> amount(0, 100);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<OperatorCost> streams[2];
    double bytes = 0, alone_sum = 0;
    for (auto& stream : streams) {
      for (int i = 0; i < 4; ++i) {
        stream.push_back({amount(random) / 50, amount(random), amount(random) / 500});
        bytes += stream.back().hbm_bytes;
        alone_sum += stream.back().alone(kBandwidth);
      }
    }
    const StreamPair pair = share_bandwidth(streams[0], streams[1], kBandwidth);
    for (int i = 0; i < 4; ++i) {
      EXPECT_GE(pair.first[i], streams[0][i].alone(kBandwidth) - 1e-9);
      EXPECT_GE(pair.second[i], streams[1][i].alone(kBandwidth) - 1e-9);
    }
    const double end = std::max(std::accumulate(pair.first.begin(), pair.first.end(), 0.0),
                                std::accumulate(pair.second.begin(), pair.second.end(), 0.0));
    EXPECT_GE(end, bytes / kBandwidth - 1e-9);
    EXPECT_LE(end, alone_sum + 1e-9);
  }
}

}  // namespace
}  // namespace cmsim::model
