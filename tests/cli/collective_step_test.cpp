// The commands `collective` and `step` as a user meets them: exit codes, streams, JSON, files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

std::vector<std::string> collective(const std::string& op, const std::string& ranks,
                                    std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"collective", kPlatform, "--op",     op,
                                     "--ep",       ranks,     "--tokens", "128"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(CollectiveCommand, PrintsTheDocumentedKeys) {
  const WorkDirectory work;
  const Outcome run = work.cmsim(collective("combine", "64", {"--json"}));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.err, "");
  const auto json = nlohmann::json::parse(run.out);
  const std::string document = content(CMSIM_SOURCE_DIR "/docs/output.md");
  for (const auto& [key, value] : json.items()) {
    EXPECT_NE(document.find("`" + key), std::string::npos) << key;
  }
  const auto& parts = json["parts"];
  const double issue = parts["issue_us"], wire = parts["wire_us"];
  EXPECT_NEAR(
      json["latency_us"].get<double>(),
      parts["startup_us"].get<double>() + std::max(issue, wire) + parts["local_us"].get<double>(),
      1e-9);
  // 128 tokens * 8 experts * 7168 * 2 B over the latency.
  EXPECT_NEAR(json["bandwidth_gb_per_s"].get<double>(),
              128 * 8 * 14336 / json["latency_us"].get<double>() / 1e3, 1e-9);
  EXPECT_EQ(json["busiest_links"][0]["class"], "die_ub");
}

TEST(StepCommand, TheCriticalPathIsInTheOrderOfExecution) {
  const WorkDirectory work;
  const Outcome run = work.cmsim({"step", kPaperDecode, "--phase", "decode"});
  std::size_t before = run.out.find("Critical path");
  ASSERT_NE(before, std::string::npos) << run.out;
  for (const char* name : {"  MLAProlog", "  FusedAttention", "  Dispatch", "  MLP", "  LMHead"}) {
    const std::size_t at = run.out.find(name, before);
    EXPECT_NE(at, std::string::npos) << name << " is missing or comes too early in\n" << run.out;
    before = at;
  }
}

TEST(CollectiveCommand, EveryRungAnswersOnStdoutAlone) {
  const WorkDirectory work;
  for (const char* network : {"analytic", "hose", "flow"}) {
    const Outcome run = work.cmsim(collective("alltoall", "16", {"--network", network, "--json"}));
    EXPECT_EQ(run.code, 0) << run.err;
    EXPECT_EQ(run.err, "");
    EXPECT_EQ(nlohmann::json::parse(run.out)["network"], network);
  }
}

TEST(CollectiveCommand, WarnsBeforeALongFlowRun) {
  // 320 ranks take some 8 s of CPU: the warning comes first, and Ctrl-C ends the command.
  const WorkDirectory work;
  const Outcome run =
      work.cmsim(collective("dispatch", "320", {"--network", "flow"}), [](pid_t pid) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1500));
        kill(pid, SIGINT);
      });
  EXPECT_NE(run.err.find("102,080 flows"), std::string::npos) << run.err;
  EXPECT_NE(run.code, 0);
  EXPECT_EQ(run.out, "");
}

TEST(CollectiveCommand, RefusesWhatIsNotThere) {
  const WorkDirectory work;
  EXPECT_EQ(work.cmsim(collective("dispatch", "1000")).code, 2);
  EXPECT_EQ(work.cmsim(collective("reduce", "8")).code, 2);
  EXPECT_EQ(work.cmsim(collective("dispatch", "8", {"--model", "nowhere.json"})).code, 2);
  EXPECT_EQ(work.cmsim(collective("dispatch", "8", {"--set", "/ub/sub_planez=2"})).code, 2);
}

TEST(CollectiveCommand, ReadsSetsOfThePlatform) {
  const WorkDirectory work;
  const auto wire = [&](std::vector<std::string> more) {
    more.push_back("--json");
    const auto json = nlohmann::json::parse(work.cmsim(collective("combine", "64", more)).out);
    return json["parts"]["wire_us"].get<double>();
  };
  // 2 of 7 sub-planes: 7/2 of the wire time.
  EXPECT_NEAR(wire({"--set", "/ub/sub_planes=2"}), 3.5 * wire({}), 1e-6);
}

