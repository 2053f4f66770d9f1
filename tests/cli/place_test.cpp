// Where `cmsim run` takes its scenario from, puts its results, and what it says on request.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string kFewRequests =
    R"(/workload={"requests": 20, "prompt_length": 2000, "output_length": 50,
        "arrivals": {"kind": "poisson", "rate": 20}})";

json result_in(const fs::path& directory) {
  return json::parse(content(directory / "result.json"));
}

TEST(Place, AnotherScenariosResultIsNotReplaced) {
  const WorkDirectory here;
  const auto run = [&](const std::string& seed, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"run", kScenario, "--set", kFewRequests, "--seed",
                                   seed,  "--out",   "o",     "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    return here.cmsim(words);
  };
  ASSERT_EQ(run("1").code, 0);
  EXPECT_EQ(run("1").code, 0);  // its own
  const std::string before = content(here / "o/result.json");
  const Outcome other = run("2");
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("cmsim: o: holds the result of another scenario"));
  EXPECT_THAT(other.err, HasSubstr("--force"));
  EXPECT_EQ(content(here / "o/result.json"), before);
  EXPECT_EQ(run("2", {"--force"}).code, 0);
  EXPECT_EQ(result_in(here / "o")["provenance"]["seed"], 2);
  std::ofstream(here / "o/result.json") << "[1, 2]";
  EXPECT_THAT(run("2").err, HasSubstr("holds a result.json that cmsim has not written"));
}

TEST(Place, AnotherTraceOfTheSameNameIsNotReplaced) {
  const WorkDirectory here;
  const auto run = [&](int tokens) {
    std::ofstream(here / "t.jsonl")
        << R"({"timestamp": 0, "input_length": )" << tokens << R"(, "output_length": 5})"
        << "\n";
    return here.cmsim({"run", kScenario, "--trace", "t.jsonl", "--out", "o", "--quiet"});
  };
  ASSERT_EQ(run(600).code, 0);
  EXPECT_EQ(run(600).code, 0);
  const Outcome other = run(601);
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("holds the result of other requests, the trace has changed"));
}

/// The command interrupted while it simulates. When that is depends on the machine: too early it
/// dies of the signal (130), too late it is done (0); between the two is looked for.
Outcome interrupted(const WorkDirectory& here, const std::vector<std::string>& words) {
  using std::chrono::milliseconds;
  milliseconds early{0}, late{0};
  Outcome outcome;
  for (int attempt = 0; attempt < 20; ++attempt) {
    const milliseconds wait =
        late == milliseconds{0} ? early * 2 + milliseconds{100} : (early + late) / 2;
    outcome = here.cmsim(words, [wait](pid_t child) {
      std::this_thread::sleep_for(wait);
      kill(child, SIGINT);
    });
    if (outcome.code == 130) {
      early = wait;
    } else if (outcome.code == 0) {
      late = wait;
    } else {
      break;
    }
  }
  return outcome;
}

TEST(Place, APartialResultIsWrittenBesideAWholeOne) {
  const WorkDirectory here;
  const std::string many = R"(/workload={"requests": 40000, "prompt_length": 500,
      "output_length": 400, "arrivals": {"kind": "constant", "rate": 20}})";
  std::vector<std::string> words{"run", kScenario, "--set", many, "--out", "o", "--quiet"};
  ASSERT_EQ(here.cmsim(words).code, 0);
  const std::string whole = content(here / "o/result.json");
  for (const char* option : {"--quiet", "--force"}) {
    words.back() = option;
    const Outcome cut = interrupted(here, words);
    ASSERT_EQ(cut.code, 3) << cut.err;
    EXPECT_EQ(content(here / "o/result.json"), whole) << option;
    EXPECT_EQ(result_in(here / "o/partial")["partial"], true);
    fs::remove_all(here / "o/partial");
  }
}

TEST(Source, ANameAndTheStandardInput) {
  const WorkDirectory here;
  fs::create_directory_symlink(kRoot + "/workloads", here / "workloads");
  fs::create_directory_symlink(kRoot + "/platforms", here / "platforms");
  const Outcome named =
      here.cmsim({"run", "cloudmatrix384", "--set", kFewRequests, "--quiet", "--out", "named"});
  ASSERT_EQ(named.code, 0) << named.err;
  EXPECT_EQ(result_in(here / "named")["provenance"]["scenario"], "cloudmatrix384");
  std::ofstream(here / "in.json") << R"({"extends": "workloads/scenarios/cloudmatrix384.json"})";
  const auto from_file = [&] { dup2(open("in.json", O_RDONLY), STDIN_FILENO); };
  const Outcome piped =
      here.cmsim({"run", "-", "--set", kFewRequests, "--quiet", "--out", "piped"}, {}, from_file);
  ASSERT_EQ(piped.code, 0) << piped.err;
  EXPECT_EQ(result_in(here / "piped")["provenance"]["digest"],
            result_in(here / "named")["provenance"]["digest"]);
}

