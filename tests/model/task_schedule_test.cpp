#include "src/model/task_schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>

namespace cmsim::model {
namespace {

using ::testing::DoubleNear;
using ::testing::Pointwise;

constexpr BytesPerSecond kHbm = 100;
constexpr auto near = [] { return DoubleNear(1e-9); };

constexpr int kAic = 0, kAiv = 1, kSdma = 2;  // servers

Operator task(int server, Seconds time, double bytes = 0) {
  return {"task", server, {.compute = time, .hbm_bytes = bytes}};
}

PlacedOperator placed(const Schedule& schedule, int index, int microbatch, int repetition) {
  for (const PlacedOperator& at : schedule.placed) {
    if (at.index == index && at.microbatch == microbatch && at.repetition == repetition) return at;
  }
  ADD_FAILURE() << "task " << index << " of microbatch " << microbatch << " is missing";
  return {};
}

void expect_at(const PlacedOperator& at, Seconds start, Seconds end) {
  EXPECT_NEAR(at.start, start, 1e-9);
  EXPECT_NEAR(at.end, end, 1e-9);
}

// AIC 0000 1111      0000 1111
// AIV      00   11        00   11     (a column is half a second)
TEST(TaskSchedule, OverlapsMicrobatchesOnDifferentUnits) {
  const std::vector<Operator> chain{task(kAic, 2), task(kAiv, 1)};
  const Schedule schedule = schedule_chain(chain, 2, 2, kHbm);
  expect_at(placed(schedule, 0, 0, 0), 0, 2);
  expect_at(placed(schedule, 0, 1, 0), 2, 4);
  expect_at(placed(schedule, 1, 0, 0), 2, 3);
  expect_at(placed(schedule, 1, 1, 0), 4, 5);
  expect_at(placed(schedule, 0, 0, 1), 4, 6);  // ready at 3, the AIC is free at 4
  expect_at(placed(schedule, 0, 1, 1), 6, 8);
  expect_at(placed(schedule, 1, 1, 1), 8, 9);
  EXPECT_THAT(schedule.repetition_end, Pointwise(DoubleNear(1e-9), {5.0, 9.0}));
  EXPECT_NEAR(schedule.makespan, 9, 1e-9);
}

TEST(TaskSchedule, RunsOneMicrobatchInOrder) {
  const std::vector<Operator> chain{task(kAic, 2), task(kSdma, 1), task(kAic, 3)};
  const Schedule schedule = schedule_chain(chain, 1, 3, kHbm);
  EXPECT_THAT(schedule.repetition_end, Pointwise(DoubleNear(1e-9), {6.0, 12.0, 18.0}));
}

// AIC 0 1111       100 B a task: from 1 to 3 both units share 100 B/s, then the last is alone
// AIV   0000 11    (a column is half a second)
TEST(TaskSchedule, SharesTheBandwidthOfUnitsThatStreamTogether) {
  const std::vector<Operator> chain{task(kAic, 0, 100), task(kAiv, 0, 100)};
  const Schedule schedule = schedule_chain(chain, 2, 1, kHbm);
  expect_at(placed(schedule, 0, 0, 0), 0, 1);
  expect_at(placed(schedule, 0, 1, 0), 1, 3);
  expect_at(placed(schedule, 1, 0, 0), 1, 3);
  expect_at(placed(schedule, 1, 1, 0), 3, 4);
}

// Tasks of 1 s that ask for 60, 60 and 20 B/s. X1 and Y0 get 50 each: 1.2 s, until 2.2. Then X2, Y1
// and Z0: 20 for Z0 (until 3.2), 40 for the others, which have done 2/3 and get 50 for the rest:
// 0.4 s, until 3.6. Y2 with Z1 (80 in all) until 4.6, Z2 until 5.6.
TEST(TaskSchedule, SharesMaxMinAmongThreeUnits) {
  const std::vector<Operator> chain{task(kAic, 1, 60), task(kAiv, 1, 60), task(kSdma, 1, 20)};
  const Schedule schedule = schedule_chain(chain, 3, 1, kHbm);
  expect_at(placed(schedule, 1, 0, 0), 1, 2.2);
  expect_at(placed(schedule, 2, 0, 0), 2.2, 3.2);
  expect_at(placed(schedule, 0, 2, 0), 2.2, 3.6);
  expect_at(placed(schedule, 1, 1, 0), 2.2, 3.6);
  expect_at(placed(schedule, 2, 2, 0), 4.6, 5.6);
}

TEST(TaskSchedule, ServesWhoCameFirst) {
  // AIC 1 s, AIV 1 s, AIC 1 s: microbatch 1 waits for its first task since 0, microbatch 2 too;
  // microbatch 0 comes back at 2 and runs after both, at 3.
  const std::vector<Operator> chain{task(kAic, 1), task(kAiv, 1), task(kAic, 1)};
  const Schedule schedule = schedule_chain(chain, 3, 1, kHbm);
  expect_at(placed(schedule, 0, 1, 0), 1, 2);
  expect_at(placed(schedule, 0, 2, 0), 2, 3);
  expect_at(placed(schedule, 2, 0, 0), 3, 4);
}

TEST(TaskSchedule, EndsAreTheSameWhetherTasksAreKept) {
  const std::vector<Operator> chain{task(kAic, 0.7, 60), task(kSdma, 0.4, 30), task(kAiv, 0, 55),
                                    task(kAic, 0.2, 40)};
  for (const int microbatches : {1, 2, 3, 4}) {
    const Schedule all = schedule_chain(chain, microbatches, 5, kHbm);
    const Schedule ends = schedule_chain(chain, microbatches, 5, kHbm, Keep::kEnds);
    EXPECT_EQ(all.makespan, ends.makespan);
    EXPECT_EQ(all.repetition_end, ends.repetition_end);
    EXPECT_TRUE(ends.placed.empty());
    EXPECT_EQ(all.placed.size(), chain.size() * static_cast<std::size_t>(microbatches) * 5);
    EXPECT_TRUE(std::is_sorted(
        all.placed.begin(), all.placed.end(),
        [](const PlacedOperator& a, const PlacedOperator& b) { return a.start < b.start; }));
  }
}

TEST(TaskSchedule, RefusesWhatWouldNeverEnd) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const Operator& bad : {task(kAic, kInf), task(kAiv, std::nan("")), task(kSdma, -1),
                              task(kAic, 0, kInf), task(kAic, 0, -1)}) {
    const std::vector<Operator> chain{task(kAic, 1), bad};
    EXPECT_THROW(schedule_chain(chain, 2, 3, kHbm), std::invalid_argument);
  }
  const std::vector<Operator> sound{task(kAic, 1)};
  EXPECT_THROW(schedule_chain(sound, 2, 3, 0), std::invalid_argument);
  EXPECT_THROW(schedule_chain(sound, 2, 3, kInf), std::invalid_argument);
  EXPECT_THROW(schedule_chain(std::vector<Operator>{task(kMostServers, 1)}, 2, 3, kHbm),
               std::invalid_argument);
  EXPECT_THROW(schedule_chain(std::vector<Operator>{task(-1, 1)}, 2, 3, kHbm),
               std::invalid_argument);
}

