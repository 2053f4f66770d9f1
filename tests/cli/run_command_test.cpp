// `cmsim run` as a user meets it: exit codes, streams, files, determinism, Ctrl-C.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <tuple>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kSmall =
    R"(/workload={"requests": 60, "prompt_length": 2000, "output_length": 50,
        "arrivals": {"kind": "poisson", "rate": 20}})";
constexpr const char* kTooLong =
    R"(/workload={"requests": 2, "prompt_length": 1000000, "output_length": 5,
        "arrivals": {"kind": "all_at_once"}})";

/// The directory of the one run that wrote below out/.
fs::path only_result(const WorkDirectory& here) {
  return fs::directory_iterator(here / "out")->path();
}

TEST(RunCommand, PrintsATableAndWritesTwoFiles) {
  const WorkDirectory here;
  const Outcome run = here.cmsim({"run", kScenario, "--set", kSmall});
  EXPECT_EQ(run.code, 0) << run.err;
  for (const char* part : {"60 of 60 finished", "TTFT", "TPOT", "ITL", "E2E", "stable", "SLO",
                           "Prefill", "Decode", "decode", "<- slowest phase"}) {
    EXPECT_THAT(run.out, HasSubstr(part));
  }
  EXPECT_THAT(run.out, testing::Not(HasSubstr("\033[")));  // no colour into a file
  const json result = json::parse(content(only_result(here) / "result.json"));
  // The directory is named for the scenario's file and the first ten digits of its digest.
  const std::string place =
      "out/cloudmatrix384-" + result["provenance"]["digest"].get<std::string>().substr(0, 10);
  EXPECT_TRUE(fs::exists(here / place / "requests.csv"));
  EXPECT_THAT(run.err, HasSubstr("wrote " + place + "/result.json"));
}

/// 40 requests of a trace, one every 100 ms.
void write_trace(const fs::path& file) {
  std::ofstream stream(file);
  for (int i = 0; i < 40; ++i) {
    stream << R"({"timestamp": )" << i * 100 << R"(, "input_length": 3000, "output_length": 20})"
           << "\n";
  }
}

TEST(RunCommand, NamesWhatAnotherTraceRetires) {
  const WorkDirectory here;
  write_trace(here / "t.jsonl");
  const Outcome run = here.cmsim({"run", kScenario, "--trace", "t.jsonl", "--rate", "5"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out,
              HasSubstr("without the scenario's resample, population, said of its own trace"));
  const Outcome own = here.cmsim({"run", kScenario, "--set", kSmall});
  EXPECT_THAT(own.out, testing::Not(HasSubstr("own trace")));
}

TEST(RunCommand, SaysWhatSeedsDrawWhenItIsNotTheRequests) {
  const WorkDirectory here;
  write_trace(here / "t.jsonl");
  const Outcome replayed =
      here.cmsim({"run", kScenario, "--trace", "t.jsonl", "--seeds", "1..2", "--out", "o"});
  ASSERT_EQ(replayed.code, 0) << replayed.err;
  EXPECT_THAT(replayed.out, HasSubstr("All seeds replay the same requests, drawn anew is serve/mtp "
                                      "alone"));
  const Outcome drawn =
      here.cmsim({"run", kScenario, "--set", kSmall, "--seeds", "1..2", "--out", "p"});
  EXPECT_THAT(drawn.out, testing::Not(HasSubstr("All seeds replay")));
}

TEST(RunCommand, BandsSayHowSureTheHeadlinesAre) {
  const WorkDirectory here;
  const std::vector<std::string> words{"run", kScenario, "--set", kSmall,  "--band",
                                       "16",  "--jobs",  "2",     "--out", "o"};
  const Outcome run = here.cmsim(words);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("16 samples of 13 constants"));
  const json result = json::parse(content(here / "o/result.json"));
  for (const char* metric : {"tpot", "ttft", "goodput", "tokens_per_s_per_npu"}) {
    const json& band = result["bands"][metric];
    EXPECT_LE(band["low"], band["high"]) << metric;
    EXPECT_GT(band["nominal"], 0) << metric;
    EXPECT_EQ(band["dominant"].is_null(), band["share"].is_null()) << metric;
  }
  EXPECT_EQ(result["bands"]["tpot"]["nominal"], result["window"]["tpot_ms"]["mean"]);
  EXPECT_LT(result["bands"]["tpot"]["low"], result["bands"]["tpot"]["nominal"]);
  EXPECT_EQ(result["band_samples"], 16);
  EXPECT_THAT(result["provenance"]["command"].get<std::string>(), HasSubstr(" --band 16"));
  // Its points are those of a study; the same command with --resume draws the same and runs none.
  EXPECT_TRUE(fs::exists(here / "o/band/points.csv"));
  EXPECT_EQ(here.cmsim(words).code, 2);
  std::vector<std::string> again = words;
  again.insert(again.end(), {"--resume", "--force"});
  ASSERT_EQ(here.cmsim(again).code, 0);
  EXPECT_EQ(json::parse(content(here / "o/result.json"))["bands"], result["bands"]);
}

