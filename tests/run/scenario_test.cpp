#include "cmsim/run/scenario.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/run/runs.hpp"

namespace cmsim::run {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

std::string complaint(const std::vector<std::string>& sets) {
  try {
    load_scenario(default_scenario(), sets);
    return "accepted";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

TEST(Scenario, TheDefaultIsThePublishedDeployment) {
  const Scenario s = load_scenario(default_scenario());
  EXPECT_EQ(s.deployment.prefill.instances * s.deployment.prefill.npus_per_instance, 96);
  EXPECT_EQ(s.deployment.decode.instances * s.deployment.decode.npus_per_instance, 160);
  EXPECT_EQ(s.deployment.prefill.ep, 32);
  EXPECT_EQ(s.deployment.decode.ep, 320);
  EXPECT_EQ(s.deployment.decode.max_num_seqs, 96);
  EXPECT_TRUE(s.deployment.cache.enabled);
  EXPECT_EQ(s.options.decode.draft_tokens, 1);
  EXPECT_DOUBLE_EQ(s.options.decode.acceptance, 0.7);
  EXPECT_DOUBLE_EQ(s.slo.ttft, 2);
  EXPECT_DOUBLE_EQ(s.slo.tpot, 0.05);
  EXPECT_EQ(s.network, Network::kAnalytic);
  EXPECT_EQ(s.platform.npus(), 384);
}

TEST(Scenario, SetsAreAppliedInOrderWithUnits) {
  const Scenario s = load_scenario(
      default_scenario(), {"/slo/tpot=30ms", "/platform/rdma/bandwidth_per_die=100Gbps",
                           "/slo/tpot=15ms", "/deployment/cache/reuse=50%", "/network=hose"});
  EXPECT_DOUBLE_EQ(s.slo.tpot, 0.015);
  EXPECT_DOUBLE_EQ(s.platform.rdma.fabric.link_bandwidth, 12.5e9);
  EXPECT_DOUBLE_EQ(s.deployment.cache.reuse, 0.5);
  EXPECT_EQ(s.network, Network::kHose);
}

TEST(Scenario, NamedSlos) {
  EXPECT_DOUBLE_EQ(load_scenario(default_scenario(), {"/slo=cm384-15ms"}).slo.tpot, 0.015);
  EXPECT_EQ(load_scenario(std::filesystem::path(CMSIM_SOURCE_DIR) /
                          "workloads/scenarios/paper-prefill.json")
                .slo.tpot,
            metrics::kNoLimit);  // prefill has no TPOT
  EXPECT_EQ(load_scenario(default_scenario(), {"/slo=cm384-15ms"}).slo.ttft, metrics::kNoLimit);
  EXPECT_DOUBLE_EQ(load_scenario(default_scenario(), {"/slo=mlperf-server"}).slo.tpot, 0.080);
}

TEST(Scenario, DigestNamesTheContent) {
  const std::string digest = load_scenario(default_scenario()).digest;
  EXPECT_EQ(digest.size(), 16u);
  EXPECT_EQ(load_scenario(default_scenario(), {"/seed=1"}).digest, digest);  // as it is
  EXPECT_NE(load_scenario(default_scenario(), {"/seed=2"}).digest, digest);
  EXPECT_NE(load_scenario(default_scenario(), {"/platform/nodes=47"}).digest, digest);
}

TEST(ScenarioErrors, UnknownKey) {
  EXPECT_EQ(complaint({"/deployment/decode/max_num_sequences=8"}),
            "--set /deployment/decode/max_num_sequences=8: /deployment/decode/max_num_sequences: "
            "unknown key, did you mean \"max_num_seqs\"?");
}

TEST(ScenarioErrors, UnitThatDoesNotFit) {
  EXPECT_EQ(complaint({"/slo/tpot=15MB"}),
            "--set /slo/tpot=15MB: /slo/tpot: found unit \"MB\" in \"15MB\", expected one of ns, "
            "us, µs, ms, s, min, h (e.g. \"1.9us\")");
}

TEST(ScenarioErrors, EpDegreeThatDoesNotFitTheNpus) {
  EXPECT_EQ(complaint({"/deployment/decode/ep=128"}),
            "--set /deployment/decode/ep=128: /deployment/decode/ep: an EP degree of 128 does not "
            "fit 160 NPUs an instance: an instance is one EP group, so ep must be "
            "npus_per_instance x 2 dies = 320 (or set npus_per_instance to 64)");
}

TEST(ScenarioErrors, AttentionAndExpertsThatAreNotTheInstance) {
  EXPECT_THAT(complaint({"/deployment/decode/attention/npus=104"}),
              EndsWith("/deployment/decode/experts/npus: missing: with attention on NPUs of their "
                       "own the others need a number too"));
  const std::vector<std::string> apart{"/deployment/decode/attention/npus=104",
                                       "/deployment/decode/experts/npus=60"};
  EXPECT_THAT(complaint(apart), EndsWith("/deployment/decode/npus_per_instance: found 160, allowed "
                                         "is 164: attention on 104 and experts on 60"));
  EXPECT_THAT(complaint({apart[0], "/deployment/decode/experts/npus=56"}),
              EndsWith("ep must be experts/npus x 2 dies = 112 (or set experts/npus to 160)"));
}

TEST(ScenarioErrors, MoreNpusThanThereAre) {
  EXPECT_THAT(complaint({"/deployment/prefill/instances=15"}),
              EndsWith("/deployment: the instances need 400 NPUs (15 x 16 prefill + 1 x 160 "
                       "decode), the platform has 384"));
}

TEST(ScenarioErrors, ModelThatDoesNotFitHbm) {
  const std::string message = complaint({"/platform/die/hbm_capacity=32GB"});
  EXPECT_THAT(message, HasSubstr("cloudmatrix384.json:"));  // file and line of the role
  EXPECT_THAT(message,
              HasSubstr(": /deployment/prefill: the model does not fit HBM: a die has 32 GB"));
}

TEST(ScenarioErrors, UnknownPolicy) {
  EXPECT_EQ(complaint({"/policies/decode_routing=random"}),
            "--set /policies/decode_routing=random: /policies/decode_routing: unknown policy "
            "\"random\"; known are \"least_sequences\", \"least_kv\", "
            "\"longest_context_aware\", \"connection_map\", \"round_robin\"");
}

TEST(ScenarioErrors, ParametersOfAPolicy) {
  const std::string admission = "/policies/decode_admission";
  EXPECT_EQ(complaint({admission + "=slo", admission + "/tpot=30"}),
            "--set /policies/decode_admission/tpot=30: /policies/decode_admission/tpot: found 30, "
            "expected a quantity with a unit, e.g. \"1.9us\"");
  EXPECT_EQ(complaint({admission + "/tpot=30ms"}),
            "--set /policies/decode_admission/tpot=30ms: /policies/decode_admission/tpot: unknown "
            "key, allowed are headroom, name");
  EXPECT_EQ(complaint({admission + R"(={"name": "slo", "margin": 50})"}),
            R"(--set /policies/decode_admission={"name": "slo", "margin": 50}: )"
            "/policies/decode_admission/margin: found 50, allowed is 0.01 to 10");
}

TEST(Classes, HaveLimitsAndPrioritiesOfTheirOwn) {
  const Scenario s = load_scenario(
      default_scenario(),
      {R"(/workload/classes={"chat": {"share": 0.7, "priority": 2, "slo": {"ttft": "1s"}},
                             "batch": {"share": 0.3, "slo": "cm384-15ms"}})"});
  ASSERT_EQ(s.classes.size(), 2u);
  EXPECT_EQ(s.classes[0].name, "batch");  // in order of their names
  EXPECT_DOUBLE_EQ(s.classes[0].limits.tpot, 0.015);
  EXPECT_EQ(s.classes[1].priority, 2);
  EXPECT_DOUBLE_EQ(s.classes[1].limits.ttft, 1);
  EXPECT_DOUBLE_EQ(s.classes[1].limits.tpot, 0.05);  // of /slo
  EXPECT_EQ(s.workload.classes[1].share, 0.7);
}

TEST(ScenarioErrors, ClassesThatCannotBe) {
  const auto of = [](const std::string& classes) {
    const std::string message = complaint({"/workload/classes=" + classes});
    return message.substr(message.rfind("/workload/classes"));
  };
  EXPECT_EQ(of(R"({"a": {"share": 0.5}, "b": {"share": 0.4}})"),
            "/workload/classes: the shares add up to 0.9, expected 1");
  EXPECT_EQ(of(R"({"a": {"share": 0.5}, "b": {}})"),
            "/workload/classes: 1 of 2 classes have a share, expected all or none");
  EXPECT_EQ(of(R"({"a,b": {}})"),
            "/workload/classes/a,b: is no name of a class, allowed are letters, digits, blanks and "
            "_ - .");
  EXPECT_EQ(of("{}"), "/workload/classes: has no class, expected at least one");
  EXPECT_EQ(of(R"({"a": {"prioriti": 1}})"),
            "/workload/classes/a/prioriti: unknown key, did you mean \"priority\"?");
}

TEST(Policies, ANameAndItsParametersMeetKeyByKey) {
  const std::string admission = "/policies/decode_admission";
  const auto chosen = [&](const std::vector<std::string>& sets) {
    return load_scenario(default_scenario(), sets).policies.at("decode_admission");
  };
  const auto slo = chosen({admission + "=slo", admission + "/tpot=30ms"});
  EXPECT_EQ(slo.name, "slo");
  EXPECT_EQ(slo.parameters, (serve::Parameters{{"tpot", 0.030}}));
  EXPECT_EQ(chosen({admission + R"(={"name": "slo", "margin": 1})"}).parameters,
            (serve::Parameters{{"margin", 1}}));
  EXPECT_EQ(chosen({admission + "/headroom=5%"}).parameters,
            (serve::Parameters{{"headroom", 0.05}}));
  // What comes with another name is all that holds.
  EXPECT_EQ(
      chosen({admission + R"(={"name": "slo", "margin": 1})", admission + "=fixed"}).parameters,
      serve::Parameters());
  const std::string one = load_scenario(default_scenario(), {admission + "=slo"}).digest;
  EXPECT_EQ(one, load_scenario(default_scenario(), {admission + R"(={"name": "slo"})"}).digest);
}

TEST(ScenarioErrors, MissingFiles) {
  EXPECT_THAT(complaint({"/platform=nowhere.json"}),
              testing::MatchesRegex("--set /platform=nowhere.json: /platform: .*nowhere.json: "
                                    "no such file"));
  try {
    load_scenario("nowhere.json");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), "nowhere.json: no such file");
  }
}

TEST(ScenarioErrors, TextWithoutAFile) {
  try {
    parse_scenario("{\n  \"platform\": {\"nodes\": 3},\n  \"model\": {}}", "memory");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), "memory:2: /platform/name: missing, this key is required");
  }
}

}  // namespace
}  // namespace cmsim::run
