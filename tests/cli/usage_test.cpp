// Command lines that cannot be understood, or have an option without effect.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using Words = std::vector<std::string>;

TEST(Usage, NamesTheWordAndWhatWasMeant) {
  const WorkDirectory here;
  const std::vector<std::pair<Words, std::string>> cases{
      {{"rnu"}, "unknown command \"rnu\", did you mean \"run\"? (cmsim --help"},
      {{"trace", "inspct"},
       "unknown command \"inspct\", did you mean \"inspect\"? (cmsim trace --help"},
      {{"run", kScenario, "--jsno"},
       "unknown option \"--jsno\", did you mean \"--json\"? (cmsim run --help"},
      {{"run", kScenario, "--ot=x"}, "unknown option \"--ot\", did you mean \"--out\"?"},
      {{"run", kScenario, "--sed", "1"}, "unknown option \"--sed\", did you mean \"--seed\"?"},
      {{"run", kScenario, "more"}, "unexpected argument \"more\" (cmsim run --help"},
      {{"run"}, "SCENARIO is required (cmsim run --help"},
      {{"help", "rnu"}, "unknown command \"rnu\", did you mean \"run\"?"},
      {{"run", ""}, "SCENARIO \"\": is empty, a value is needed"},
      {{"run", kScenario, "--trace", ""}, "--trace \"\": is empty, a value is needed"},
      {{"run", kScenario, "--percentiles=", "--json"},
       "--percentiles=: is empty, a value is needed"},
      {{"run", kScenario, "--seed", ""}, "--seed: found \"\", allowed is a whole number from 0"},
      {{"run", kScenario, "--set", "/platform="},
       "--set /platform=: /platform: is empty, expected a path or an object"},
      {{"run", kScenario, "--set", "/workload/trace="},
       "--set /workload/trace=: /workload/trace: is empty, expected a path"},
      {{"run", "."}, ".: is a directory, not a file"},
      {{"run", kScenario, "--trace", "nope"}, "nope: no such file"},
      {{"run", kScenario, "--network", "slow"}, "--network slow: /network: found \"slow\""},
      {{"run", kScenario, "--set", "/slo/tpot=0ms"}, "--set /slo/tpot=0ms: /slo/tpot: found"},
      {{"run", kScenario, "--set", "/platform/rdma/bandwidth_per_die=1e30TB/s"},
       "--set /platform/rdma/bandwidth_per_die=1e30TB/s: "}};
  for (const auto& [words, message] : cases) {
    const Outcome run = here.cmsim(words);
    EXPECT_EQ(run.code, 2) << message;
    EXPECT_THAT(run.err, StartsWith("cmsim: " + message));
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  }
}

TEST(Usage, AFileOfAnotherKindIsCalledWhatItIs) {
  const WorkDirectory here;
  std::ofstream(here / "study.json") << R"({"scenario": "paper-decode"})";
  std::ofstream(here / "baseline.json") << R"({"cases": []})";
  const std::string model = kRoot + "/workloads/models/deepseek-r1.json";
  const auto p2p = [&](const std::string& file) {
    return Words{"p2p", file, "--from", "0", "--to", "1", "--bytes", "1kB"};
  };
  const std::vector<std::pair<Words, std::string>> cases{
      {{"run", kPlatform}, kPlatform + ": is a platform; use cmsim p2p or collective "},
      {{"step", kPlatform, "--phase", "decode"}, kPlatform + ": is a platform; use"},
      {{"run", model}, model + ": is a model; use cmsim run SCENARIO --set /model=" + model},
      {{"run", "study.json"}, "study.json: is a study; use cmsim sweep study.json\n"},
      {{"run", "study.json", "--seeds", "1..2"}, "study.json: is a study; use cmsim sweep"},
      {{"sweep", "baseline.json"}, "baseline.json: is a baseline; use cmsim check baseline.json"},
      {p2p(kScenario), kScenario + ": is a scenario; use cmsim run"},
      {p2p("cloudmatrix383"), "cloudmatrix383: no such file, and no platform of that name comes"}};
  for (const auto& [words, message] : cases) {
    const Outcome run = here.cmsim(words);
    EXPECT_EQ(run.code, 2) << message;
    EXPECT_THAT(run.err, StartsWith("cmsim: " + message));
  }
  EXPECT_EQ(here.cmsim(p2p("cloudmatrix384")).code, 0);
}