TEST(RunCommand, ABandNamesConstantsThatHaveNoEffectAndLeavesOutThoseThatAreSet) {
  const WorkDirectory here;
  std::ofstream(here / "s.json") << R"({"extends": ")" << kScenario << R"(",
      "experts": {"skew": {"value": 1, "range": [0.5, 1.5]}}})";
  const Outcome run =
      here.cmsim({"run", "s.json", "--set", kSmall, "--set", "/experts/placement=balanced", "--set",
                  "/platform/operators/attention_overlap=1.3", "--band=16", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  const json result = json::parse(run.out);
  EXPECT_EQ(result["band_idle"], json::array({"/experts/skew"}));
  EXPECT_EQ(result["band_constants"].size(), 12u);
  EXPECT_THAT(result["band_constants"].dump(), testing::Not(HasSubstr("attention_overlap")));
}

TEST(RunCommand, RefusesABandThatCannotBe) {
  const WorkDirectory here;
  const auto refusal = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"run", kScenario, "--set", kSmall};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome run = here.cmsim(words);
    EXPECT_EQ(run.code, 2);
    return run.err;
  };
  EXPECT_THAT(refusal({"--band", "--seeds", "1..3"}), HasSubstr("--seeds"));
  EXPECT_THAT(refusal({"--band", "3"}), HasSubstr("allowed is a whole number from 16 to 10000"));
  EXPECT_THAT(refusal({"--jobs", "2"}), HasSubstr("it needs --seeds or --band"));
  EXPECT_THAT(refusal({"--band", "16", "--set", "/platform/rdma/efficiency/range=[0.5, 2]"}),
              HasSubstr("/platform/rdma/efficiency/range/1: found 2, allowed is"));
}

TEST(RunCommand, SaysInWhatItExtrapolates) {
  const WorkDirectory here;
  const Outcome inside =
      here.cmsim({"run", "paper-decode", "--set", "/workload/requests=16000", "--json"});
  ASSERT_EQ(inside.code, 0) << inside.err;
  EXPECT_THAT(json::parse(inside.out)["provenance"]["extrapolated"], IsEmpty());
  const Outcome outside = here.cmsim({"run", kScenario, "--set", kSmall});
  ASSERT_EQ(outside.code, 0) << outside.err;
  EXPECT_THAT(outside.out, HasSubstr("Validated   extrapolated in decode/batch_per_npu "));
  const json result = json::parse(content(only_result(here) / "result.json"));
  const json expected = {
      {"what", "prefill/prompt_tokens"}, {"value", 2000}, {"validated", {4096, 4096}}};
  EXPECT_EQ(result["provenance"]["extrapolated"].back(), expected);
}

TEST(RunCommand, SaysOfAClosedLoopOfPrefillWhatItHas) {
  const WorkDirectory here;
  const Outcome run = here.cmsim({"run", "paper-prefill"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("stable: a closed loop of 64 requests\n"));
  EXPECT_THAT(run.out, HasSubstr("SLO         TTFT <= 4,000 ms: 100.0 %  met at p99"));
  EXPECT_THAT(run.out, testing::Not(HasSubstr("TPOT")));
  EXPECT_THAT(run.out, HasSubstr("512 of 512 finished in 22.76 s\n"));
}

TEST(RunCommand, RequiresAStableLoadOfAStreamThatIsSoonOver) {
  // 2,000 requests of 3,000 tokens a second, of which prefill takes some 190.
  const WorkDirectory here;
  write_trace(here / "t.jsonl");
  const Outcome run =
      here.cmsim({"run", kScenario, "--trace", "t.jsonl", "--speed", "200", "--require", "stable"});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, HasSubstr("overloaded"));
  EXPECT_THAT(run.out, HasSubstr("; overloaded: no length would do"));
}

