// cmsim sweep as a user meets it: tables, files, resuming, failing, parts, and a kill.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

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
  EXPECT_THAT(result.out, HasSubstr("12 points of 4 cells"));
  EXPECT_THAT(result.out, HasSubstr("95 % t-interval over 3 seeds (1..3)"));
  EXPECT_THAT(result.out, HasSubstr("max_num_batched_tokens  ttft"));
  EXPECT_THAT(result.out, HasSubstr("Change from /deployment/prefill/max_num_batched_tokens=8192"));
  EXPECT_THAT(result.out, HasSubstr("Elasticity"));
  EXPECT_THAT(result.err, HasSubstr("wrote s/points.csv\nwrote s/study.sqlite\n"));
  EXPECT_THAT(csv(here), StartsWith("number,digest,state,seed,params_/deployment/prefill/"
                                    "max_num_batched_tokens,params_/slo/ttft,values_ttft,"
                                    "values_verdict,request_rate,"));
  EXPECT_EQ(points_in(here), 12u);
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
  EXPECT_EQ(csv(here, "one"), csv(here, "three"));
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
  EXPECT_EQ(csv(here, "one"), csv(here, "parts"));
}

TEST(Sweep, TakesAShippedScenarioByNameAndItsOwnStudyFileAnywhere) {
  const WorkDirectory here;
  ASSERT_EQ(here.cmsim({"sweep", "paper-decode", "--metric", "tpot", "--out", "s"}).code, 0);
  EXPECT_THAT(content(here / "s/study.json"), HasSubstr("/workloads/scenarios/paper-decode.json"));
  EXPECT_EQ(here.cmsim({"sweep", "s/study.json", "--out", "s", "--gather"}).code, 0);
  const Outcome piped = here.cmsim({"sweep", "-", "--out", "t"});
  EXPECT_EQ(piped.code, 2);
  EXPECT_THAT(piped.err, HasSubstr("give a file, not -"));
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
  EXPECT_THAT(gather.err, HasSubstr("1 of 4 points are missing"));
  // What the directory says of itself makes the same study.
  const Outcome itself = here.cmsim({"sweep", "s/study.json", "--out", "s", "--gather"});
  EXPECT_EQ(itself.code, 4) << itself.err;
  EXPECT_THAT(itself.out, HasSubstr("4 points of 1 cells"));
}

TEST(Sweep, AFailedPointIsToldAndTheOthersGoOn) {
  const WorkDirectory here;
  const Outcome result =
      here.cmsim(sweep({"--vary", "/deployment/decode/instances=1,9", "--seeds", "1..2"}));
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.err, HasSubstr("2 of 4 points failed:\n  cmsim run "));
  EXPECT_THAT(csv(here), HasSubstr(",failed,1,9,"));
  EXPECT_THAT(csv(here), HasSubstr(",done,2,1,"));
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
  EXPECT_THAT(collective.out, HasSubstr("one seed: no interval can be given"));
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

TEST(Sweep, DrawsATornado) {
  const WorkDirectory here;
  const Outcome result =
      here.cmsim({"sweep", kScenario, "--command", "step --phase decode", "--sensitivity",
                  "/platform/die", "--metric", "duration", "--out", "s"});
  EXPECT_THAT(result.out, HasSubstr("every number changed alone by 10 %"));
  EXPECT_THAT(result.out, HasSubstr("/platform/die/int8_peak"));
  EXPECT_THAT(result.out, HasSubstr("##############"));
}

TEST(RunSeeds, GivesEveryHeadlineWithItsInterval) {
  const WorkDirectory here;
  const Outcome result =
      here.cmsim({"run", kScenario, "--set", kTwentyRequests, "--seeds", "1..3", "--jobs", "2"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("with 3 seeds: mean ± half of the 95 % t-interval"));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("\nttft ms +[0-9.]+ ± [0-9.]+ +[0-9.]+ to "));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("\nslo +met in [0-3] of 3\n"));
  const Outcome json =
      here.cmsim({"run", kScenario, "--set", kTwentyRequests, "--seeds", "1..3", "--json"});
  EXPECT_THAT(json.out, HasSubstr("\"half_width\": "));
  EXPECT_EQ(here.cmsim({"run", kScenario, "--seeds", "1..3", "--seed", "1"}).code, 2);
  EXPECT_EQ(here.cmsim({"run", kScenario, "--jobs", "3"}).code, 2);
}

TEST(Sweep, AnInterruptKeepsWhatIsFinished) {
  const WorkDirectory here;
  const Outcome result = here.cmsim(sweep({"--seeds", "1..500", "--jobs", "2"}), [&](pid_t child) {
    while (points_in(here) < 3) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    kill(child, SIGINT);
  });
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err, HasSubstr("interrupted; what was finished is in s"));
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
