// Exchanges and transfers on the same links, in runs.
#include <gtest/gtest.h>

#include "tests/run/runs.hpp"

namespace cmsim::run {
namespace {

constexpr const char* kPrompts =
    R"({"requests": 200, "prompt_length": 4096, "output_length": 20, "role": "prefill",
        "arrivals": {"kind": "poisson", "rate": 200}})";

Result prefill_on(const std::string& network, const std::string& link_bandwidth,
                  std::vector<std::string> more = {}) {
  more.insert(more.end(), {"/network=" + network, "/deployment/cache/reuse=0.5",
                           "/platform/ub/link_bandwidth=" + link_bandwidth});
  return run_with(kPrompts, more);
}

TEST(Contention, IsNoneWhereTransfersUseOtherLinks) {
  constexpr const char* kDecode =
      R"({"requests": 640, "prompt_length": 1000, "output_length": 40, "role": "decode",
          "arrivals": {"kind": "all_at_once"}})";
  const Result alone = run_with(kDecode), together = run_with(kDecode, {"/network=hose"});
  ASSERT_EQ(alone.steps.size(), together.steps.size());
  auto other = together.steps.begin();
  for (const metrics::Iteration& step : alone.steps) {
    EXPECT_EQ(step.end, other->end);
    ++other;
  }
  EXPECT_EQ(together.whole_run.decode->contention, 0);
}

// Wires an eighth as wide: exchanges keep the ports of prefill busy for most of the time, and reads
// and writes of the cache wait for them, while they slow the exchanges less, being few flows.
TEST(Contention, AThinFabricMakesReadsAndExchangesFight) {
  const Result alone = prefill_on("analytic", "3.5GB/s"), together = prefill_on("hose", "3.5GB/s");
  EXPECT_EQ(alone.whole_run.prefill->contention, 0);
  EXPECT_GT(together.whole_run.prefill->contention, 0.001);
  EXPECT_LT(together.whole_run.prefill->contention, 0.2);
  for (const char* kind : {"cache_read", "cache_write"}) {
    EXPECT_GT(transfers(together, kind).mean_ms, 2.5 * transfers(alone, kind).mean_ms) << kind;
  }
}

// What is shared is shared less on wider wires.
TEST(Contention, FadesOnWideWires) {
  const double thin = prefill_on("hose", "3.5GB/s").whole_run.prefill->contention;
  const double wide = prefill_on("hose", "280GB/s").whole_run.prefill->contention;
  EXPECT_LT(wide, thin / 4);
}

// Instances of 12 NPUs cut nodes of 8 in two: two of them share the thin uplinks of a node, with no
// transfer in sight.
TEST(Contention, IsBetweenInstancesToo) {
  const auto prefill = [](const std::string& network) {
    return run_with(
        R"({"requests": 50, "prompt_length": 4096, "output_length": 10, "role": "prefill",
            "arrivals": {"kind": "all_at_once"}})",
        {"/network=" + network, "/deployment/cache/enabled=false",
         "/deployment/prefill/instances=3", "/deployment/prefill/npus_per_instance=12",
         "/deployment/prefill/ep=24", "/platform/ub/link_bandwidth=3.5GB/s",
         "/platform/ub/l2_chips_per_plane=2"});
  };
  EXPECT_EQ(prefill("analytic").whole_run.prefill->contention, 0);
  const Result together = prefill("auto");
  EXPECT_EQ(together.provenance.network_note,
            "hose: exchanges of several instances share uplink links");
  EXPECT_GT(together.whole_run.prefill->contention, 0.1);
}

TEST(Network, AutoIsTheFirstRungThatLeavesNothingOut) {
  const auto chosen = [](std::vector<std::string> sets) {
    sets.emplace_back("/network=auto");
    const Result result = run_with(kPrompts, sets);
    return result.provenance.network + "; " + result.provenance.network_note;
  };
  EXPECT_EQ(chosen({}), "hose; hose: transfers and exchanges share die_ub links");
  EXPECT_EQ(chosen({"/deployment/cache/enabled=false"}),
            "analytic; analytic: exchanges share no link with transfers or other instances");
  EXPECT_EQ(chosen({"/deployment/cache/plane=vpc", "/deployment/cache/reuse=0.5"}),
            "analytic; analytic: exchanges share no link with transfers or other instances");
}

}  // namespace
}  // namespace cmsim::run