TEST(RunCommand, JsonIsAllThatStdoutGets) {
  const WorkDirectory here;
  const Outcome run = here.cmsim({"run", kScenario, "--set", kSmall, "--json", "--out", "o"});
  ASSERT_EQ(run.code, 0) << run.err;
  const json result = json::parse(run.out);  // throws on anything before or after
  EXPECT_EQ(result["completed"], 60);
  EXPECT_EQ(run.out, content(here / "o/result.json"));
  const Outcome no_files = here.cmsim({"run", kScenario, "--set", kSmall, "--json"});
  EXPECT_FALSE(fs::exists(here / "out"));
  json without = result;  // where it goes is no part of it, only what lies beside it
  EXPECT_EQ(without.erase("files"), 1u);
  EXPECT_EQ(json::parse(no_files.out), without);
}

TEST(RunCommand, WritesAiperfsRecordsOnRequest) {
  const WorkDirectory here;
  const Outcome run =
      here.cmsim({"run", kScenario, "--set", kSmall, "--aiperf", "--json", "--out", "o"});
  ASSERT_EQ(run.code, 0) << run.err;
  const std::string records = content(here / "o/profile_export.jsonl");
  EXPECT_EQ(std::count(records.begin(), records.end(), '\n'), 60);
  const Outcome nowhere = here.cmsim({"run", kScenario, "--set", kSmall, "--aiperf", "--json"});
  EXPECT_EQ(nowhere.code, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("--aiperf"));
}

TEST(RunCommand, ShowsThePercentilesAskedFor) {
  const WorkDirectory here;
  const auto run = [&](const std::string& percentiles) {
    return here.cmsim({"run", kScenario, "--set", kSmall, "--json", "--percentiles", percentiles});
  };
  const json result = json::parse(run("50,99.9").out);
  for (const char* name : {"ttft", "tpot", "itl", "e2el"}) {
    const std::string end = std::string("_") + name + "_ms";
    EXPECT_EQ(result["p50" + end], result["median" + end]);
    EXPECT_GE(result["p99.9" + end], result["p50" + end]);
    EXPECT_FALSE(result.contains("p99" + end));
  }
  EXPECT_EQ(run("50,101").code, 2);
  EXPECT_EQ(run("fifty").code, 2);
}

// Cache reads and exchanges share the ports of dies but do not wait for each other.
TEST(RunCommand, WarnsWhereTransfersAndExchangesWouldCrowdALink) {
  const WorkDirectory here;
  const auto table = [&](const std::string& bandwidth, const std::string& network = "analytic") {
    return here
        .cmsim({"run", kScenario, "--set", "/horizon=20s", "--set",
                "/platform/ub/link_bandwidth=" + bandwidth, "--network", network, "--force"})
        .out;
  };
  EXPECT_THAT(table("28GB/s"), testing::Not(HasSubstr("Crowded")));
  EXPECT_THAT(table("3.5GB/s"), HasSubstr("Crowded     the busiest die_ub out would be in use"));
  const std::string shared = table("3.5GB/s", "hose");
  EXPECT_THAT(shared, testing::Not(HasSubstr("Crowded")));
  EXPECT_THAT(shared, HasSubstr("Contention  waiting for others on the links takes "));
}

TEST(RunCommand, QuietPrintsNothing) {
  const WorkDirectory here;
  const Outcome run = here.cmsim({"run", kScenario, "--set", kSmall, "--quiet"});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(run.err, IsEmpty());
  EXPECT_TRUE(fs::exists(only_result(here) / "result.json"));
}

TEST(RunCommand, SameSeedSameBytesOtherSeedOtherBytes) {
  const WorkDirectory here;
  const auto run = [&](const std::string& seed, const std::string& out) {
    return here.cmsim({"run", kScenario, "--set", kSmall, "--seed", seed, "--out", out}).out;
  };
  const std::string first = run("1", "a");
  EXPECT_EQ(first, run("1", "b"));
  for (const char* file : {"result.json", "requests.csv"}) {
    EXPECT_EQ(content(here / "a" / file), content(here / "b" / file)) << file;
  }
  EXPECT_NE(first, run("2", "c"));
  EXPECT_NE(content(here / "a/requests.csv"), content(here / "c/requests.csv"));
}

