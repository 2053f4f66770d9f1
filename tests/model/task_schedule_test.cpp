#include "src/model/task_schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace cmsim::model {
namespace {

using ::testing::DoubleNear;
using ::testing::Pointwise;

constexpr BytesPerSecond kHbm = 100;

Task task(DieUnit unit, Seconds time, double bytes = 0) {
  return {"task", unit, {.compute = time, .hbm_bytes = bytes}};
}

PlacedTask placed(const Schedule& schedule, int index, int microbatch, int repetition) {
  for (const PlacedTask& at : schedule.tasks) {
    if (at.task == index && at.microbatch == microbatch && at.repetition == repetition) return at;
  }
  ADD_FAILURE() << "task " << index << " of microbatch " << microbatch << " is missing";
  return {};
}

void expect_at(const PlacedTask& at, Seconds start, Seconds end) {
  EXPECT_NEAR(at.start, start, 1e-9);
  EXPECT_NEAR(at.end, end, 1e-9);
}

// AIC 0000 1111      0000 1111
// AIV      00   11        00   11     (a column is half a second)
TEST(TaskSchedule, OverlapsMicrobatchesOnDifferentUnits) {
  const std::vector<Task> chain{task(DieUnit::kAic, 2), task(DieUnit::kAiv, 1)};
  const Schedule schedule = schedule_chains(chain, 2, 2, kHbm);
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
  const std::vector<Task> chain{task(DieUnit::kAic, 2), task(DieUnit::kSdma, 1),
                                task(DieUnit::kAic, 3)};
  const Schedule schedule = schedule_chains(chain, 1, 3, kHbm);
  EXPECT_THAT(schedule.repetition_end, Pointwise(DoubleNear(1e-9), {6.0, 12.0, 18.0}));
}

// AIC 0 1111       100 B a task: from 1 to 3 both units share 100 B/s, then the last is alone
// AIV   0000 11    (a column is half a second)
TEST(TaskSchedule, SharesTheBandwidthOfUnitsThatStreamTogether) {
  const std::vector<Task> chain{task(DieUnit::kAic, 0, 100), task(DieUnit::kAiv, 0, 100)};
  const Schedule schedule = schedule_chains(chain, 2, 1, kHbm);
  expect_at(placed(schedule, 0, 0, 0), 0, 1);
  expect_at(placed(schedule, 0, 1, 0), 1, 3);
  expect_at(placed(schedule, 1, 0, 0), 1, 3);
  expect_at(placed(schedule, 1, 1, 0), 3, 4);
}

// Tasks of 1 s that ask for 60, 60 and 20 B/s. X1 and Y0 get 50 each: 1.2 s, until 2.2. Then X2, Y1
// and Z0: 20 for Z0 (until 3.2), 40 for the others, which have done 2/3 and get 50 for the rest:
// 0.4 s, until 3.6. Y2 with Z1 (80 in all) until 4.6, Z2 until 5.6.
TEST(TaskSchedule, SharesMaxMinAmongThreeUnits) {
  const std::vector<Task> chain{task(DieUnit::kAic, 1, 60), task(DieUnit::kAiv, 1, 60),
                                task(DieUnit::kSdma, 1, 20)};
  const Schedule schedule = schedule_chains(chain, 3, 1, kHbm);
  expect_at(placed(schedule, 1, 0, 0), 1, 2.2);
  expect_at(placed(schedule, 2, 0, 0), 2.2, 3.2);
  expect_at(placed(schedule, 0, 2, 0), 2.2, 3.6);
  expect_at(placed(schedule, 1, 1, 0), 2.2, 3.6);
  expect_at(placed(schedule, 2, 2, 0), 4.6, 5.6);
}

TEST(TaskSchedule, ServesWhoCameFirst) {
  // AIC 1 s, AIV 1 s, AIC 1 s: microbatch 1 waits for its first task since 0, microbatch 2 too;
  // microbatch 0 comes back at 2 and runs after both, at 3.
  const std::vector<Task> chain{task(DieUnit::kAic, 1), task(DieUnit::kAiv, 1),
                                task(DieUnit::kAic, 1)};
  const Schedule schedule = schedule_chains(chain, 3, 1, kHbm);
  expect_at(placed(schedule, 0, 1, 0), 1, 2);
  expect_at(placed(schedule, 0, 2, 0), 2, 3);
  expect_at(placed(schedule, 2, 0, 0), 3, 4);
}

TEST(TaskSchedule, EndsAreTheSameWhetherTasksAreKept) {
  const std::vector<Task> chain{task(DieUnit::kAic, 0.7, 60), task(DieUnit::kSdma, 0.4, 30),
                                task(DieUnit::kAiv, 0, 55), task(DieUnit::kAic, 0.2, 40)};
  for (const int microbatches : {1, 2, 3, 4}) {
    const Schedule all = schedule_chains(chain, microbatches, 5, kHbm);
    const Schedule ends = schedule_chains(chain, microbatches, 5, kHbm, Keep::kEnds);
    EXPECT_EQ(all.makespan, ends.makespan);
    EXPECT_EQ(all.repetition_end, ends.repetition_end);
    EXPECT_TRUE(ends.tasks.empty());
    EXPECT_EQ(all.tasks.size(), chain.size() * static_cast<std::size_t>(microbatches) * 5);
    EXPECT_TRUE(
        std::is_sorted(all.tasks.begin(), all.tasks.end(),
                       [](const PlacedTask& a, const PlacedTask& b) { return a.start < b.start; }));
  }
}

TEST(TaskSchedule, RefusesWhatWouldNeverEnd) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const Task& bad :
       {task(DieUnit::kAic, kInf), task(DieUnit::kAiv, std::nan("")), task(DieUnit::kSdma, -1),
        task(DieUnit::kAic, 0, kInf), task(DieUnit::kAic, 0, -1)}) {
    const std::vector<Task> chain{task(DieUnit::kAic, 1), bad};
    EXPECT_THROW(schedule_chains(chain, 2, 3, kHbm), std::invalid_argument);
  }
  const std::vector<Task> sound{task(DieUnit::kAic, 1)};
  EXPECT_THROW(schedule_chains(sound, 2, 3, 0), std::invalid_argument);
  EXPECT_THROW(schedule_chains(sound, 2, 3, kInf), std::invalid_argument);
}

// Three passes of two microbatches over two tasks of 1e9 s on two units: what rounding leaves of a
// task is more than the slack of a picosecond, and ends with it. AIC 0 1 0 1 0 1, then the AIV.
TEST(TaskSchedule, EndsTasksOfAnyLength) {
  const std::vector<Task> chain{task(DieUnit::kAic, 1e9, 7e10), task(DieUnit::kAiv, 1e9, 7e10)};
  const Schedule schedule = schedule_chains(chain, 2, 3, kHbm);
  EXPECT_EQ(schedule.tasks.size(), 12u);
  EXPECT_GE(schedule.makespan, 7e9);
}

TEST(TaskSchedule, OfNothingIsEmpty) {
  const std::vector<Task> chain{task(DieUnit::kAic, 1)};
  EXPECT_EQ(schedule_chains({}, 2, 3, kHbm).makespan, 0);
  EXPECT_EQ(schedule_chains(chain, 2, 0, kHbm).makespan, 0);
  EXPECT_NEAR(schedule_chains(std::vector<Task>{task(DieUnit::kAic, 0)}, 2, 3, kHbm).makespan, 0,
              1e-12);
}

}  // namespace
}  // namespace cmsim::model
