#include "cmsim/base/process_pool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <tuple>

#include "cmsim/base/error.hpp"

namespace cmsim {
namespace {

using ::testing::HasSubstr;

std::string long_text() {
  std::string text(3'000'000, 'x');
  return text.append("\nend\n");
}

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

TEST(ProcessPool, OutcomesAreInTheOrderOfThePiecesHoweverTheyEnd) {
  std::vector<std::size_t> ended;
  PoolOptions options;
  options.jobs = 3;
  options.on_end = [&](std::size_t piece, const ChildOutcome&) { ended.push_back(piece); };
  const auto outcomes = run_in_children(
      3,
      [](std::size_t piece) {
        sleep_ms(150 - 70 * static_cast<int>(piece));
        return "piece " + std::to_string(piece);
      },
      options);
  ASSERT_EQ(outcomes.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(outcomes[i].ending, Ending::kDone);
    EXPECT_EQ(outcomes[i].text, "piece " + std::to_string(i));
    EXPECT_EQ(outcomes[i].attempts, 1);
  }
  EXPECT_THAT(ended, ::testing::UnorderedElementsAre(0u, 1u, 2u));
}

TEST(ProcessPool, AChildThatStaysTakesPieceAfterPiece) {
  PoolOptions options;
  options.jobs = 2;
  int in_all = 0;
  options.on_end = [&](std::size_t, const ChildOutcome&) { ++in_all; };
  int done = 0;  // in this process: 0 for ever
  options.stays = [&] { return ++done % 5 != 0; };
  const auto work = [](std::size_t piece) -> std::string {
    if (piece % 7 == 3) throw ConfigError("piece " + std::to_string(piece));
    return std::to_string(::getpid()) + (piece == 11 ? long_text() : "");
  };
  const auto outcomes = run_in_children(40, work, options);
  std::map<std::string, int> by_process;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    EXPECT_EQ(outcomes[i].ending, i % 7 == 3 ? Ending::kRefused : Ending::kDone);
    EXPECT_EQ(outcomes[i].attempts, 1);
    EXPECT_GE(outcomes[i].cpu, 0);
    EXPECT_GT(outcomes[i].peak_memory, 0);
    if (i % 7 == 3) {
      EXPECT_EQ(outcomes[i].text, "piece " + std::to_string(i));
    } else {
      ++by_process[outcomes[i].text.substr(0, outcomes[i].text.find('x'))];
    }
  }
  EXPECT_TRUE(outcomes[11].text.ends_with("x\nend\n"));
  EXPECT_EQ(in_all, 40);
  EXPECT_GE(by_process.size(), 8u);  // five pieces each
  EXPECT_LE(by_process.size(), 9u);
}

TEST(ProcessPool, APieceThatKillsAProcessThatStaysIsItsOwnAlone) {
  PoolOptions options;
  options.stays = [] { return true; };
  options.limits.attempts = 2;
  const auto outcomes = run_in_children(
      6,
      [](std::size_t piece) {
        if (piece == 2) ::raise(SIGKILL);
        return std::to_string(piece);
      },
      options);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    EXPECT_EQ(outcomes[i].ending, i == 2 ? Ending::kDied : Ending::kDone) << i;
    EXPECT_EQ(outcomes[i].attempts, i == 2 ? 2 : 1) << i;
  }
}

TEST(ProcessPool, AnAnswerLargerThanAPipeComesWhole) {
  const auto outcomes = run_in_children(1, [](std::size_t) { return long_text(); });
  EXPECT_EQ(outcomes[0].text, long_text());
}

TEST(ProcessPool, TellsWhatWasThrownByItsKind) {
  const auto outcomes = run_in_children(4, [](std::size_t piece) -> std::string {
    if (piece == 0) throw ConfigError("the key");
    if (piece == 1) throw SimulationError("the run");
    if (piece == 2) throw std::bad_alloc();
    throw std::logic_error("the bug");
  });
  EXPECT_EQ(outcomes[0].ending, Ending::kRefused);
  EXPECT_EQ(outcomes[0].text, "the key");
  EXPECT_EQ(outcomes[1].ending, Ending::kFailed);
  EXPECT_EQ(outcomes[1].text, "the run");
  EXPECT_EQ(outcomes[2].ending, Ending::kFailed);
  EXPECT_EQ(outcomes[3].ending, Ending::kBug);
  EXPECT_EQ(outcomes[3].text, "the bug");
}