// Three passes of two microbatches over two tasks of 1e9 s on two units: what rounding leaves of a
// task is more than the slack of a picosecond, and ends with it. AIC 0 1 0 1 0 1, then the AIV.
TEST(TaskSchedule, EndsTasksOfAnyLength) {
  const std::vector<Operator> chain{task(kAic, 1e9, 7e10), task(kAiv, 1e9, 7e10)};
  const Schedule schedule = schedule_chain(chain, 2, 3, kHbm);
  EXPECT_EQ(schedule.placed.size(), 12u);
  EXPECT_GE(schedule.makespan, 7e9);
}

TEST(TaskSchedule, OfNothingIsEmpty) {
  const std::vector<Operator> chain{task(kAic, 1)};
  EXPECT_EQ(schedule_chain({}, 2, 3, kHbm).makespan, 0);
  EXPECT_EQ(schedule_chain(chain, 2, 0, kHbm).makespan, 0);
  EXPECT_NEAR(schedule_chain(std::vector<Operator>{task(kAic, 0)}, 2, 3, kHbm).makespan, 0, 1e-12);
}

// ------------------------------------------------ chains that differ, side by side

OperatorCost streaming(double bytes) { return {.hbm_bytes = bytes}; }
OperatorCost computing(Seconds time, double bytes) { return {.compute = time, .hbm_bytes = bytes}; }

/// Durations of the operators of two streams that start together, each on a server of its own.
struct TwoStreams {
  std::vector<Seconds> first, second;
};
TwoStreams share_bandwidth(const std::vector<OperatorCost>& first,
                           const std::vector<OperatorCost>& second, BytesPerSecond bandwidth) {
  std::array<std::vector<Operator>, 2> streams;
  for (const OperatorCost& cost : first) streams[0].push_back({"first", 0, cost});
  for (const OperatorCost& cost : second) streams[1].push_back({"second", 1, cost});
  const std::array<Chain, 2> chains{streams[0], streams[1]};
  TwoStreams pair{std::vector<Seconds>(first.size()), std::vector<Seconds>(second.size())};
  for (const PlacedOperator& placed : schedule_chains(chains, 1, bandwidth).placed) {
    (placed.microbatch == 0 ? pair.first : pair.second)[static_cast<std::size_t>(placed.index)] =
        placed.end - placed.start;
  }
  return pair;
}