TEST(Usage, HelpFitsTheTerminal) {
  const WorkDirectory here;
  for (const Words& command : {Words{},
                               {"run"},
                               {"sweep"},
                               {"compare"},
                               {"check"},
                               {"p2p"},
                               {"collective"},
                               {"step"},
                               {"trace", "inspect"},
                               {"trace", "convert"},
                               {"policies"},
                               {"validate"}}) {
    Words words{"help"};
    words.insert(words.end(), command.begin(), command.end());
    std::istringstream lines(here.cmsim(words).out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(Usage, LongWordsAreShortened) {
  const WorkDirectory here;
  const std::string longest(100'000, 'x');
  for (const Words& words : {Words{longest},
                             {"run", kScenario, "--" + longest},
                             {"run", kScenario, "--set", "/seed=" + longest}}) {
    const Outcome run = here.cmsim(words);
    EXPECT_EQ(run.code, 2);
    EXPECT_LT(run.err.size(), 2000u);
    EXPECT_THAT(run.err, HasSubstr("xxx ... xxx"));
  }
}

TEST(Usage, HelpIsACommandToo) {
  const WorkDirectory here;
  EXPECT_EQ(here.cmsim({"help"}).out, here.cmsim({"--help"}).out);
  EXPECT_EQ(here.cmsim({"help", "run"}).out, here.cmsim({"run", "--help"}).out);
  EXPECT_EQ(here.cmsim({"help", "trace", "inspect"}).out,
            here.cmsim({"trace", "inspect", "--help"}).out);
}

struct Idle {
  Words words;
  const char* option;  // that has no effect
  const char* needs;   // part of the reason
};

TEST(IdleOptions, AreRefusedWithAReason) {
  const WorkDirectory here;
  std::ofstream(here / "azure.csv") << "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                                       "2023-11-16 18:17:03.9799600,4,5\n";
  const Words collective{"collective", kPlatform, "--ep", "8", "--tokens", "9", "--op"};
  const Words synthesize{"trace", "synthesize", "--requests", "5"};
  const auto with = [](Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const std::vector<Idle> cases{
      {with(collective, {"allgather", "--skew", "0.5"}), "--skew", "dispatch or combine"},
      {with(collective, {"alltoall", "--exchange", "basic"}), "--exchange", "dispatch or combine"},
      {with(collective, {"alltoall", "--top-k", "4"}), "--top-k", "dispatch or combine"},
      {with(collective, {"alltoall", "--aiv", "4"}), "--aiv", "dispatch or combine"},
      {with(collective, {"alltoall", "--seed", "4"}), "--seed", "dispatch or combine"},
      {with(collective, {"dispatch", "--skew", "0", "--seed", "4"}), "--seed", "--skew 0"},
      {with(synthesize, {"--burstiness", "2"}), "--burstiness", "it needs gamma"},
      {with(synthesize, {"--think-time", "2s"}), "--think-time", "--continue-probability above 0"},
      {with(synthesize, {"--answer-seconds-per-token", "2"}), "--answer-seconds-per-token",
       "--continue-probability above 0"},
      {with(synthesize, {"--zipf", "2"}), "--zipf", "--shared-probability above 0"},
      {with(synthesize, {"--shared-blocks", "2"}), "--shared-blocks", "--shared-probability"},
      {with(synthesize, {"--shared-prompts", "2"}), "--shared-prompts", "--shared-probability"},
      {with(synthesize, {"--prompt-cv", "0", "--prompt-max", "2000"}), "--prompt-max", "cv 0"},
      {{"trace", "inspect", "azure.csv", "--seed", "2"}, "--seed", "nothing is drawn"},
      {{"trace", "inspect", "azure.csv", "--block-size", "16"}, "--block-size", "without block"},
      {{"trace", "convert", "azure.csv", "--block-size", "16"}, "--block-size", "without block"},
      {{"trace", "inspect", "azure.csv", "--cache-blocks", "16"}, "--cache-blocks", "reused"},
      {{"run", kScenario, "--json", "--force"}, "--force", "it needs --out DIR"},
      {{"step", kScenario, "--phase", "decode", "--set", "/prefill/microbatches=1"},
       "--set /prefill/microbatches=1: /prefill/microbatches",
       "role decode"}};
  for (const Idle& c : cases) {
    const Outcome run = here.cmsim(c.words);
    EXPECT_EQ(run.code, 2) << c.option;
    EXPECT_THAT(run.err, StartsWith("cmsim: " + std::string(c.option) + ": has no effect "));
    EXPECT_THAT(run.err, HasSubstr(c.needs));
    EXPECT_TRUE(run.out.empty());
  }
}

TEST(Synthesize, MistakesNameOptions) {
  const WorkDirectory here;
  const std::vector<std::pair<Words, std::string>> cases{
      {{}, "--requests: is not given"},
      {{"--requests", "5", "--prompt-max", "999999"}, "--prompt-max: found 999999"},
      {{"--requests", "5", "--output-cv", "99"}, "--output-cv: found 99"},
      {{"--requests", "5", "--arrivals", "gamma", "--burstiness", "0"}, "--burstiness: found 0"},
      {{"--requests", "5", "--continue-probability", "1"}, "--continue-probability: found 1"}};
  for (const auto& [words, message] : cases) {
    Words all{"trace", "synthesize"};
    all.insert(all.end(), words.begin(), words.end());
    const Outcome run = here.cmsim(all);
    EXPECT_EQ(run.code, 2);
    EXPECT_THAT(run.err, StartsWith("cmsim: " + message));
  }
}

TEST(Convert, CompressesByTheNameOfTheFile) {
  const WorkDirectory here;
  ASSERT_EQ(here.cmsim({"trace", "synthesize", "--requests", "50", "--out", "a.jsonl"}).code, 0);
  for (const auto& [name, magic] : std::vector<std::pair<std::string, std::string>>{
           {"a.jsonl.gz", "\x1f\x8b"}, {"a.jsonl.zst", "\x28\xb5\x2f\xfd"}}) {
    ASSERT_EQ(here.cmsim({"trace", "convert", "a.jsonl", "--out", name}).code, 0);
    EXPECT_THAT(content(here / name), StartsWith(magic));
    EXPECT_EQ(here.cmsim({"trace", "convert", name}).out, content(here / "a.jsonl"));
  }
}

}  // namespace
}  // namespace cmsim::cli