TEST(ProcessPool, ADeathIsToldWithTheLastWordsAndTheOthersGoOn) {
  const auto outcomes = run_in_children(3, [](std::size_t piece) -> std::string {
    if (piece == 0) {
      std::ignore = ::write(STDERR_FILENO, "last words\n", 11);
      ::raise(SIGKILL);
    }
    if (piece == 1) ::_exit(7);
    return "fine";
  });
  EXPECT_EQ(outcomes[0].ending, Ending::kDied);
  EXPECT_THAT(outcomes[0].text, HasSubstr("signal 9 (Killed): last words"));
  EXPECT_EQ(outcomes[1].ending, Ending::kDied);
  EXPECT_THAT(outcomes[1].text, HasSubstr("exit code 7"));
  EXPECT_EQ(outcomes[2].text, "fine");
}

TEST(ProcessPool, WhatTakesTooLongIsKilled) {
  PoolOptions options;
  options.jobs = 2;
  options.limits.time = 0.1;
  const auto outcomes = run_in_children(
      2,
      [](std::size_t piece) -> std::string {
        while (piece == 0) sleep_ms(1000);
        return "fine";
      },
      options);
  EXPECT_EQ(outcomes[0].ending, Ending::kTooLong);
  EXPECT_EQ(outcomes[0].text, "took longer than 0.1 s");
  EXPECT_EQ(outcomes[1].text, "fine");
}

TEST(ProcessPool, MemoryIsLimitedInTheChildAlone) {
#ifdef CMSIM_SANITIZED
  GTEST_SKIP() << "under AddressSanitizer want of memory ends the process";
#endif
  PoolOptions options;
  options.limits.memory = 300'000'000;
  const auto outcomes = run_in_children(
      2,
      [](std::size_t piece) {
        std::string much;
        much.reserve(piece == 0 ? 1'000'000'000 : 10'000'000);  // space, not pages
        return std::to_string(much.capacity());
      },
      options);
  EXPECT_EQ(outcomes[0].ending, Ending::kFailed);
  EXPECT_THAT(outcomes[0].text, HasSubstr("not enough memory"));
  EXPECT_EQ(outcomes[1].text, "10000000");
  options.limits.memory = 1000;  // less than the process holds before it asks for any
  const auto none = run_in_children(
      1, [](std::size_t) { return std::string("x"); }, options);
  EXPECT_THAT(none[0].text, HasSubstr("not enough memory"));
  std::string ours;
  ours.reserve(1'000'000'000);
  EXPECT_EQ(ours.capacity(), 1'000'000'000u);
}

TEST(ProcessPool, WhatDiedIsTriedAgainAndWhatWasRefusedIsNot) {
  const auto marks =
      std::filesystem::temp_directory_path() / ("cmsim_pool." + std::to_string(::getpid()));
  std::filesystem::create_directories(marks);
  PoolOptions options;
  options.limits.attempts = 3;
  const auto outcomes = run_in_children(
      3,
      [&](std::size_t piece) -> std::string {
        if (piece == 1) throw ConfigError("no");
        if (piece == 2) ::raise(SIGKILL);
        for (const char* name : {"first", "second"}) {
          if (std::filesystem::exists(marks / name)) continue;
          std::ofstream(marks / name) << "was here";
          ::raise(SIGKILL);
        }
        return "third";
      },
      options);
  EXPECT_EQ(outcomes[0].text, "third");
  EXPECT_EQ(outcomes[0].attempts, 3);
  EXPECT_EQ(outcomes[1].ending, Ending::kRefused);
  EXPECT_EQ(outcomes[1].attempts, 1);
  EXPECT_EQ(outcomes[2].ending, Ending::kDied);
  EXPECT_EQ(outcomes[2].attempts, 3);
  std::filesystem::remove_all(marks);
}

TEST(ProcessPool, AnInterruptEndsWhatRunsAndKeepsWhatIsDone) {
  std::atomic<bool> interrupt = false;
  PoolOptions options;
  options.jobs = 2;
  options.interrupt = &interrupt;
  options.on_end = [&](std::size_t, const ChildOutcome&) { interrupt = true; };
  const auto outcomes = run_in_children(
      4,
      [](std::size_t piece) -> std::string {
        while (piece > 0) sleep_ms(1000);
        return "done";
      },
      options);
  EXPECT_EQ(outcomes[0].text, "done");
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(outcomes[i].ending, Ending::kNotEnded);
}

TEST(ProcessPool, AChildMayHaveChildren) {
  const auto outcomes = run_in_children(2, [](std::size_t piece) {
    return run_in_children(1, [&](std::size_t) { return std::to_string(piece); })[0].text;
  });
  EXPECT_EQ(outcomes[0].text + outcomes[1].text, "01");
}

TEST(ProcessPool, CountsTheProcessorTimeOfAPiece) {
  const auto outcomes = run_in_children(1, [](std::size_t) {
    const auto until = std::clock() + CLOCKS_PER_SEC / 10;
    while (std::clock() < until) {
    }
    return std::string();
  });
  EXPECT_GT(outcomes[0].cpu, 0.09);
  EXPECT_GT(outcomes[0].peak_memory, 1'000'000);
}

}  // namespace
}  // namespace cmsim