TEST(TwoStreams, LeavesStreamsAloneThatFitTheBandwidth) {
  const std::vector<OperatorCost> first{computing(1, 40)}, second{computing(2, 120)};  // 40 + 60
  const TwoStreams pair = share_bandwidth(first, second, kHbm);
  EXPECT_THAT(pair.first, Pointwise(near(), {1.0}));
  EXPECT_THAT(pair.second, Pointwise(near(), {2.0}));
}

TEST(TwoStreams, RefusesWhatWouldNeverEnd) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const std::vector<OperatorCost> sound{computing(1, 40)};
  for (const OperatorCost& bad : {computing(kInf, 0), computing(std::nan(""), 0), computing(-1, 0),
                                  streaming(kInf), OperatorCost{.fixed = kInf}}) {
    const std::vector<OperatorCost> costs{bad};
    EXPECT_THROW(share_bandwidth(costs, sound, kHbm), std::invalid_argument);
    EXPECT_THROW(share_bandwidth(sound, costs, kHbm), std::invalid_argument);
  }
  for (const double bandwidth : {0.0, -1.0, kInf, std::nan("")}) {
    EXPECT_THROW(share_bandwidth(sound, sound, bandwidth), std::invalid_argument);
  }
}

// What is left of 1e9 s after rounding is more than the slack of a picosecond.
TEST(TwoStreams, EndsAnOperatorOfAnyLength) {
  const std::vector<OperatorCost> first{computing(1e9, 9e10), computing(1e300, 0)};
  const std::vector<OperatorCost> second{computing(1e9 / 3, 9e10 / 7), computing(0, 0)};
  const TwoStreams pair = share_bandwidth(first, second, kHbm);
  EXPECT_GE(pair.first[0], 1e9 * (1 - 1e-12));
  EXPECT_EQ(pair.first[1], 1e300);
}

TEST(TwoStreams, HalvesTheBandwidthOfTwoThatWantItAll) {
  const std::vector<OperatorCost> one{streaming(100)};  // 1 s alone, 2 s at 50 B/s
  const TwoStreams pair = share_bandwidth(one, one, kHbm);
  EXPECT_THAT(pair.first, Pointwise(near(), {2.0}));
  EXPECT_THAT(pair.second, Pointwise(near(), {2.0}));
}

TEST(TwoStreams, GrantsTheModestWhatItAsks) {
  // 20 B/s are granted, 80 are left: after 1 s 20 of 100 B remain, alone another 0.2 s.
  const std::vector<OperatorCost> modest{computing(1, 20)}, greedy{streaming(100)};
  const TwoStreams pair = share_bandwidth(modest, greedy, kHbm);
  EXPECT_THAT(pair.first, Pointwise(near(), {1.0}));
  EXPECT_THAT(pair.second, Pointwise(near(), {1.2}));
}

TEST(TwoStreams, SlowsAnOperatorOnlyWhileTheOtherStreams) {
  // Beside 1 s of pure compute nothing is lost; then 100 B and the last 100 of 200 B share: 2 s.
  const std::vector<OperatorCost> first{computing(1, 0), streaming(100)}, second{streaming(200)};
  const TwoStreams pair = share_bandwidth(first, second, kHbm);
  EXPECT_THAT(pair.first, Pointwise(near(), {1.0, 2.0}));
  EXPECT_THAT(pair.second, Pointwise(near(), {3.0}));
}

TEST(TwoStreams, PassesOverEmptyStreamsAndOperators) {
  const std::vector<OperatorCost> none, empty{OperatorCost{}, streaming(100)};
  EXPECT_THAT(share_bandwidth(empty, none, kHbm).first, Pointwise(near(), {0.0, 1.0}));
  EXPECT_TRUE(share_bandwidth(none, none, kHbm).first.empty());
}

// Whatever is drawn: no operator is faster than alone, bytes need their time, and the pair is never
// slower than one stream after the other.
TEST(TwoStreams, ConservesWork) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> amount(0, 100);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<OperatorCost> streams[2];
    double bytes = 0, alone_sum = 0;
    for (auto& stream : streams) {
      for (int i = 0; i < 4; ++i) {
        stream.push_back({amount(random) / 50, amount(random), amount(random) / 500});
        bytes += stream.back().hbm_bytes;
        alone_sum += stream.back().alone(kHbm);
      }
    }
    const TwoStreams pair = share_bandwidth(streams[0], streams[1], kHbm);
    for (int i = 0; i < 4; ++i) {
      EXPECT_GE(pair.first[i], streams[0][i].alone(kHbm) - 1e-9);
      EXPECT_GE(pair.second[i], streams[1][i].alone(kHbm) - 1e-9);
    }
    const double end = std::max(std::accumulate(pair.first.begin(), pair.first.end(), 0.0),
                                std::accumulate(pair.second.begin(), pair.second.end(), 0.0));
    EXPECT_GE(end, bytes / kHbm - 1e-9);
    EXPECT_LE(end, alone_sum + 1e-9);
  }
}

}  // namespace
}  // namespace cmsim::model
