// cmsim sweep as a user meets it: tables, files, resuming, failing, parts, and a kill.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kTwentyRequests =
    R"(/workload={"requests": 20, "prompt_length": 2048, "output_length": 50, "arrivals": {"kind": "poisson", "rate": 20}})";

std::vector<std::string> sweep(std::vector<std::string> more) {
  std::vector<std::string> words{"sweep", kScenario, "--set", kTwentyRequests, "--out", "s"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::string csv(const WorkDirectory& here, const std::string& out = "s") {
  return content(here / (out + "/points.csv"));
}

/// Where a line breaks depends on how long the path of the scenario is.
std::string in_one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::size_t points_in(const WorkDirectory& here) {
  std::size_t count = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(here / "s/points", error)) {
    count += std::filesystem::exists(entry.path() / "point.json");
  }
  return count;
}

TEST(Sweep, ShowsMeansChangesAndElasticitiesAndWritesTables) {
  const WorkDirectory here;
  const Outcome result =
      here.cmsim(sweep({"--vary", "/deployment/prefill/max_num_batched_tokens=8192,16384", "--vary",
                        "/slo/ttft=1s,2s", "--seeds", "1..3", "--metric", "ttft", "--metric",
                        "verdict", "--jobs", "2"}));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(in_one_line(result.out), HasSubstr("12 points of 4 cells"));
  EXPECT_THAT(in_one_line(result.out), HasSubstr("95 % t-interval over 3 seeds (1..3)"));
  EXPECT_THAT(result.out, HasSubstr("max_num_batched_tokens  ttft"));
  EXPECT_THAT(result.out, HasSubstr("Change from /deployment/prefill/max_num_batched_tokens=8192"));
  EXPECT_THAT(result.out, HasSubstr("Elasticity"));
  EXPECT_THAT(result.err, HasSubstr("wrote s/points.csv\nwrote s/study.sqlite\n"));
  EXPECT_THAT(csv(here), StartsWith("number,digest,state,seed,params_/deployment/prefill/"
                                    "max_num_batched_tokens,params_/slo/ttft,values_ttft,"
                                    "values_verdict,request_rate,"));
  EXPECT_EQ(points_in(here), 12u);
}

// No share of nothing: 0 tokens hit, then some.
TEST(Sweep, AChangeFromZeroIsShownAsItIs) {
  const WorkDirectory here;
  const Outcome result = here.cmsim(
      {"sweep", kScenario, "--set",
       R"(/workload={"requests": 4, "prompt_length": 8000, "output_length": 5,
                     "arrivals": {"kind": "constant", "rate": 5}})",
       "--vary", "/deployment/cache/reuse=0,0.5", "--metric", "/cache/hit_tokens", "--out", "s"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\n0.5 *            +16,000\n"));
}

TEST(Sweep, MarksWhatIsNotStable) {
  // 200 requests of 8,000 tokens, at 5 and at 5,000 a second.
  const WorkDirectory here;
  const Outcome result =
      here.cmsim({"sweep", kScenario, "--set",
                  R"(/workload={"requests": 200, "prompt_length": 8000, "output_length": 5,
                     "arrivals": {"kind": "constant", "rate": 5}})",
                  "--vary", "/workload/arrivals/rate=5,5000", "--metric", "ttft", "--metric",
                  "verdict", "--out", "s"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, testing::ContainsRegex("\n5 +[0-9.]+ +stable\n"));
  EXPECT_THAT(result.out, testing::ContainsRegex("\n5000 \\* +[0-9,.]+ +overloaded\n"));
  EXPECT_THAT(result.out, testing::ContainsRegex("\nrate \\* +[0-9.]+"));  // the elasticity
  EXPECT_THAT(result.out, HasSubstr("\n* of runs that are not stable or not steady"));
}

TEST(Sweep, TheCommandOfAPointGivesItsResult) {
  const WorkDirectory here;
  ASSERT_EQ(here.cmsim(sweep({"--seeds", "7"})).code, 0);
  const auto folder = std::filesystem::directory_iterator(here / "s/points")->path();
  const Outcome alone =
      here.cmsim({"run", kScenario, "--set", kTwentyRequests, "--seed", "7", "--json"});
  // All but the words by which the run was asked for.
  const auto without_command = [](const std::string& text) {
    const std::size_t at = text.find("\"command\"");
    return text.substr(0, at) + text.substr(text.find('\n', at));
  };
  EXPECT_EQ(without_command(content(folder / "result.json")), without_command(alone.out));
}

