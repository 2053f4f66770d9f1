// Layers of a scenario: what it extends, and where its paths are meant from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cmsim/base/error.hpp"
#include "cmsim/run/scenario.hpp"
#include "runs.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Extends : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory_ / "sub"); }
  void TearDown() override { fs::remove_all(directory_); }

  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name) << text;
    return directory_ / name;
  }
  static std::string complaint(const fs::path& file, const std::vector<std::string>& sets = {}) {
    try {
      load_scenario(file, sets);
      return "accepted";
    } catch (const ConfigError& error) {
      return error.what();
    }
  }
  /// The default scenario, as the extended file of one in `sub`.
  fs::path upper(const std::string& members) const {
    write("base.json", std::string(R"({"extends": ")") + CMSIM_SOURCE_DIR +
                           R"(/workloads/scenarios/cloudmatrix384.json"})");
    return write("sub/upper.json", R"({"extends": "../base.json")" + members + "}");
  }

  const fs::path directory_ =
      fs::temp_directory_path() / ("cmsim_extends." + std::to_string(getpid()));
};

TEST(AnotherTrace, RetiresWhatWasSaidOfTheFirstAndNamesIt) {
  const std::string trace =
      "/workload/trace=" CMSIM_SOURCE_DIR "/workloads/traces/r1-like.jsonl.gz";
  using testing::ElementsAre;
  EXPECT_THAT(load_scenario(default_scenario(), {trace}).retired_by_trace,
              ElementsAre("/workload/resample", "/workload/population", "/workload/arrivals/rate"));
  EXPECT_THAT(
      load_scenario(default_scenario(), {trace, "/workload/arrivals/rate=80"}).retired_by_trace,
      ElementsAre("/workload/resample", "/workload/population"));
  EXPECT_THAT(load_scenario(default_scenario(), {"/seed=2"}).retired_by_trace, testing::IsEmpty());
}

/// What a smaller machine than the published deployment's can hold.
const std::vector<std::string> kSmall{"/deployment/prefill/instances=1",
                                      "/deployment/prefill/npus_per_instance=32",
                                      "/deployment/decode/npus_per_instance=64",
                                      "/deployment/decode/ep=64", "/deployment/cache/plane=vpc"};

std::vector<std::string> small_with(std::vector<std::string> sets) {
  sets.insert(sets.end(), kSmall.begin(), kSmall.end());
  return sets;
}