TEST(RunCommand, ATraceFromTheWorkingDirectoryReplacesTheScenarios) {
  const WorkDirectory here;
  std::ofstream(here / "two.jsonl")
      << R"({"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [1, 2]})"
      << "\n"
      << R"({"timestamp": 9000, "input_length": 600, "output_length": 5, "hash_ids": [1, 3]})"
      << "\n";
  const Outcome run = here.cmsim({"run", kScenario, "--trace", "two.jsonl", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  const json result = json::parse(run.out);
  EXPECT_EQ(result["completed"], 2);
  // The second finds the block of 512 tokens that the first has left: of 2 x 2 blocks 1 is hit.
  EXPECT_EQ(result["cache"]["hit_blocks"], 1);
  EXPECT_EQ(result["cache"]["lookup_blocks"], 4);
  EXPECT_EQ(result["cache"]["hit_tokens"], 512);
  EXPECT_EQ(result["provenance"]["trace"], "two.jsonl");
}

TEST(RunCommand, StrictTurnsAnUnfinishedRequestIntoCode3) {
  const WorkDirectory here;
  const Outcome lenient = here.cmsim({"run", kScenario, "--set", kTooLong, "--out", "o"});
  EXPECT_EQ(lenient.code, 0);
  EXPECT_THAT(lenient.out, HasSubstr("2 prompt_exceeds_kv"));
  const Outcome strict =
      here.cmsim({"run", kScenario, "--set", kTooLong, "--out", "o", "--strict"});
  EXPECT_EQ(strict.code, 3);
  EXPECT_EQ(strict.err.find("cmsim: --strict: 2 of 2 requests did not finish"),
            strict.err.find("cmsim: "));
  const Outcome both = here.cmsim(
      {"run", kScenario, "--set", kTooLong, "--out", "o", "--strict", "--require", "finished"});
  EXPECT_EQ(both.code, 3);
  EXPECT_THAT(both.err, HasSubstr("cmsim: --strict: 2 of 2 requests did not finish\n"
                                  "cmsim: --require finished: 2 of 2 requests did not finish\n"));
  EXPECT_EQ(here.cmsim({"run", kScenario, "--set", kSmall, "--strict"}).code, 0);
}

TEST(RunCommand, UserErrorsAreCode2WithOneLineAndNoOutput) {
  const WorkDirectory here;
  std::ofstream(here / "cut.jsonl") << R"({"timestamp": 0, "input_length": 600, "output_)";
  std::ofstream(here / "negative.jsonl")
      << R"({"timestamp": 0, "input_length": -6, "output_length": 5, "hash_ids": []})"
      << "\n";
  std::ofstream(here / "unsorted.jsonl")
      << R"({"timestamp": 9, "input_length": 6, "output_length": 5, "hash_ids": [1]})"
      << "\n"
      << R"({"timestamp": 3, "input_length": 6, "output_length": 5, "hash_ids": [1]})"
      << "\n";
  const std::vector<std::vector<std::string>> cases{
      {"run", "nowhere.json"},
      {"run", kScenario, "--set", "/deployment/decode/ep=100"},
      {"run", kScenario, "--set", "/deployment/decode/eq=320"},
      {"run", kScenario, "--set", "/slo/tpot=15"},
      {"run", kScenario, "--set", "slo"},
      {"run", kScenario, "--network", "slow"},
      {"run", kScenario, "--trace", "nowhere.jsonl"},
      {"run", kScenario, "--trace", "cut.jsonl"},
      {"run", kScenario, "--trace", "negative.jsonl"},
      {"run", kScenario, "--trace", "unsorted.jsonl"},
      {"run", kScenario, "--plugin", "nowhere.so"},
      {"run", kScenario, "--set", kSmall, "--out", "/dev/null/nowhere"}};
  for (const auto& arguments : cases) {
    const Outcome run = here.cmsim(arguments);
    EXPECT_EQ(run.code, 2) << arguments.back();
    EXPECT_THAT(run.out, IsEmpty()) << arguments.back();
    EXPECT_THAT(run.err, testing::StartsWith("cmsim: ")) << arguments.back();
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  }
  EXPECT_FALSE(fs::exists(here / "out"));
}