TEST(Load, RateStretchesATraceAndSetsDrawnArrivals) {
  const WorkDirectory here;
  std::ofstream trace(here / "t.jsonl");
  for (int i = 0; i <= 10; ++i) {  // 11 requests over 50 s
    trace << R"({"timestamp": )" << 5000 * i << R"(, "input_length": 600, "output_length": 5})"
          << "\n";
  }
  trace.close();
  const auto last_arrival = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"run", kScenario, "--out", "o", "--quiet", "--force"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(here.cmsim(words).code, 0);
    const std::string csv = content(here / "o/requests.csv");
    const std::string row = csv.substr(csv.rfind('\n', csv.size() - 2) + 1);
    std::vector<std::string> head, cells;
    for (auto [text, list] : {std::pair{csv.substr(0, csv.find('\n')), &head}, {row, &cells}}) {
      std::istringstream line(text);
      for (std::string cell; std::getline(line, cell, ',');) list->push_back(cell);
    }
    for (std::size_t i = 0; i < head.size(); ++i) {
      if (head[i].starts_with("arrival")) return std::stod(cells[i]);
    }
    return -1.0;
  };
  EXPECT_NEAR(last_arrival({"--trace", "t.jsonl"}), 50, 1e-6);
  EXPECT_NEAR(last_arrival({"--trace", "t.jsonl", "--speed", "2"}), 25, 1e-6);
  EXPECT_NEAR(last_arrival({"--trace", "t.jsonl", "--rate", "4"}), 2.5, 1e-6);  // 10 gaps / 4
  const std::string constant = R"(/workload={"requests": 11, "prompt_length": 200,
      "output_length": 5, "arrivals": {"kind": "constant", "rate": 9}})";
  // Constant arrivals begin after one gap: 11 / 4 s.
  EXPECT_NEAR(last_arrival({"--set", constant, "--rate", "4"}), 2.5, 0.26);
}

TEST(Require, TurnsAnUnmetRequirementIntoCode1) {
  const WorkDirectory here;
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"run", kScenario, "--set", kFewRequests, "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    return here.cmsim(words);
  };
  const Outcome met = run({"--require", "slo,stable,finished"});
  EXPECT_EQ(met.code, 0) << met.err;
  const Outcome missed = run({"--require", "slo,finished", "--set", "/slo/tpot=1ms"});
  EXPECT_EQ(missed.code, 1);
  EXPECT_THAT(missed.err, testing::StartsWith("cmsim: --require slo: the SLO is not met at p99"));
  EXPECT_EQ(std::count(missed.err.begin(), missed.err.end(), '\n'), 1);
  const Outcome saturated = run({"--require", "stable", "--set", "/slo/tpot=1ms"});
  EXPECT_EQ(saturated.code, 1);  // no batch has steps as short as that
  EXPECT_EQ(saturated.err, "cmsim: --require stable: the load is saturated\n");
}

TEST(Log, SaysPhasesAndDecisionsOnRequest) {
  const WorkDirectory here;
  const auto log = [&](const std::string& level) {
    const Outcome run =
        here.cmsim({"run", kScenario, "--set", kFewRequests, "--quiet", "--log-level", level});
    EXPECT_THAT(run.out, IsEmpty());
    return run.err;
  };
  EXPECT_THAT(log("warn"), IsEmpty());
  const std::string info = log("info");
  for (const char* phase : {"info: read scenario", "info: read 20 x 2000+50: 20 requests",
                            "info: built the step models", "info: simulating", "info: simulated",
                            "info: wrote out/cloudmatrix384-"}) {
    EXPECT_THAT(info, HasSubstr(phase));
  }
  EXPECT_THAT(info, Not(HasSubstr("debug")));
  const std::string debug = log("debug");
  for (const char* decision : {"is sent", "starts a batch of", "starts a step of",
                               "request 7 finished: prefill instance"}) {
    EXPECT_THAT(debug, HasSubstr(decision));
  }
}

}  // namespace
}  // namespace cmsim::cli
