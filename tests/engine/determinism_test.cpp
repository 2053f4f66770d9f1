#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <ctime>
#include <functional>
#include <vector>

#include "cmsim/base/random.hpp"
#include "cmsim/engine/runtime.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::engine {
namespace {

using hw::cloudmatrix;

/// Starts transfers one after another, `in_flight` of them at a time, and calls `ended` with each.
class Churn {
 public:
  Churn(SimGridRuntime& runtime, std::uint64_t seed, int transfers)
      : runtime_(runtime), random_(seed, "churn"), left_(transfers) {}

  void run(int in_flight, std::function<void(int)> ended) {
    ended_ = std::move(ended);
    for (int i = 0; i < in_flight; ++i) start();
    runtime_.run();
  }

 private:
  void start() {
    if (left_-- <= 0) return;
    const auto from = static_cast<int>(random_.uniform_int(0, 767));
    const auto to = static_cast<int>((from + random_.uniform_int(1, 767)) % 768);
    const int number = next_++;
    runtime_.transfer({hw::die(from), hw::die(to), random_.uniform_int(1, 100'000'000),
                       coll::Plane::kRdma, coll::Op::kRead},
                      [this, number](const coll::Outcome&) {
                        ended_(number);
                        start();
                      });
  }

  SimGridRuntime& runtime_;
  RandomStream random_;
  int left_;
  int next_ = 0;
  std::function<void(int)> ended_;
};

/// A digest of the order and the dates (to the last bit) of 3,000 transfers.
std::uint64_t digest(std::uint64_t seed) {
  SimGridRuntime runtime(cloudmatrix());
  std::uint64_t hash = 1469598103934665603ULL;  // FNV-1a over 64-bit words
  const auto add = [&](std::uint64_t word) { hash = (hash ^ word) * 1099511628211ULL; };
  Churn churn(runtime, seed, 3000);
  churn.run(64, [&](int number) {
    const double now = runtime.now();
    std::uint64_t bits;
    std::memcpy(&bits, &now, sizeof bits);
    add(static_cast<std::uint64_t>(number));
    add(bits);
  });
  return hash;
}

/// Computes the digest in a child, because a process has one SimGrid clock.
std::uint64_t digest_in_a_process_of_its_own(std::uint64_t seed) {
  int ends[2];
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    const std::uint64_t hash = digest(seed);
    const bool written = write(ends[1], &hash, sizeof hash) == sizeof hash;
    _exit(written ? 0 : 1);
  }
  std::uint64_t hash = 0;
  EXPECT_EQ(read(ends[0], &hash, sizeof hash), static_cast<ssize_t>(sizeof hash));
  int status = 1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  close(ends[0]);
  close(ends[1]);
  return hash;
}

TEST(Determinism, SameSeedSameBitsOtherSeedOtherBits) {
  const std::uint64_t first = digest_in_a_process_of_its_own(1);
  EXPECT_NE(first, 0u);
  EXPECT_EQ(digest_in_a_process_of_its_own(1), first);
  EXPECT_NE(digest_in_a_process_of_its_own(2), first);
}

TEST(Signals, SigintStaysAsItWas) {
  const auto handler = [](int) {};
  std::signal(SIGINT, handler);
  const SimGridRuntime runtime(cloudmatrix());
  EXPECT_EQ(std::signal(SIGINT, SIG_DFL), static_cast<void (*)(int)>(handler));
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// Guards against a change of order, not of per cents: about 0.5 us an event and 5 us a transfer are
// measured in a release build, and machines are shared and builds instrumented.
TEST(Speed, EventsAndTransfersAreCheap) {
  SimGridRuntime runtime(cloudmatrix());
  int left = 100'000;
  std::function<void()> tick = [&] {
    if (--left > 0) runtime.schedule_at(runtime.now() + 1e-3, coll::Priority::kArrival, tick);
  };
  double start = cpu_seconds();
  runtime.schedule_at(0, coll::Priority::kArrival, tick);
  runtime.run();
  EXPECT_LT((cpu_seconds() - start) / 100'000, 20e-6);

  start = cpu_seconds();
  Churn churn(runtime, 1, 5000);
  churn.run(64, [](int) {});
  EXPECT_LT((cpu_seconds() - start) / 5000, 200e-6);
}

}  // namespace
}  // namespace cmsim::engine