TEST(Sweep, IsTheSameHoweverItIsRun) {
  const WorkDirectory here;
  const std::vector<std::string> axes{"--vary", "/slo/ttft=1s,2s,3s", "--seeds", "1..2"};
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"sweep", kScenario, "--set", kTwentyRequests};
    words.insert(words.end(), axes.begin(), axes.end());
    words.insert(words.end(), more.begin(), more.end());
    return here.cmsim(words);
  };
  const Outcome one = with({"--out", "one", "--jobs", "1"});
  const Outcome three = with({"--out", "three", "--jobs", "3"});
  EXPECT_EQ(one.out, three.out);
  for (const char* table : {"points.csv", "study.sqlite"}) {
    EXPECT_EQ(content(here / "one" / table), content(here / "three" / table)) << table;
  }
  for (const char* part : {"2/2", "1/2"}) {
    const Outcome shard = with({"--out", "parts", "--shard", part});
    EXPECT_EQ(shard.code, 0);
    EXPECT_EQ(shard.out, "");
    EXPECT_THAT(shard.err, HasSubstr("parallel cmsim sweep "));
    EXPECT_THAT(shard.err, HasSubstr("--shard {}/2 ::: $(seq 2)"));
    EXPECT_THAT(shard.err, HasSubstr("mpirun -n 2 sh -c "));
  }
  const Outcome gathered = with({"--out", "parts", "--gather"});
  EXPECT_EQ(gathered.code, 0);
  EXPECT_EQ(gathered.out, one.out);
  for (const char* table : {"points.csv", "study.sqlite"}) {
    EXPECT_EQ(content(here / "one" / table), content(here / "parts" / table)) << table;
  }
}

TEST(Sweep, TakesAShippedScenarioByNameAndItsOwnStudyFileAnywhere) {
  const WorkDirectory here;
  ASSERT_EQ(here.cmsim({"sweep", "paper-decode", "--metric", "tpot", "--out", "s"}).code, 0);
  EXPECT_THAT(content(here / "s/study.json"), HasSubstr("/workloads/scenarios/paper-decode.json"));
  EXPECT_EQ(here.cmsim({"sweep", "s/study.json", "--out", "s", "--gather"}).code, 0);
  const Outcome piped = here.cmsim({"sweep", "-", "--out", "t"});
  EXPECT_EQ(piped.code, 2);
  EXPECT_THAT(piped.err, HasSubstr("-: cannot be read again"));
}

TEST(Sweep, ResumesAndSaysWhatIsThere) {
  const WorkDirectory here;
  ASSERT_EQ(here.cmsim(sweep({"--seeds", "1..2"})).code, 0);
  const Outcome again = here.cmsim(sweep({"--seeds", "1..3"}));
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("add --resume"));
  EXPECT_EQ(here.cmsim(sweep({"--seeds", "1..3", "--resume"})).code, 0);
  EXPECT_EQ(points_in(here), 3u);
  const Outcome gather = here.cmsim(sweep({"--seeds", "1..4", "--gather"}));
  EXPECT_EQ(gather.code, 4);
  EXPECT_THAT(gather.err, HasSubstr("missing: 1 of 4 points\n"));
  // What the directory says of itself makes the same study.
  const Outcome itself = here.cmsim({"sweep", "s/study.json", "--out", "s", "--gather"});
  EXPECT_EQ(itself.code, 4) << itself.err;
  EXPECT_THAT(in_one_line(itself.out),
              HasSubstr("3 of 4 points of 1 cell, 1 missing; mean ± half of the 95 % "));
  EXPECT_THAT(itself.out, HasSubstr("\n3 of 4 seeds *  "));
  const Outcome printed = here.cmsim(sweep({"--seeds", "1..4", "--gather", "--json"}));
  const auto summary = nlohmann::json::parse(printed.out);
  const auto counts = nlohmann::json::parse(R"({"of": 4, "done": 3, "failed": 0, "missing": 1})");
  EXPECT_EQ(summary["points"], counts);
  EXPECT_EQ(summary["cells"][0]["points"], counts);
}

