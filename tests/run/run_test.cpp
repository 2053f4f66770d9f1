#include "cmsim/run/run.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/run/runs.hpp"

namespace cmsim::run {
namespace {

TEST(Run, EveryRequestEndsOnceAndItsPhasesAddUp) {
  const Result r = run_with(
      R"({"requests": 300, "prompt_length": 3000, "output_length": 40,
          "arrivals": {"kind": "poisson", "rate": 100}})");
  EXPECT_EQ(r.requests.total, 300);
  EXPECT_EQ(r.requests.finished, 300);
  EXPECT_FALSE(r.partial);
  EXPECT_EQ(r.total_input_tokens, 300 * 3000);
  EXPECT_EQ(r.total_output_tokens, 300 * 40);
  double share = 0;
  for (const metrics::PhaseResult& phase : r.whole_run.phases) share += phase.share;
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_NEAR(transfers(r, "kv_pull").bytes, 300.0 * 3000 * 70272, 1);
}

TEST(Run, ThroughputAndLatencyObeyLittlesLaw) {
  // A closed loop of 64: in flight = rate * latency, ramp and drain being short against the run.
  const Result r = run_with(
      R"({"requests": 4000, "prompt_length": 1000, "output_length": 20,
          "arrivals": {"kind": "closed_loop", "concurrency": 64}})");
  EXPECT_NEAR(r.request_throughput * r.whole_run.e2el_ms.mean * 1e-3, 64, 2);
}

// 4 + 4 NPUs: 8 ranks with 2 slots each hold 16 of 24 requests at once.
TEST(Run, ServesWithAttentionAndExpertsApart) {
  const Result result = run_with(
      R"({"role": "decode", "requests": 24, "prompt_length": 4096, "output_length": 64,
          "arrivals": {"kind": "closed_loop", "concurrency": 24}})",
      {"/model/layers=4", "/deployment/decode/npus_per_instance=8", "/deployment/decode/ep=8",
       "/deployment/decode/attention/npus=4", "/deployment/decode/experts/npus=4",
       "/deployment/decode/max_num_seqs=4"});
  EXPECT_EQ(result.requests.finished, 24);
  EXPECT_GT(link(result, "die_ub", "out").utilisation, 0);
  ASSERT_TRUE(result.whole_run.decode);
  EXPECT_LE(result.whole_run.decode->mean_sequences, 16);
  const auto& outside = result.provenance.extrapolated;
  EXPECT_TRUE(std::ranges::any_of(outside, [](const metrics::Extrapolation& e) {
    return e.what == "decode/experts" && e.name == "on NPUs of their own";
  }));
}

TEST(Run, WhoIsDueWaitsAtTheClientUntilThereIsRoom) {
  // Ten requests due at 0, 1, ..., 9 ms, one in flight at a time: the n-th is sent when n latencies
  // have passed, n E2E - n ms after it was due, 4.5 (E2E - 1 ms) on average.
  const std::string requests =
      R"({"requests": 10, "prompt_length": 2000, "output_length": 2, "arrivals":
          {"kind": "constant", "rate": 1000, "concurrency": )";
  const std::vector<std::string> alike{"/decode/mtp/draft_tokens=0",
                                       "/deployment/cache/enabled=false"};
  const Result one = run_with(requests + "1}}", alike);
  EXPECT_NEAR(phase_ms(one, "client_wait"), 4.5 * (one.whole_run.e2el_ms.mean - 1),
              1e-6 * one.whole_run.e2el_ms.mean);
  EXPECT_EQ(phase_ms(run_with(requests + "10}}", alike), "client_wait"),
            -1);  // nobody waits: no such phase
}

TEST(Run, AHorizonCutsTheRunAndNamesTheReason) {
  const Result r = run_with(
      R"({"requests": 50, "prompt_length": 3000, "output_length": 4000,
          "arrivals": {"kind": "constant", "rate": 10}})",
      {"/horizon=2s"});
  EXPECT_TRUE(r.partial);
  EXPECT_EQ(r.requests.total, 50);
  EXPECT_EQ(r.requests.finished, 0);
  EXPECT_EQ(r.requests.unfinished, 50);
  // 2 s at 10 requests/s: some 20 were sent, the others were not.
  std::int64_t sum = 0;
  for (const auto& [reason, count] : r.requests.not_finished) sum += count;
  EXPECT_EQ(sum, 50);
  EXPECT_EQ(r.requests.not_finished.size(), 2u);
}

TEST(Run, AHorizonCutsAtItsDateAndNotAtTheNextEvent) {
  const Result r = run_with(kOneRequest, {"/horizon=3us"});  // a prefill takes far longer
  EXPECT_DOUBLE_EQ(r.elapsed, 3e-6);
  EXPECT_EQ(r.requests.unfinished, 1);
  const Result later = run_with(kOneRequest, {"/horizon=1h"});  // all was done before
  EXPECT_FALSE(later.partial);
  EXPECT_LT(later.elapsed, 60);
}

TEST(Run, AnInterruptEndsItWithWhatItHas) {
  const std::atomic<bool> interrupt = true;
  const Scenario scenario =
      load_scenario(default_scenario(),
                    {R"(/workload={"requests": 20000, "prompt_length": 3000, "output_length": 400,
          "arrivals": {"kind": "constant", "rate": 10}})"});
  RunOptions options;
  options.interrupt = &interrupt;
  const Result r = run(scenario, options);
  EXPECT_TRUE(r.partial);
  EXPECT_GT(r.requests.unfinished, 0);
  EXPECT_EQ(r.requests.total, 20000);
}