TEST(RunCommand, UsageErrorsAreCode2) {
  const WorkDirectory here;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{},
        {"run"},
        {"walk"},
        {"run", kScenario, "--hurry", "9"},
        {"run", kScenario, "--speed", "0"},
        {"run", kScenario, "--rate", "2", "--speed", "2"},
        {"run", kScenario, "--require", "fast"},
        {"run", kScenario, "--seed", "one"},
        {"run", kScenario, "--seed", "-1"},
        {"run", kScenario, "--seed", "1.5"},
        {"run", kScenario, "--seed", "99999999999999999999"},
        {"run", kScenario, "--policy-timeout", "nan"}}) {
    const Outcome run = here.cmsim(arguments);
    EXPECT_EQ(run.code, 2);
    EXPECT_THAT(run.out, IsEmpty());
    EXPECT_THAT(run.err, testing::StartsWith("cmsim: "));
    EXPECT_THAT(run.err, HasSubstr(" --help shows what there is)"));
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  }
}

TEST(RunCommand, ATerminalInTroubleCostsNoFile) {
  const WorkDirectory here;
  using Streams = std::function<void()>;
  const auto full = [](int stream) { dup2(open("/dev/full", O_WRONLY), stream); };
  const auto broken_pipe = [] {
    int ends[2];
    if (pipe(ends) != 0) _exit(126);
    close(ends[0]);
    dup2(ends[1], STDOUT_FILENO);
  };
  const std::vector<std::tuple<const char*, Streams, int>> cases{
      {"stdout closed", [] { close(STDOUT_FILENO); }, 3},
      {"stdout full", [&] { full(STDOUT_FILENO); }, 3},
      {"nobody reads stdout", broken_pipe, 3},
      {"stderr closed", [] { close(STDERR_FILENO); }, 0},
      {"stderr full", [&] { full(STDERR_FILENO); }, 0},
      {"all closed",
       [] {
         for (int i : {0, 1, 2}) close(i);
       },
       3}};
  for (const auto& [name, streams, code] : cases) {
    for (const char* json_or_table : {"--json", "--strict"}) {
      const Outcome run =
          here.cmsim({"run", kScenario, "--set", kSmall, "--out", "o", json_or_table}, {}, streams);
      EXPECT_EQ(run.code, code) << name;
      EXPECT_TRUE(json::accept(content(here / "o/result.json"))) << name;
      const std::string csv = content(here / "o/requests.csv");
      EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 61) << name;
      fs::remove_all(here / "o");
    }
  }
}

TEST(RunCommand, AFileThatMayNotGrowIsAFailureAndNoSignal) {
  const WorkDirectory here;
  const auto no_files = [] {
    const rlimit none{0, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &none);
  };
  const Outcome run =
      here.cmsim({"run", kScenario, "--set", kSmall, "--out", "o", "--quiet"}, {}, no_files);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(fs::is_empty(here / "o"));
}

/// An hour of simulated time and more; interrupted after a second.
constexpr const char* kLong =
    R"(/workload={"requests": 200000, "prompt_length": 500, "output_length": 400,
        "arrivals": {"kind": "constant", "rate": 1}})";

TEST(RunCommand, CtrlCEndsItWithAPartialResult) {
  const WorkDirectory here;
  const Outcome run = here.cmsim({"run", kScenario, "--set", kLong, "--out", "o"}, [](pid_t child) {
    std::this_thread::sleep_for(std::chrono::seconds(2));
    kill(child, SIGINT);
  });
  EXPECT_EQ(run.code, 3) << run.err;
  EXPECT_THAT(run.err, HasSubstr("interrupted, the result is partial"));
  EXPECT_THAT(run.out, HasSubstr("PARTIAL"));
  const json result = json::parse(content(here / "o/result.json"));
  EXPECT_TRUE(result["partial"]);
  EXPECT_EQ(result["requests"]["total"], 200000);
  EXPECT_GT(result["requests"]["finished"], 0);
  EXPECT_GT(result["requests"]["by_reason"]["not_sent"], 0);
  const std::string csv = content(here / "o/requests.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 200001);
}

TEST(RunCommand, OutsideOfTheSimulationASignalEndsItAtOnce) {
  const WorkDirectory here;
  ASSERT_EQ(mkfifo((here / "trace.jsonl").c_str(), 0600), 0);  // nobody ever writes into it
  const Outcome run =
      here.cmsim({"run", kScenario, "--trace", "trace.jsonl", "--out", "o"}, [](pid_t child) {
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
        kill(child, SIGTERM);
      });
  EXPECT_EQ(run.code, 128 + SIGTERM);
  EXPECT_FALSE(fs::exists(here / "o"));
}

}  // namespace
}  // namespace cmsim::cli