TEST(Sweep, CountsTheSeedsOfEachCellWhereSomeAreMissing) {
  const WorkDirectory here;
  ASSERT_EQ(here.cmsim(sweep({"--vary", "/slo/ttft=1s", "--seeds", "1..3"})).code, 0);
  const Outcome gather = here.cmsim(
      sweep({"--vary", "/slo/ttft=1s,2s", "--seeds", "1..3", "--gather", "--metric", "ttft"}));
  EXPECT_EQ(gather.code, 4);
  EXPECT_THAT(in_one_line(gather.out), HasSubstr("3 of 6 points of 2 cells, 3 missing; "));
  EXPECT_THAT(in_one_line(gather.out), HasSubstr("over the seeds that are there"));
  EXPECT_THAT(gather.out, HasSubstr("ttft  n "));
  EXPECT_THAT(gather.out, HasSubstr("\n1s *  3 "));
  EXPECT_THAT(gather.out, HasSubstr("\n2s    0 "));
  const Outcome nothing = here.cmsim(sweep({"--vary", "/slo/ttft=4s", "--gather"}));
  EXPECT_EQ(in_one_line(nothing.out),
            kScenario + ": 0 of 1 point of 1 cell, 1 missing; nothing to show ");
}

TEST(Sweep, AFailedPointIsToldAndTheOthersGoOn) {
  const WorkDirectory here;
  std::ofstream(here / "bad.jsonl") << "{\"timestamp\": 0}\n";
  const std::string good = kRoot + "/workloads/traces/r1-like.jsonl.gz";
  const Outcome result = here.cmsim({"sweep", kScenario, "--set", "/horizon=1s", "--trace", good,
                                     "--trace", "bad.jsonl", "--seeds", "1..2", "--out", "s"});
  EXPECT_EQ(result.code, 4) << result.err;
  EXPECT_THAT(result.err, HasSubstr("failed: 2 of 4 points\n  cmsim run "));
  EXPECT_THAT(result.err, HasSubstr(" (and 1 more)\n    bad.jsonl"));
  EXPECT_THAT(csv(here), HasSubstr(",failed,1,bad.jsonl"));
  EXPECT_THAT(csv(here), HasSubstr(",done,2,/"));
}

TEST(Sweep, ACellThatCannotBeLoadedIsSaidBeforeAnyRuns) {
  const WorkDirectory here;
  const Outcome result = here.cmsim(
      sweep({"--vary", "/policies/decode_routing=least_kv,rond_robin", "--seeds", "1..3"}));
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("rond_robin"));
  EXPECT_THAT(result.err, HasSubstr("(3 of 6 points; nothing was run)\n"));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
  EXPECT_FALSE(std::filesystem::exists(here / "s"));
}

TEST(Sweep, AMetricThatNoResultHasIsSaidBeforeAnyRunsOrAtTheFirst) {
  const WorkDirectory here;
  const auto error = [&](std::vector<std::string> words) {
    const Outcome result = here.cmsim(words);
    EXPECT_EQ(result.code, 2);
    return result.err;
  };
  EXPECT_THAT(error(sweep({"--metric", "e2el"})), HasSubstr("did you mean e2e?"));
  EXPECT_THAT(error(sweep({"--metric", "/window/tpot_ms/men"})),
              HasSubstr("did you mean /window/tpot_ms/mean?"));
  EXPECT_THAT(error(sweep({"--pareto", "ttft,tpo"})),
              HasSubstr("--pareto tpo: expected a JSON pointer"));
  EXPECT_THAT(error(sweep({"--capacity", "p99_tpot<50"})),
              HasSubstr("--capacity p99_tpot<50: use <="));
  EXPECT_FALSE(std::filesystem::exists(here / "s"));
  EXPECT_THAT(error({"sweep", kScenario, "--command", "step --phase decode", "--vary=--batch=8,96",
                     "--metric", "/losses/imbalance/shar", "--jobs", "1", "--out", "s"}),
              HasSubstr("did you mean /losses/imbalance/share? (stopped at the first result)"));
  EXPECT_EQ(points_in(here), 1u);
}