TEST(Run, AShiftOfTheTraceChangesNoFigureOfALink) {
  const auto trace = std::filesystem::temp_directory_path() /
                     ("cmsim_shift." + std::to_string(getpid()) + ".jsonl");
  const auto links_after = [&](int shift_ms) {
    std::ofstream file(trace);
    for (int i = 0; i < 200; ++i) {
      file << R"({"timestamp": )" << shift_ms + 10 * i
           << R"(, "input_length": 4000, "output_length": 20})"
           << "\n";
    }
    file.close();
    return run(load_scenario(default_scenario(),
                             {R"(/workload={"arrivals": {"kind": "trace"}, "trace": ")" +
                              trace.string() + "\"}"}))
        .whole_run.links;
  };
  const auto now = links_after(0), later = links_after(3'600'000);
  std::filesystem::remove(trace);
  double busiest = 0;
  for (std::size_t i = 0; i < now.size(); ++i) {
    EXPECT_NEAR(later[i].utilisation, now[i].utilisation, 1e-6 * now[i].utilisation) << now[i].name;
    busiest = std::max(busiest, now[i].utilisation);
  }
  EXPECT_GT(busiest, 1e-5);
}

TEST(Run, APromptLongerThanAnyKvSpaceIsRejectedAndCounted) {
  // A decode die keeps some 0.5 million tokens; a prompt of 1 million fits nowhere.
  const Result r = run_with(
      R"({"requests": 3, "prompt_length": 1000000, "output_length": 10,
          "arrivals": {"kind": "all_at_once"}})");
  EXPECT_EQ(r.requests.rejected, 3);
  EXPECT_FALSE(r.partial);
  ASSERT_EQ(r.requests.not_finished.size(), 1u);
  EXPECT_EQ(r.requests.not_finished[0].first, serve::to_string(serve::Reason::kPromptExceedsKv));
}

TEST(Run, AnEarlyRejectionIsCounted) {
  // 60 prompts at once on one instance: a batch takes some 2 s, so those of later ones are late.
  const Result result = run_with(
      R"({"role": "prefill", "requests": 60, "prompt_length": 60000, "output_length": 1,
          "arrivals": {"kind": "all_at_once"}})",
      {"/deployment/prefill/instances=1", "/policies/prefill_admission=ttft", "/slo/ttft=5s"});
  EXPECT_GT(result.requests.finished, 0);
  EXPECT_GT(result.requests.rejected, 0);
  ASSERT_EQ(result.requests.not_finished.size(), 1u);
  EXPECT_EQ(result.requests.not_finished[0].first, "rejected_early");
  EXPECT_EQ(result.whole_run.service.classes[0].rejected, result.requests.rejected);
  EXPECT_LE(result.whole_run.ttft_ms.max, 5000);
}

TEST(Run, SloAdmissionFillsDecodeUpToItsTarget) {
  const Result result = run_with(
      R"({"role": "decode", "requests": 12000, "prompt_length": 2048, "output_length": 40,
          "population": "empty", "arrivals": {"kind": "closed_loop", "concurrency": 9000}})",
      {"/policies/decode_admission=slo", "/slo/tpot=30ms"});
  EXPECT_LE(result.whole_run.tpot_ms.mean, 30);
  EXPECT_GE(result.whole_run.decode->iteration_ms.max, 0.9 * 30 * 1.7);  // 1.7 tokens a step
}

TEST(Run, AnImposedHitRateIsWhatTheCacheReports) {
  const Result r = run_with(kOneRequest, {"/deployment/cache/reuse=0.5"});
  ASSERT_TRUE(r.cache.imposed_reuse);
  EXPECT_EQ(r.cache.lookup_tokens, 4096);
  EXPECT_EQ(r.cache.hit_tokens, 2048);
}

TEST(Run, SaysWhatAnotherSeedWouldDraw) {
  const auto redrawn = [](const std::string& workload, std::vector<std::string> sets = {}) {
    return run_with(workload, std::move(sets)).provenance.seed_redraws;
  };
  using List = std::vector<std::string>;
  EXPECT_EQ(redrawn(kOneRequest), (List{"serve/mtp"}));
  EXPECT_EQ(redrawn(kOneRequest, {"/decode/mtp/draft_tokens=0"}), List{});
  EXPECT_EQ(redrawn(R"({"requests": 20, "prompt_length": 100, "output_length": 50,
                        "population": "stationary", "arrivals": {"kind": "poisson", "rate": 50}})"),
            (List{"work/arrivals", "run/population", "serve/mtp"}));
}

TEST(Run, ProvenanceSaysWhatWasRun) {
  const Result r = run_with(kOneRequest);
  EXPECT_FALSE(r.provenance.version.empty());
  EXPECT_EQ(r.provenance.digest.size(), 16u);
  EXPECT_EQ(r.provenance.workload_digest.size(), 16u);
  EXPECT_FALSE(r.provenance.simgrid.empty());
  EXPECT_EQ(r.provenance.network, "analytic");
}

}  // namespace
}  // namespace cmsim::run
