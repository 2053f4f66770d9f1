#include "src/cli/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cmsim::cli {
namespace {

TEST(Progress, SaysHowMuchIsDoneAndHowLongItTakes) {
  // A quarter took 30 s, so the rest takes 90.
  EXPECT_THAT(progress_text(250, 1000, 12.5, 30, 79),
              testing::EndsWith("] 250 of 1,000 requests, 12 s simulated, 1 min 30 s left"));
  EXPECT_THAT(progress_text(1, 1000, 12.5, 30, 79), testing::EndsWith("s simulated"));
}

TEST(Progress, FitsTheTerminal) {
  for (const std::size_t columns : {19u, 40u, 79u, 200u}) {
    for (const std::int64_t total : {1, 60'000, 50'000'000}) {
      for (const std::int64_t ended : {std::int64_t{0}, total / 2, total}) {
        const std::string text = progress_text(ended, total, 9.9e6, 86400, columns);
        EXPECT_LE(text.size(), columns);
        EXPECT_EQ(text.find_first_of("\r\n\033"), std::string::npos);
      }
    }
  }
}

}  // namespace
}  // namespace cmsim::cli