TEST(Sweep, OptionsOfARunAreSettingsOfItsPoints) {
  const WorkDirectory here;
  const Outcome rates =
      here.cmsim(sweep({"--vary=--rate=10,40", "--metric", "/load/arrival_rate", "--json"}));
  ASSERT_EQ(rates.code, 0) << rates.err;
  const auto cells = nlohmann::json::parse(rates.out).at("cells");
  const auto rate = [&](std::size_t cell) {
    return cells.at(cell).at("metrics").at("/load/arrival_rate").at("mean").get<double>();
  };
  EXPECT_NEAR(rate(1) / rate(0), 4, 0.01) << rates.out;  // the same draws, four times as fast
  const Outcome stranger = here.cmsim(sweep({"--vary=--nonsense=1,2"}));
  EXPECT_EQ(stranger.code, 2);
  EXPECT_THAT(stranger.err, HasSubstr("--nonsense 1: of run a study takes --set, --fail"));
  // What --command says of the machine is what a sensitivity changes: 10 % less than 1 TB/s.
  const Outcome sensitivity = here.cmsim(
      {"sweep", kScenario, "--command",
       "step --phase decode --batch 8 --set /platform/die/hbm_bandwidth=1TB/s", "--sensitivity",
       "/platform/die/hbm_bandwidth", "--metric", "duration", "--out", "h"});
  EXPECT_EQ(sensitivity.code, 0) << sensitivity.err;
  EXPECT_THAT(content(here / "h/points.csv"), HasSubstr("hbm_bandwidth=0.9TB/s"));
}

TEST(Sweep, WhatIsWrongEverywhereIsSaidAtOnce) {
  const WorkDirectory here;
  const Outcome key = here.cmsim(sweep({"--set", "/slo/tpott=1ms"}));
  EXPECT_EQ(key.code, 2);
  EXPECT_THAT(key.err, HasSubstr("tpott"));
  EXPECT_FALSE(std::filesystem::exists(here / "s"));
  EXPECT_EQ(here.cmsim(sweep({"--vary", "/a"})).code, 2);
  EXPECT_EQ(here.cmsim(sweep({"--command", "trace"})).code, 2);
  EXPECT_EQ(here.cmsim(sweep({"--memory-limit", "much"})).code, 2);
  const Outcome metric = here.cmsim(sweep({"--metric", "/no/such"}));
  EXPECT_EQ(metric.code, 2);
  EXPECT_THAT(metric.err, HasSubstr("no result has a number or a text at /no/such"));
}

TEST(Sweep, RefusesOptionsThatHaveNoEffectTogether) {
  struct Case {
    std::vector<std::string> options;
    const char* error;
  };
  const std::vector<Case> cases{
      {{"--share", "0.5"}, "--share: needs --capacity"},
      {{"--shard", "1/2", "--json"}, "--json: is of the tables"},
      {{"--shard", "1/2", "--pareto", "ttft,tpot"}, "--pareto: is of the tables"},
      {{"--shard", "1/2", "--gather"}, "--gather: makes the tables when all parts have run"},
      {{"--shard", "1/2", "--capacity", "slo"}, "--capacity: searches point by point"},
      {{"--capacity", "slo", "--pareto", "ttft,tpot"}, "--pareto: compares the cells"},
      {{"--capacity", "slo", "--sensitivity", "/platform"}, "--sensitivity: changes the figures"},
      {{"--sensitivity", "/platform", "--pareto", "ttft,tpot"}, "--pareto: is not of the table"},
      {{"--tasks", "2"}, "--tasks: needs --executor slurm"}};
  const WorkDirectory here;
  for (const Case& one : cases) {
    const Outcome result = here.cmsim(sweep(one.options));
    EXPECT_EQ(result.code, 2) << one.error;
    EXPECT_THAT(result.err, HasSubstr(one.error));
    EXPECT_FALSE(std::filesystem::exists(here / "s")) << one.error;
  }
}

