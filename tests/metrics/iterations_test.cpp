#include "cmsim/metrics/iterations.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace cmsim::metrics {
namespace {

TEST(Iterations, ComeBackAsTheyWere) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const std::vector<Iteration> edges{
      {},
      {.start = 1.0 / 3, .end = 86400.1, .instance = 5, .sequences = 7, .continuing = 9},
      {.start = 0.1, .end = 0.2, .tokens = -1, .context = kMost, .late = 1e-300},
      {.end = -0.0, .bytes_per_die = {kMost, 0, kMost, 1}, .cached_blocks = -kMost},
      {.start = std::numeric_limits<double>::infinity(), .late = -1}};
  Iterations kept;
  for (int i = 0; i < 5000; ++i) kept.push_back(edges[static_cast<std::size_t>(i % 5)]);  // chunks
  ASSERT_EQ(kept.size(), 5000u);
  std::size_t i = 0;
  for (const Iteration& iteration : kept) EXPECT_EQ(iteration, edges[i++ % 5]) << i;
  EXPECT_EQ(i, 5000u);
  EXPECT_TRUE(Iterations().begin() == Iterations().end());
}

}  // namespace
}  // namespace cmsim::metrics
