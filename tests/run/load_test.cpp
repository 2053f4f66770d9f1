// What a system is offered against what it sustains, and which requests a latency belongs to.
#include "cmsim/metrics/load.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "cmsim/work/synthesize.hpp"
#include "cmsim/work/trace_writer.hpp"
#include "src/run/decode_mix.hpp"
#include "tests/run/runs.hpp"

namespace cmsim::run {
namespace {

class SpedUp : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(file_); }

  void write(const work::SynthesisSpec& spec) const {
    std::ofstream stream(file_);
    work::write_mooncake_jsonl(work::synthesize(spec, 7), stream);
  }
  Result at(int speed) const {
    return run(scenario_with(
        {"/workload/trace=" + file_.string(), "/workload/time_scale=" + std::to_string(speed)}));
  }
  /// Once it is too much, more of it is too much as well, and never stable again.
  void expect_monotone(metrics::Load first, metrics::Load last) const {
    metrics::Load worst = first;
    for (const int speed : {1, 2, 4, 8, 16, 40, 100}) {
      const Result result = at(speed);
      EXPECT_GE(result.load.load, worst) << speed;
      worst = std::max(worst, result.load.load);
      if (speed == 1) {
        EXPECT_EQ(result.load.load, first);
      }
    }
    EXPECT_EQ(worst, last);
  }

  const std::filesystem::path file_ = std::filesystem::temp_directory_path() /
                                      ("cmsim_load." + std::to_string(getpid()) + ".jsonl");
};

TEST_F(SpedUp, ATraceOfLongPromptsIsNeverStableAgain) {
  work::SynthesisSpec spec{.requests = 1000};
  spec.arrivals.rate = 20;
  spec.prompt.mean = 8000;
  write(spec);
  expect_monotone(metrics::Load::kStable, metrics::Load::kOverloaded);
}

TEST_F(SpedUp, ATraceOfLongAnswersIsNeverStableAgain) {
  work::SynthesisSpec spec{.requests = 1000};
  spec.arrivals.rate = 100;
  spec.prompt.mean = 500;
  spec.output.mean = 4000;
  write(spec);
  expect_monotone(metrics::Load::kOverloaded, metrics::Load::kOverloaded);
}

TEST_F(SpedUp, WhatIsOfferedIsInProportionThoughNoWindowIsFound) {
  // Requests that all have the same lengths, 20 a second for 25 s: at 40 times the speed the 500
  // are there within a 40th of the run, and what is offered is 40 times as much.
  work::SynthesisSpec spec{.requests = 500};
  spec.arrivals = {.kind = work::ArrivalKind::kConstant, .rate = 20};
  spec.prompt = {.mean = 8000, .cv = 0};
  spec.output = {.mean = 1000, .cv = 0};
  write(spec);
  const Result slow = at(1), fast = at(40);
  EXPECT_NE(slow.window.rule, metrics::WindowRule::kWholeRun);
  EXPECT_EQ(fast.window.rule, metrics::WindowRule::kWholeRun);
  EXPECT_NEAR(slow.load.decode->offered, 20 * 1000, 0.01 * 20000);
  EXPECT_NEAR(fast.load.decode->offered, 800 * 1000, 1);
  EXPECT_NEAR(fast.load.decode->within_slo, slow.load.decode->within_slo,
              0.01 * slow.load.decode->within_slo);
  EXPECT_TRUE(std::isnan(fast.window.needed));
}

TEST(DecodeMix, OfEqualRequestsHasTheStepOfAnEvenBatch) {
  // 640 requests of 4,000 + 2 tokens on 320 dies: two on each, of 8,000 to 8,002 tokens of context.
  const Scenario scenario = scenario_with({});
  const StepModels models = make_step_models(scenario, make_role_experts(scenario));
  const std::vector<Lengths> lengths(10, {4000, 2});
  const DecodeMix mix(lengths, scenario, *models.decode, RandomStream(1, "test"));
  const std::vector<std::int32_t> sequences(320, 2);
  const std::vector<std::int64_t> tokens(320, 8000);
  const Seconds even = models.decode->iteration({sequences, tokens}).duration;
  EXPECT_NEAR(mix.step(640), even, 1e-3 * even);
  EXPECT_DOUBLE_EQ(mix.rate(640), 640 * 1.7 / mix.step(640));  // 1 + 0.7 accepted drafts
  EXPECT_EQ(mix.rate(0), 0);
  EXPECT_EQ(mix.members().size(), 15360u);  // 96 slots on each of 160 NPUs
  EXPECT_EQ(mix.most([](std::size_t n) { return n <= 77; }), 77u);
}

