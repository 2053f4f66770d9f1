// Who has which role, over a part of a run.
#include "src/metrics/role_times.hpp"

#include <gtest/gtest.h>

#include <array>

namespace cmsim::metrics {
namespace {

using serve::InstanceState;
using serve::RoleEvent;

// Two blocks of 16 NPUs; the second leaves decode at 10, is empty at 14, and prefills from 20 on.
TEST(RoleTimes, AreOfThePart) {
  const std::array<RoleEvent, 5> events{{{0, 0, 0, 16, InstanceState::kServing, false},
                                         {0, 0, 1, 16, InstanceState::kServing, true},
                                         {10, 0, 1, 16, InstanceState::kDraining, true},
                                         {14, 0, 1, 16, InstanceState::kLoading, false},
                                         {20, 0, 1, 16, InstanceState::kServing, false}}};
  const ProportionResult all = proportion_of(events, 0, 40);
  EXPECT_DOUBLE_EQ(all.prefill_npus, 16 + 16 * 20 / 40.0);
  EXPECT_DOUBLE_EQ(all.decode_npus, 16 * 14 / 40.0);
  EXPECT_DOUBLE_EQ(all.draining_npus, 16 * 4 / 40.0);
  EXPECT_DOUBLE_EQ(all.loading_npus, 16 * 6 / 40.0);
  EXPECT_EQ(all.changes, 1);
  const ProportionResult part = proportion_of(events, 12, 18);
  EXPECT_DOUBLE_EQ(part.decode_npus, 16 * 2 / 6.0);
  EXPECT_DOUBLE_EQ(part.loading_npus, 16 * 4 / 6.0);
  EXPECT_EQ(part.changes, 0);
}

}  // namespace
}  // namespace cmsim::metrics
