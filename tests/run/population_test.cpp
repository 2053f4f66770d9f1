#include "src/run/population.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "cmsim/base/error.hpp"
#include "tests/run/runs.hpp"

namespace cmsim::run {
namespace {

Scenario decode_alone(const std::string& workload) {
  return load_scenario(default_scenario(), {"/workload=" + workload});
}

TEST(Population, OfAClosedLoopHasUniformAgesOnEveryDie) {
  // 15,360 slots on 320 dies: 48 strata; request n is (n / 320 + frac(0.5 + 0.618 (n mod 320))) /
  // 48 on its way. Those beyond the slots are not.
  const Scenario scenario = decode_alone(
      R"({"role": "decode", "requests": 20000, "prompt_length": 100, "output_length": 100,
          "arrivals": {"kind": "closed_loop", "concurrency": 16000}})");
  ASSERT_EQ(scenario.start, Start::kStationary);
  work::Trace trace = work::make_workload(scenario.workload, 1);
  add_population(trace, scenario, make_step_models(scenario, make_role_experts(scenario)));
  ASSERT_EQ(trace.progress.size(), 15360u);
  EXPECT_EQ(trace.rows.size(), 20000u);
  EXPECT_DOUBLE_EQ(trace.progress[0], 0.5 / 48);
  EXPECT_NEAR(trace.progress[321], (1 + 0.118034) / 48, 1e-8);
  double sum = 0;
  for (std::size_t i = 7; i < trace.progress.size(); i += 320) sum += trace.progress[i];
  EXPECT_NEAR(sum / 48, 0.5, 0.5 / 48);  // of one die
}

TEST(Population, OfAnOpenStreamObeysLittlesLaw) {
  // 60 requests/s of 400 output tokens, a token a step: 24,000 iterations/s. In a population of N,
  // a step takes T(N); N = 24,000 T(N).
  const Scenario scenario =
      load_scenario(default_scenario(), {R"(/workload={"requests": 6000, "prompt_length": 1000,
          "output_length": 400, "population": "stationary",
          "arrivals": {"kind": "constant", "rate": 60}})",
                                         "/decode/mtp/draft_tokens=0"});
  const Result r = run(scenario);
  const auto initial = static_cast<double>(r.requests.initial);
  EXPECT_EQ(r.requests.finished, r.requests.total);
  EXPECT_NEAR(static_cast<double>(r.requests.total) - initial, 6000, 20);  // some are too young
  EXPECT_NEAR(initial, 24000 * r.measured.decode->iteration_ms.mean * 1e-3, 0.03 * initial);
  EXPECT_NEAR(r.measured.queues[3].mean, initial, 0.03 * initial);
  EXPECT_TRUE(r.window.steady);
  EXPECT_EQ(r.window.rule, metrics::WindowRule::kStationaryStart);
}

TEST(Population, StartsWhereALongRunFromEmptyEnds) {
  // The same stream long enough for the system to fill from empty: outputs of some 300 steps of 45
  // ms take 14 s; after 60 s all is settled.
  const std::string workload =
      R"({"requests": 9000, "prompt_length": 1000, "output_length": 500,
          "arrivals": {"kind": "poisson", "rate": 60}, "population": ")";
  const Result warm = run_with(workload + "stationary\"}");
  const Result cold = run_with(workload + "empty\"}", {"/window/warmup=60s"});
  const auto near = [&](double a, double b) { EXPECT_NEAR(a, b, 0.03 * b); };
  near(warm.measured.tpot_ms.mean, cold.measured.tpot_ms.mean);
  near(warm.measured.queues[3].mean, cold.measured.queues[3].mean);
  near(warm.measured.decode->mean_context, cold.measured.decode->mean_context);
  near(warm.measured.output_throughput, cold.measured.output_throughput);
}

TEST(Population, MeetsLongAnswersInProportionToTheirLength) {
  // Answers of 100 and of 900 tokens, one after the other: nine of ten that are met are long, and
  // they are half done on average; three standard errors of some 400 draws are 0.045 of each.
  Scenario scenario =
      load_scenario(default_scenario(), {R"(/workload={"requests": 2000, "prompt_length": 1000,
          "output_length": 100, "population": "stationary",
          "arrivals": {"kind": "constant", "rate": 60}})"});
  work::Trace trace = work::make_workload(scenario.workload, 1);
  for (std::size_t i = 0; i < trace.rows.size(); i += 2) trace.rows[i].output_tokens = 900;
  add_population(trace, scenario, make_step_models(scenario, make_role_experts(scenario)));
  const std::size_t count = trace.progress.size();
  ASSERT_GT(count, 300u);
  double longs = 0, age = 0;
  for (std::size_t i = 0; i < count; ++i) {
    longs += trace.rows[i].output_tokens == 900 ? 1 : 0;
    age += trace.progress[i];
  }
  EXPECT_NEAR(longs / static_cast<double>(count), 0.9, 0.045);
  EXPECT_NEAR(age / static_cast<double>(count), 0.5, 0.045);
}

TEST(Population, NeedsAStreamOfArrivals) {
  EXPECT_THROW(run_with(R"({"requests": 20, "prompt_length": 100, "output_length": 100,
                            "population": "stationary", "arrivals": {"kind": "all_at_once"}})"),
               ConfigError);
  EXPECT_THROW(decode_alone(R"({"role": "prefill", "requests": 20, "prompt_length": 100,
                                "output_length": 1, "population": "stationary",
                                "arrivals": {"kind": "poisson", "rate": 5}})"),
               ConfigError);
}

}  // namespace
}  // namespace cmsim::run