// Node 2 has dies 32 to 47, half of the second of six prefill instances. All its chips at a
// twentieth: what prefill sustains falls by what that instance loses, less than a sixth.
TEST(Load, IsOfEveryInstanceAtItsPlace) {
  const auto sustained = [](std::vector<std::string> sets) {
    sets.emplace_back("/horizon=20s");
    return run(scenario_with(sets)).load.prefill->sustained;
  };
  std::string parts;
  for (int plane = 0; plane < 7; ++plane) parts += "l1:2/" + std::to_string(plane) + "=5% ";
  parts.pop_back();
  const double whole = sustained({}), slow = sustained({"/faults/degrade=" + parts});
  EXPECT_LT(slow, 0.99 * whole);
  EXPECT_GT(slow, 5.0 / 6 * whole);
}

TEST(DecodeMix, LeavesOutWhatFitsNowhere) {
  const Scenario scenario = scenario_with({});
  const StepModels models = make_step_models(scenario, make_role_experts(scenario));
  const Tokens space = models.decode->kv_capacity_per_die();
  const std::vector<Lengths> too_long{{space, 1}}, filling{{space - 1, 1}};
  const auto members = [&](const std::vector<Lengths>& lengths) {
    return DecodeMix(lengths, scenario, *models.decode, RandomStream(1, "test")).members().size();
  };
  EXPECT_EQ(members(too_long), 0u);
  EXPECT_EQ(members(filling), 320u);  // one a die
}

/// By `cmsim sweep cloudmatrix384 --capacity slo` the default scenario carries 194.5 requests/s.
class Rho : public testing::TestWithParam<int> {};

TEST_P(Rho, IsTheRateOverTheCapacity) {
  const Result r = run(scenario_with({"/workload/arrivals/rate=" + std::to_string(GetParam())}));
  const double share = GetParam() / 194.5;
  EXPECT_NEAR(r.load.decode->rho(), share, 0.1 * share);
}
INSTANTIATE_TEST_SUITE_P(Rates, Rho, testing::Values(40, 80, 120, 160, 200));

TEST(Cohort, OfTheDefaultScenarioObeysLittlesLaw) {
  // Mean number in the system = throughput x mean E2E; nothing is chosen on the left.
  const Result r = run(scenario_with({}));
  double in_system = 0;
  for (const metrics::QueueResult& queue : r.measured.queues) in_system += queue.mean;
  const double little_ms = in_system / r.measured.request_throughput * 1e3;
  EXPECT_NEAR(r.measured.e2el_ms.mean, little_ms, 0.03 * little_ms);
  // Those that end in the window, but for those whose beginning nobody saw, are the short ones.
  double sum = 0, count = 0;
  for (const serve::RequestRecord& record : r.records) {
    if (record.initial_tokens > 0 || record.finished > r.window.to) continue;
    sum += (record.finished - record.sent) * 1e3;
    ++count;
  }
  EXPECT_LT(sum / count, 0.8 * little_ms);
  // Of all requests those sent last end while the system empties, in ever shorter steps.
  EXPECT_LT(r.whole_run.e2el_ms.mean, r.measured.e2el_ms.mean);
  EXPECT_NEAR(r.measured.e2el_ms.mean, r.whole_run.e2el_ms.mean, 0.05 * little_ms);
  double phases = 0;
  for (const metrics::PhaseResult& phase : r.measured.phases) {
    phases += phase.ms.mean * static_cast<double>(phase.ms.count);
  }
  EXPECT_NEAR(phases / static_cast<double>(r.measured.e2el_ms.count), r.measured.e2el_ms.mean,
              1e-6 * little_ms);
}

TEST(Cohort, OfAFullClosedLoopObeysLittlesLaw) {
  const std::filesystem::path file =
      std::filesystem::path(CMSIM_SOURCE_DIR) / "workloads/scenarios/paper-decode.json";
  const Result r = run(load_scenario(file));
  const double little_ms = 15360 / r.measured.request_throughput * 1e3;
  EXPECT_NEAR(r.measured.e2el_ms.mean, little_ms, 0.01 * little_ms);
  EXPECT_TRUE(std::isnan(r.load.arrival_rate));
}

}  // namespace
}  // namespace cmsim::run
