// Every platform that is shipped, with the commands that take one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> shipped() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kRoot + "/platforms")) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string test_name(std::string name) {
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
}

class EveryPlatform : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryPlatform, IsShownByItsName) {
  const WorkDirectory work;
  const Outcome run = work.cmsim({"topology", GetParam()});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr(GetParam() + "\n"));
}

TEST_P(EveryPlatform, ExchangesTokens) {
  const WorkDirectory work;
  for (const char* op : {"dispatch", "combine"}) {
    const Outcome run = work.cmsim(
        {"collective", GetParam(), "--op", op, "--ep", "64", "--tokens", "128", "--json"});
    ASSERT_EQ(run.code, 0) << run.err;
    const auto json = nlohmann::json::parse(run.out);
    EXPECT_GT(json["latency_us"], 10) << op;  // the largest of its start-ups
    EXPECT_LT(json["latency_us"], 1000) << op;
  }
}

TEST_P(EveryPlatform, TakesAStep) {
  const WorkDirectory work;
  const int dies = GetParam().starts_with("cloudmatrix") ? 2 : 1;  // of a package
  const Outcome run = work.cmsim(
      {"step", kScenario, "--phase", "decode", "--set", "/platform=" + GetParam(), "--set",
       "/deployment/decode/npus_per_instance=" + std::to_string(64 / dies), "--set",
       "/deployment/decode/ep=64", "--set", "/deployment/decode/max_num_seqs=32", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_GT(json["duration_us"], 1000);
  EXPECT_LT(json["duration_us"], 100'000);
  EXPECT_EQ(json["provenance"]["borrowed"].empty(), GetParam().starts_with("cloudmatrix"));
}

INSTANTIATE_TEST_SUITE_P(Shipped, EveryPlatform, ::testing::ValuesIn(shipped()),
                         [](const auto& one) { return test_name(one.param); });

TEST(Borrowed, IsSaidInEveryResultThatUsesIt) {
  const WorkDirectory work;
  const std::string said = "figures borrowed from another device or model: ";
  const std::vector<std::string> small{"--set", "/deployment/decode/npus_per_instance=64", "--set",
                                       "/deployment/decode/ep=64"};
  std::vector<std::string> step{"step",   kScenario, "--phase",
                                "decode", "--set",   "/platform=gb200-nvl72"};
  step.insert(step.end(), small.begin(), small.end());
  EXPECT_THAT(work.cmsim(step).out, HasSubstr(said));
  step.emplace_back("--json");
  EXPECT_THAT(nlohmann::json::parse(work.cmsim(step).out)["provenance"]["borrowed"],
              Contains("/platform/operators/attention_efficiency"));

  std::vector<std::string> run{"run",   kPaperDecode,           "--set", "/platform=gb200-nvl72",
                               "--set", "/workload/requests=64"};
  run.insert(run.end(), small.begin(), small.end());
  EXPECT_THAT(work.cmsim(run).out, HasSubstr("\nMachine     15 " + said));
  run.emplace_back("--json");
  EXPECT_THAT(nlohmann::json::parse(work.cmsim(run).out)["provenance"]["borrowed"],
              Contains("/platform/operators/attention_efficiency"));
}

// A transfer between dies of one node uses nothing of operators, a token exchange nothing of GEMM.
TEST(Borrowed, IsNotSaidOfWhatACommandDoesNotUse) {
  const WorkDirectory work;
  const auto borrowed = [&](const std::vector<std::string>& arguments) {
    const Outcome run = work.cmsim(arguments);
    EXPECT_EQ(run.code, 0) << run.err;
    return nlohmann::json::parse(run.out)["provenance"]["borrowed"];
  };
  EXPECT_TRUE(borrowed({"p2p", "gb200-nvl72", "--from", "die:0", "--to", "die:9", "--plane", "rdma",
                        "--bytes", "1MB", "--json"})
                  .empty());
  const auto exchange = borrowed(
      {"collective", "ascend-950dt", "--op", "dispatch", "--ep", "16", "--tokens", "8", "--json"});
  EXPECT_THAT(exchange, Contains("/operators/hbm_efficiency"));
  EXPECT_THAT(exchange, Contains("/token_exchange/startup"));
  EXPECT_THAT(exchange, Not(Contains("/operators/gemm_int8_efficiency")));
}

TEST(Platforms, ACacheOverAPlaneThatDoesNotReachItIsRefused) {
  const WorkDirectory work;
  const Outcome run = work.cmsim(
      {"run", kScenario, "--set", "/platform=h200", "--set", "/deployment/prefill/instances=1",
       "--set", "/deployment/prefill/npus_per_instance=32", "--set",
       "/deployment/decode/npus_per_instance=64", "--set", "/deployment/decode/ep=64"});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("/deployment/cache/plane: found \"ub\", by which there is no way "
                                 "from die:0 to cpu:2 on this platform; allowed is \"vpc\""));
}

TEST(Platforms, ADeviceInThePlaceOfAPlatformIsCalledSo) {
  const WorkDirectory work;
  const Outcome run = work.cmsim({"topology", kRoot + "/platforms/devices/h100.json"});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("is a device; use "));
}

}  // namespace
}  // namespace cmsim::cli