TEST(StepCommand, PrintsABreakdownAndWritesATrace) {
  const WorkDirectory work;
  const Outcome run = work.cmsim({"step", kScenario, "--phase", "decode", "--context", "4096",
                                  "--trace", "step.json", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["phase"], "decode");
  EXPECT_EQ(json["context"], 4096);
  EXPECT_EQ(json["operators"].size(), 7u);
  double sum = 0;
  for (const auto& [name, value] : json["parts_us"].items()) sum += value.get<double>();
  EXPECT_NEAR(sum, json["duration_us"].get<double>(), 1e-3);
  EXPECT_TRUE(nlohmann::json::parse(content(work / "step.json")).contains("traceEvents"));
}

// 24 sequences of 4,224 tokens a microbatch and die, two query rows each: 2 x 128 x (576 + 512)
// operations a cached token and row, 1,152 B a token.
TEST(StepCommand, ListsWhatEachOperatorAsksOfTheDie) {
  const WorkDirectory work;
  const std::vector<std::string> step{"step", kPaperDecode, "--phase", "decode", "--list"};
  const Outcome text = work.cmsim(step);
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, ::testing::HasSubstr("FusedAttention AIC          0.00    0.00   56.47   "
                                             "116.79"));
  std::vector<std::string> as_json = step;
  as_json.push_back("--json");
  const auto operators = nlohmann::json::parse(work.cmsim(as_json).out)["operators"];
  ASSERT_EQ(operators.size(), 7u);
  EXPECT_EQ(operators[1]["name"], "FusedAttention");
  EXPECT_EQ(operators[1]["ops_attention"], 24 * 4224 * 2 * 2.0 * 128 * (576 + 512));
  EXPECT_EQ(operators[1]["hbm_bytes"], 24 * 4224 * 1152.0);
  EXPECT_EQ(operators[4]["unit"], "exchange");
}

TEST(StepCommand, NamesTheLayoutOfTheExperts) {
  const WorkDirectory work;
  EXPECT_THAT(work.cmsim({"step", kPaperDecode, "--phase", "decode"}).out,
              ::testing::HasSubstr("Experts of a layer: 256 + 32 redundant, 1 slot on each of 288 "
                                   "ranks, 32 ranks with the shared expert\n"));
  const std::vector<std::string> ep24{"step",    kPaperDecode,
                                      "--phase", "decode",
                                      "--batch", "1",
                                      "--set",   "/deployment/decode/npus_per_instance=12",
                                      "--set",   "/deployment/decode/ep=24",
                                      "--set",   "/experts/redundant=10"};
  const Outcome text = work.cmsim(ep24);
  EXPECT_THAT(text.out, ::testing::HasSubstr("256 + 10 redundant, 11 or 12 slots on each of 24 "
                                             "ranks, all with the shared expert\n"))
      << text.err;
  std::vector<std::string> json = ep24;
  json.push_back("--json");
  const auto experts = nlohmann::json::parse(work.cmsim(json).out)["experts"];
  EXPECT_EQ(experts["redundant"], 10);
  EXPECT_EQ(experts["slots_per_rank"], nlohmann::json::array({11, 12}));
  EXPECT_EQ(experts["shared_on"], "every_rank");
}

TEST(StepCommand, CompressesATraceNamedGz) {
  const WorkDirectory work;
  const Outcome run =
      work.cmsim({"step", kScenario, "--phase", "prefill", "--trace", "step.json.gz"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(content(work / "step.json.gz").substr(0, 2), "\x1f\x8b");
  EXPECT_NE(run.out.find("ExpertUp"), std::string::npos);
}

TEST(StepCommand, RefusesWhatDoesNotFit) {
  const WorkDirectory work;
  EXPECT_EQ(work.cmsim({"step", kScenario, "--phase", "decode", "--context", "100000000"}).code, 2);
  EXPECT_EQ(work.cmsim({"step", kScenario, "--phase", "nonsense"}).code, 2);
  EXPECT_EQ(
      work.cmsim({"step", kScenario, "--phase", "decode", "--trace", "nowhere/step.json"}).code, 2);
}

}  // namespace
}  // namespace cmsim::cli