TEST(Sweep, StudiesStepsAndCollectivesToo) {
  const WorkDirectory here;
  const Outcome step = here.cmsim({"sweep", kScenario, "--command", "step --phase decode",
                                   "--vary=--batch=8,96", "--out", "step"});
  ASSERT_EQ(step.code, 0) << step.err;
  EXPECT_THAT(step.out, HasSubstr("--batch  duration us"));
  const Outcome collective =
      here.cmsim({"sweep", kPlatform, "--command", "collective --op dispatch --tokens 128",
                  "--vary=--ep=16,32", "--out", "collective"});
  ASSERT_EQ(collective.code, 0) << collective.err;
  EXPECT_THAT(collective.out, HasSubstr("latency us"));
  EXPECT_THAT(in_one_line(collective.out), HasSubstr("one seed: no interval can be given"));
}

TEST(Sweep, SearchesTheLoadThatIsBorne) {
  const WorkDirectory here;
  const Outcome result = here.cmsim(
      sweep({"--seeds", "1..2", "--capacity", "goodput<=10", "--metric", "ttft", "--json"}));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\"load\": \"/workload/arrivals/rate\""));
  EXPECT_THAT(content(here / "s/capacity.csv"), StartsWith("load,holds_at,fails_at\n"));
  const Outcome wrong = here.cmsim(sweep({"--capacity", "ttft<=1GB", "--resume"}));
  EXPECT_EQ(wrong.code, 2);
}

TEST(Sweep, ACapacityOfOneCellIsOneBlockWithoutEmptyColumns) {
  const WorkDirectory here;
  const Outcome result = here.cmsim(sweep({"--seeds", "1..2", "--capacity", "slo"}));
  EXPECT_THAT(result.out, HasSubstr("\nholds at  "));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("\nslo +met in 2 of 2\n"));
  EXPECT_THAT(result.out, ::testing::Not(HasSubstr(" -\n")));
  const Outcome loop = here.cmsim({"sweep", "paper-decode", "--capacity", "slo", "--out", "p"});
  EXPECT_EQ(loop.code, 2);
  EXPECT_THAT(loop.err, HasSubstr("give one, e.g. --set /workload/arrivals/concurrency="));
}

