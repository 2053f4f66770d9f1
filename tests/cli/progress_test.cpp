#include "src/cli/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>

#include <sstream>

#include "tests/cli/process.hpp"

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

TEST(Progress, DrawsInPlaceWithoutEscapes) {
  const WorkDirectory here;
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  ASSERT_EQ(grantpt(terminal), 0);
  ASSERT_EQ(unlockpt(terminal), 0);
  const std::string slave = ptsname(terminal);
  const std::string many = R"(/workload={"requests": 2000000, "prompt_length": 500,
      "output_length": 400, "arrivals": {"kind": "constant", "rate": 20}})";
  std::string shown;
  const auto read_some = [&](int patience_ms) {
    pollfd ready{terminal, POLLIN, 0};
    char buffer[4096];
    if (poll(&ready, 1, patience_ms) <= 0) return false;
    const ssize_t count = read(terminal, buffer, sizeof buffer);
    if (count > 0) shown.append(buffer, static_cast<std::size_t>(count));
    return count > 0;
  };
  const Outcome run = here.cmsim(
      {"run", kScenario, "--set", many, "--json"},
      [&](pid_t child) {
        read_some(60'000);  // the first line
        read_some(60'000);
        kill(child, SIGINT);
        while (read_some(60'000)) {  // until the child has closed its end
        }
      },
      [&] { dup2(open(slave.c_str(), O_RDWR | O_NOCTTY), STDERR_FILENO); });
  close(terminal);
  EXPECT_EQ(run.code, 3);
  EXPECT_THAT(shown, testing::HasSubstr("\r["));
  EXPECT_THAT(shown, testing::HasSubstr(" of 2,000,000 requests, "));
  EXPECT_EQ(shown.find('\033'), std::string::npos);
  std::istringstream lines(shown);
  for (std::string line; std::getline(lines, line, '\r');) EXPECT_LT(line.size(), 80u) << line;
}

}  // namespace
}  // namespace cmsim::cli