TEST(AnotherMachine, IsNamedByAFileOrAsOneThatIsShipped) {
  const Scenario by_name = load_scenario(default_scenario(), small_with({"/platform=h200"}));
  EXPECT_EQ(by_name.platform.name, "h200");
  EXPECT_EQ(by_name.platform.die.hbm_capacity, 141'000'000'000);
  const Scenario by_file = load_scenario(
      default_scenario(), small_with({"/platform=" CMSIM_SOURCE_DIR "/platforms/h200.json"}));
  EXPECT_EQ(by_file.digest, by_name.digest);
}

TEST(AnotherMachine, MayHaveAnotherDevice) {
  const auto with = [](std::vector<std::string> sets) {
    return load_scenario(default_scenario(), small_with(std::move(sets))).platform;
  };
  const hw::Platform h100 = with({"/platform=h200", "/platform/device=h100"});
  EXPECT_EQ(h100.name, "h200");
  EXPECT_EQ(h100.die.hbm_capacity, 80'000'000'000);
  // What is set goes before what the device says, whatever the order.
  const hw::Platform set =
      with({"/platform/die/hbm_capacity=200GB", "/platform=h200", "/platform/device=h100"});
  EXPECT_EQ(set.die.hbm_capacity, 80'000'000'000);  // /platform=h200 put another in its place
  EXPECT_EQ(with({"/platform=h200", "/platform/die/hbm_capacity=200GB", "/platform/device=h100"})
                .die.hbm_capacity,
            200'000'000'000);
}

TEST_F(Extends, ADeviceIsMeantFromTheFileThatNamesIt) {
  write("mine.json", R"({"name": "mine", "die": {"aic_cores": 20}})");
  const Scenario s = load_scenario(upper(R"(, "platform": {"device": "../mine.json",
      "dies_per_npu": 2, "die": {"bf16_peak": "376TFLOPS", "int8_peak": "752TOPS", "aiv_cores": 48,
      "hbm_capacity": "64GB", "hbm_bandwidth": "1.6TB/s", "die_to_die_bandwidth": "270GB/s"},
      "operators": {"hbm_efficiency": 0.8, "attention_efficiency": 0.6, "gemm_int8_efficiency": 0.7,
      "gemm_bf16_efficiency": 0.7, "operator_overhead": "4us", "hbm_reserved": "4GB"}})"));
  EXPECT_EQ(s.platform.die.aic_cores, 20);
  EXPECT_THAT(complaint(upper(R"(, "platform": {"device": "none.json"})")),
              HasSubstr("sub/upper.json:1: /platform/device: "));
  EXPECT_THAT(
      complaint(default_scenario(), {"/platform/device=h101"}),
      HasSubstr("no device of that name comes with cmsim (ascend-910c, ascend-950dt, gb200, "
                "h100, h200, h800); did you mean h100?"));
}

TEST_F(Extends, KeysAreMergedAndTheRestIsAsBefore) {
  const Scenario s = load_scenario(upper(R"(, "seed": 7, "platform": {"nodes": 40},
      "deployment": {"cache": {"dram_per_node": "64GB"}})"));
  EXPECT_EQ(s.seed, 7u);
  EXPECT_EQ(s.platform.nodes, 40);          // one key of the machine
  EXPECT_EQ(s.platform.die.aic_cores, 24);  // the others stay
  EXPECT_EQ(s.deployment.cache.dram_per_node, 64'000'000'000);
  EXPECT_EQ(s.deployment.cache.block_size, 512);
  // The same as with --set, down to the digest.
  EXPECT_EQ(s.digest, load_scenario(default_scenario(), {"/seed=7", "/platform/nodes=40",
                                                         "/deployment/cache/dram_per_node=64GB"})
                          .digest);
}

TEST_F(Extends, APathIsMeantFromTheFileThatHasIt) {
  EXPECT_EQ(fs::canonical(load_scenario(upper("")).workload.trace),
            fs::canonical(default_scenario().parent_path() / "../traces/r1-like.jsonl.gz"));
  write("sub/t.jsonl", "");
  EXPECT_EQ(load_scenario(upper(R"(, "workload": {"trace": "t.jsonl"})")).workload.trace,
            (directory_ / "sub/t.jsonl").string());
}

TEST_F(Extends, NullTakesAKeyAway) {
  const char* fixed = R"(, "workload": {"trace": null, "requests": 3, "prompt_length": 9,
      "output_length": 2, "arrivals": {"kind": "all_at_once"}})";
  EXPECT_TRUE(load_scenario(upper(fixed)).workload.trace.empty());
  EXPECT_THAT(complaint(upper(R"(, "workload": {"end": null})")),
              HasSubstr("upper.json:1: /workload/end: null takes a key away, and there is none"));
  EXPECT_EQ(complaint(default_scenario(), {"/workload/end=null"}),
            "--set /workload/end=null: null takes a key away, and there is none");
  EXPECT_EQ(
      load_scenario(default_scenario(), {"/policies=null"}).policies.at("decode_routing").name,
      "least_sequences");
}

TEST_F(Extends, WhoNamesAPolicyGivesItsParameters) {
  const auto admission = [](const std::filesystem::path& file) {
    return load_scenario(file).policies.at("decode_admission");
  };
  const char* slo = R"(, "policies": {"decode_admission": {"name": "slo", "margin": 0.8}})";
  const auto lower = upper(slo);
  EXPECT_EQ(admission(lower).parameters.at("margin"), 0.8);
  const auto extend = [&](const std::string& key) {
    return write("uppermost.json",
                 R"({"extends": "sub/upper.json", "policies": {"decode_admission": )" + key + "}}");
  };
  EXPECT_EQ(admission(extend(R"({"tpot": "20ms"})")).parameters,
            (serve::Parameters{{"margin", 0.8}, {"tpot", 0.020}}));
  EXPECT_EQ(admission(extend(R"("fixed")")).name, "fixed");
  EXPECT_TRUE(admission(extend(R"("slo")")).parameters.empty());
}

TEST_F(Extends, MistakesNameTheFileThatHasThem) {
  EXPECT_THAT(complaint(upper(R"(, "network": "fast")")), HasSubstr("upper.json:1: /network: "));
  EXPECT_THAT(complaint(write("lost.json", R"({"extends": "nowhere.json"})")),
              HasSubstr("lost.json:1: /extends: " + (directory_ / "nowhere.json").string() +
                        ": no such file"));
  EXPECT_THAT(complaint(write("number.json", R"({"extends": 5})")),
              HasSubstr("number.json:1: /extends: expected the path of a scenario"));
  EXPECT_THAT(complaint(default_scenario(), {"/extends=x.json"}),
              HasSubstr("/extends: can be given in a file only"));
  write("a.json", R"({"extends": "b.json"})");
  EXPECT_THAT(complaint(write("b.json", R"({"extends": "a.json"})")),
              HasSubstr("a.json:1: /extends: goes round in a circle: "));
}

TEST_F(Extends, TooManyFilesAreRefused) {
  for (int i = 0; i < 20; ++i) {
    write(std::to_string(i) + ".json", R"({"extends": ")" + std::to_string(i + 1) + R"(.json"})");
  }
  write("20.json", "{}");
  EXPECT_THAT(complaint(directory_ / "0.json"), HasSubstr("15.json:1: /extends: "));
}

TEST(OpenScenario, FindsWhatComesWithTheProgramByName) {
  const auto before = fs::current_path();
  fs::current_path(CMSIM_SOURCE_DIR);
  const Scenario named = open_scenario("paper-decode", {}, serve::builtin_policies());
  EXPECT_EQ(named.name, "paper-decode");
  EXPECT_EQ(named.digest,
            load_scenario(CMSIM_SOURCE_DIR "/workloads/scenarios/paper-decode.json").digest);
  try {
    open_scenario("paper-dekode", {}, serve::builtin_policies());
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("paper-dekode: no such file, and no scenario"));
    EXPECT_THAT(error.what(), testing::EndsWith("; did you mean paper-decode?"));
  }
  for (const std::string key : {"/platform", "/platform/device", "/model"}) {
    const std::string set = key + "=nonsense";
    try {
      open_scenario("paper-decode", {{set, "--set " + set}}, serve::builtin_policies());
      FAIL() << key;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("--set " + set + ": " + key + ": "));
    }
  }
  fs::current_path(before);
}

}  // namespace
}  // namespace cmsim::run