TEST(Sweep, ATornadoStaysWithinWhatTheScenarioAllowsAndSaysSo) {
  const WorkDirectory here;
  const Outcome result =
      here.cmsim({"sweep", kPaperDecode, "--command", "step --phase decode", "--sensitivity",
                  "/platform/die", "--metric", "duration", "--out", "s"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("[+5 %]: changed by this much instead of 10 %"));
  // A tenth of 24 cores is 2 whole ones.
  EXPECT_THAT(result.out, ::testing::ContainsRegex("aic_cores .*\\[-8\\.33 %\\]"));
}

TEST(Sweep, DrawsATornado) {
  const WorkDirectory here;
  const Outcome result =
      here.cmsim({"sweep", kScenario, "--command", "step --phase decode", "--sensitivity",
                  "/platform/die", "--metric", "duration", "--out", "s"});
  EXPECT_THAT(in_one_line(result.out), HasSubstr("every number changed alone by 10 %"));
  EXPECT_THAT(result.out, HasSubstr("/platform/die/int8_peak"));
  EXPECT_THAT(result.out, HasSubstr("##########"));
}

TEST(RunSeeds, GivesEveryHeadlineWithItsInterval) {
  const WorkDirectory here;
  const Outcome result =
      here.cmsim({"run", kScenario, "--set", kTwentyRequests, "--seeds", "1..3", "--jobs", "2"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(in_one_line(result.out),
              HasSubstr("mean ± half of the 95 % t-interval over 3 seeds (1..3)"));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("\nttft ms +[0-9.]+ ± [0-9.]+ +[0-9.]+ to "));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("\nslo +met in [0-3] of 3\n"));
  const Outcome printed = here.cmsim(
      {"run", kScenario, "--set", kTwentyRequests, "--seeds", "1..3", "--json", "--resume"});
  EXPECT_THAT(printed.out, HasSubstr("\"half_width\": "));
  EXPECT_EQ(here.cmsim({"run", kScenario, "--seeds", "1..3", "--seed", "1"}).code, 2);
  EXPECT_EQ(here.cmsim({"run", kScenario, "--jobs", "3"}).code, 2);
}

std::vector<std::string> seeds_of_run(std::vector<std::string> more) {
  std::vector<std::string> words{"run",   kScenario, "--set",   kTwentyRequests,
                                 "--out", "s",       "--seeds", "1..3"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(RunSeeds, RequireAndStrictHoldForEverySeed) {
  const WorkDirectory here;
  EXPECT_EQ(here.cmsim(seeds_of_run({"--strict", "--require", "finished"})).code, 0);
  const Outcome slo =
      here.cmsim(seeds_of_run({"--resume", "--set", "/slo/ttft=1ms", "--require", "slo,finished"}));
  EXPECT_EQ(slo.code, 1);
  EXPECT_THAT(slo.err, HasSubstr("cmsim: --require: not in 3 of 3 seeds\n  seed 1: slo: the SLO"));
  EXPECT_THAT(slo.err, HasSubstr("\n  seed 3: slo: the SLO is not met"));
  const Outcome strict =
      here.cmsim(seeds_of_run({"--resume", "--set", "/horizon=200ms", "--strict"}));
  EXPECT_EQ(strict.code, 3);
  EXPECT_THAT(strict.err, HasSubstr("cmsim: --strict: not in 3 of 3 seeds\n  seed 1: "));
  const Outcome both = here.cmsim(
      seeds_of_run({"--resume", "--set", "/horizon=200ms", "--strict", "--require", "finished"}));
  EXPECT_EQ(both.code, 3);
  EXPECT_THAT(both.err, HasSubstr("cmsim: --require: not in 3 of 3 seeds\n  seed 1: finished: "));
}

TEST(RunSeeds, WhatHasNoEffectOnThemIsRefused) {
  const WorkDirectory here;
  const std::vector<std::vector<std::string>> idle{
      {"--timeseries", "1s"}, {"--aiperf"}, {"--detailed"}, {"--percentiles", "50"}, {"--force"}};
  for (const auto& options : idle) {
    const Outcome result = here.cmsim(seeds_of_run(options));
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, StartsWith("cmsim: " + options[0] + ": has no effect with --seeds"));
  }
  EXPECT_FALSE(std::filesystem::exists(here / "s"));
}

TEST(RunSeeds, TheStandardInputMakesNoPoints) {
  const WorkDirectory here;
  const Outcome result = here.cmsim({"run", "-", "--seeds", "1..2"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("-: cannot be read again"));
  EXPECT_FALSE(std::filesystem::exists(here / "out"));
}

TEST(RunSeeds, AStudyIsNotReplacedWithoutAWord) {
  const WorkDirectory here;
  ASSERT_EQ(here.cmsim(seeds_of_run({})).code, 0);
  const std::string before = csv(here);
  const Outcome other = here.cmsim(seeds_of_run({"--set", "/slo/ttft=1s"}));
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("has points of a study already; add --resume"));
  EXPECT_EQ(csv(here), before);
}

TEST(Sweep, AnInterruptKeepsWhatIsFinished) {
  const WorkDirectory here;
  const Outcome result = here.cmsim(sweep({"--seeds", "1..500", "--jobs", "2"}), [&](pid_t child) {
    while (points_in(here) < 3) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    kill(child, SIGINT);
  });
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err, HasSubstr("cmsim: interrupted; what was finished is in s"));
  EXPECT_GE(points_in(here), 3u);
  EXPECT_LT(points_in(here), 500u);
}

TEST(Sweep, KilledAtAnyMomentItLosesNothingThatWasFinished) {
  const WorkDirectory here;
  const auto words = sweep({"--seeds", "1..30", "--jobs", "2", "--resume"});
  std::set<std::filesystem::path> finished;
  for (int kill_number = 0; kill_number < 5; ++kill_number) {
    here.cmsim(words, [&](pid_t child) {
      std::this_thread::sleep_for(std::chrono::milliseconds(60 + 37 * kill_number));
      kill(child, SIGKILL);
    });
    for (const auto& file : finished) EXPECT_TRUE(std::filesystem::exists(file)) << file;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(here / "s/points", error)) {
      const auto file = entry.path() / "point.json";
      if (std::filesystem::exists(file)) finished.insert(file);
    }
  }
  EXPECT_EQ(here.cmsim(words).code, 0);
  EXPECT_EQ(points_in(here), 30u);
  const std::string resumed = csv(here);
  std::filesystem::remove_all(here / "s");
  ASSERT_EQ(here.cmsim(words).code, 0);
  EXPECT_EQ(resumed, csv(here));
}

}  // namespace
}  // namespace cmsim::cli
