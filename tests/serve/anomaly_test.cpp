// Better hardware, longer run: the anomaly of list scheduling (R. L. Graham, "Bounds on
// Multiprocessing Timing Anomalies", 1969) as docs/output.md tells it under `duration`.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/serve/harness.hpp"

namespace cmsim::serve {
namespace {

using testing::Harness;

/// Two decode slots; two requests of 1,000 prompt and 50 output tokens, then one of 100 and 100.
/// Each has a prefill instance of its own; KV moves at 1 us a token, a step takes 50 ms.
void run_three(Harness& h, Seconds prefill_per_token) {
  h.config.deployment.prefill = {3, 1, 2, 1000};
  h.config.deployment.decode = {1, 1, 2, 2};  // a slot a die
  h.runtime.wire(coll::Plane::kRdma).bandwidth = 1e9;
  h.prefill.per_token = prefill_per_token;
  h.run({{0, 1000, 50}, {0, 1000, 50}, {0.5, 100, 100}});
}

Seconds duration(const Harness& h) {
  return std::max({h.record(0).finished, h.record(1).finished, h.record(2).finished});
}

// 1 ms a token. The long request is prefilled from 0.5 to 0.6, before the others (1.0), and has a
// slot: it steps from 0.6001 to 5.6001. The first short one joins at the step that begins at
// 1.0501, until 3.5501; the second at 3.6001, until 6.1001.
TEST(Anomaly, TheLongRequestFirst) {
  Harness h;
  run_three(h, 1e-3);
  EXPECT_NEAR(h.record(2).decode_start, 0.6001, 1e-9);
  EXPECT_NEAR(h.record(2).finished, 5.6001, 1e-9);
  EXPECT_NEAR(h.record(0).finished, 3.5501, 1e-9);
  EXPECT_NEAR(h.record(1).finished, 6.1001, 1e-9);
  EXPECT_NEAR(duration(h), 6.1001, 1e-9);
}

// Prefill four times as fast. The short ones are prefilled at 0.25, before the long one is even
// sent, and step from 0.251 to 2.751; only then it has a slot, and runs alone from 2.7511
// to 7.7511.
TEST(Anomaly, FasterPrefillTakesItsPlaceAndLengthensTheRun) {
  Harness h;
  run_three(h, 0.25e-3);
  EXPECT_NEAR(h.record(0).finished, 2.751, 1e-9);
  EXPECT_NEAR(h.record(1).finished, 2.751, 1e-9);
  EXPECT_NEAR(h.record(2).decode_start, 2.7511, 1e-9);
  EXPECT_NEAR(duration(h), 7.7511, 1e-9);  // 27 % more than 6.1001

  Harness slow;
  run_three(slow, 1e-3);
  EXPECT_GT(duration(h), 1.25 * duration(slow));
  // Graham's bound for two machines, 2 - 1/2.
  EXPECT_LT(duration(h), 1.5 * duration(slow));
  // Each was prefilled sooner, and the mean latency fell: (2.751 + 2.751 + 7.2511) / 3 = 4.25 s
  // after (3.5501 + 6.1001 + 5.1001) / 3 = 4.92 s.
  double before = 0, after = 0;
  for (const int id : {0, 1, 2}) {
    EXPECT_LT(h.record(id).prefill_end, slow.record(id).prefill_end);
    before += slow.record(id).finished - slow.record(id).arrival;
    after += h.record(id).finished - h.record(id).arrival;
  }
  EXPECT_NEAR(before / 3, 4.9168, 1e-4);
  EXPECT_NEAR(after / 3, 4.2510, 1e-4);
}

}  // namespace
}  // namespace cmsim::serve
