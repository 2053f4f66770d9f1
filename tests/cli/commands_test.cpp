// The other commands as a user meets them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cmsim/base/version.hpp"
#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(Cmsim, VersionAndHelp) {
  const WorkDirectory here;
  const Outcome version = here.cmsim({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out, std::string("cmsim ") + kVersion + "\n");
  const Outcome help = here.cmsim({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const char* command : {"run", "p2p", "trace", "policies"}) {
    EXPECT_THAT(help.out, HasSubstr(command));
    const Outcome own = here.cmsim({command, "--help"});
    EXPECT_EQ(own.code, 0);
    EXPECT_THAT(own.out, HasSubstr("Usage:"));
  }
  EXPECT_THAT(here.cmsim({"run", "--help"}).out, HasSubstr("Examples:"));
}

TEST(P2p, ReproducesACellOfTheMeasurements) {
  // P Table 1: NPU-NPU read between nodes 164 GB/s and 1.9 us at 512 B, within 1 %.
  const WorkDirectory here;
  const Outcome run =
      here.cmsim({"p2p", kPlatform, "--from", "die:0", "--to", "16", "--bytes", "1GB", "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  const json result = json::parse(run.out);
  EXPECT_NEAR(result["bandwidth_gb_per_s"], 164, 1.64);
  EXPECT_NEAR(result["latency_us"], 1.9, 0.019);
  EXPECT_NEAR(result["time_us"], 1e9 / 164e9 * 1e6 + 1.9, 61);
  EXPECT_EQ(result["from"], "die:0");
  EXPECT_EQ(result["to"], "die:16");
  EXPECT_EQ(result["op"], "read");
  EXPECT_EQ(result["bytes"], 1000000000);
  EXPECT_EQ(result["path"].size(), 2u);  // out of one die's ports, into the other's
}

TEST(P2p, SettingsOfThePlatformAndText) {
  const WorkDirectory here;
  const auto at = [&](const std::string& planes) {
    const Outcome run = here.cmsim({"p2p", kPlatform, "--from", "0", "--to", "16", "--bytes",
                                    "1000000000", "--json", "--set", "/ub/sub_planes=" + planes});
    return json::parse(run.out)["bandwidth_gb_per_s"].get<double>();
  };
  EXPECT_NEAR(at("7") / at("14"), 0.5, 0.01);  // a die has one link into each
  const Outcome text =
      here.cmsim({"p2p", kPlatform, "--from", "0", "--to", "cpu:5", "--bytes", "64MB"});
  EXPECT_THAT(text.out, HasSubstr("die:0 reads from cpu:5, 64,000,000 bytes over the ub plane"));
}

TEST(P2p, UserErrors) {
  const WorkDirectory here;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--from", "0", "--to", "99999", "--bytes", "1"},
        {"--from", "nobody", "--to", "1", "--bytes", "1"},
        {"--from", "0", "--to", "1", "--bytes", "many"},
        {"--from", "0", "--to", "1", "--bytes", "99999999999999999999"},
        {"--from", "0", "--to", "cpu:1", "--bytes", "1", "--plane", "rdma"},
        {"--from", "0", "--to", "1"}}) {
    std::vector<std::string> all{"p2p", kPlatform};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Outcome run = here.cmsim(all);
    EXPECT_EQ(run.code, 2) << run.err;
    EXPECT_TRUE(run.out.empty());
  }
}

TEST(TraceCommand, SynthesizeConvertAndInspectAgree) {
  const WorkDirectory here;
  const Outcome made =
      here.cmsim({"trace", "synthesize", "--requests", "200", "--rate", "5", "--prompt-mean", "900",
                  "--output-mean", "300", "--continue-probability", "0.5", "--seed", "3", "--out",
                  "made.jsonl"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_TRUE(made.out.empty());
  const Outcome converted = here.cmsim({"trace", "convert", "made.jsonl"});
  EXPECT_EQ(converted.out, content(here / "made.jsonl"));  // is Mooncake JSONL already
  const Outcome inspected = here.cmsim({"trace", "inspect", "made.jsonl", "--json"});
  ASSERT_EQ(inspected.code, 0) << inspected.err;
  const json summary = json::parse(inspected.out);
  EXPECT_EQ(summary["requests"], 200);
  EXPECT_THAT(here.cmsim({"trace", "inspect", "made.jsonl"}).out, HasSubstr("prefix reuse"));
}

TEST(TraceCommand, LeadingZerosAreNotOctal) {
  const WorkDirectory here;
  const auto drawn = [&](const std::string& seed) {
    return here.cmsim({"trace", "synthesize", "--requests", "010", "--seed", seed}).out;
  };
  const std::string ten = drawn("010");
  EXPECT_EQ(std::count(ten.begin(), ten.end(), '\n'), 10);
  EXPECT_EQ(ten, drawn("10"));
}

TEST(TraceCommand, UserErrors) {
  const WorkDirectory here;
  std::ofstream(here / "strange.txt") << "not a trace\n";
  EXPECT_EQ(here.cmsim({"trace", "inspect", "nowhere.csv"}).code, 2);
  EXPECT_EQ(here.cmsim({"trace", "inspect", "strange.txt"}).code, 2);
  EXPECT_EQ(here.cmsim({"trace", "convert", "strange.txt", "--out", "made"}).code, 2);
  EXPECT_FALSE(std::filesystem::exists(here / "made"));
  EXPECT_EQ(here.cmsim({"trace", "inspect", "strange.txt", "--start", "5 apples"}).code, 2);
  EXPECT_EQ(here.cmsim({"trace", "synthesize"}).code, 2);  // without an end
  EXPECT_EQ(here.cmsim({"trace"}).code, 2);
}

TEST(PoliciesCommand, ListsEveryKindWithALine) {
  const WorkDirectory here;
  const Outcome run = here.cmsim({"policies"});
  EXPECT_EQ(run.code, 0);
  for (const char* kind :
       {"/policies/prefill_routing", "/policies/prefill_batching", "/policies/decode_routing",
        "/policies/decode_admission", "/policies/prefill_admission", "/policies/cache_eviction",
        "/policies/cache_placement", "/policies/cache_prefetch", "/policies/preemption",
        "/policies/expert_placement", "/policies/proportion", "/policies/supernode_routing"}) {
    EXPECT_THAT(run.out, HasSubstr(kind));
  }
  EXPECT_THAT(run.out, HasSubstr("least_tokens"));
}

TEST(PoliciesCommand, NamesASlotOrAPolicy) {
  const WorkDirectory here;
  const Outcome slot = here.cmsim({"policies", "decode_admission"});
  EXPECT_THAT(slot.out, HasSubstr("kv_headroom"));
  EXPECT_THAT(slot.out, Not(HasSubstr("least_tokens")));
  const auto listed = nlohmann::json::parse(here.cmsim({"policies", "slo", "--json"}).out);
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0]["slot"], "decode_admission");
  const nlohmann::json& slo = listed[0]["policies"][0];
  EXPECT_EQ(slo["parameters"][1]["name"], "margin");
  EXPECT_EQ(slo["parameters"][1]["default"], 0.95);
  EXPECT_EQ(slo["parameters"][0]["default"], nullptr);
  const Outcome wrong = here.cmsim({"policies", "sloo"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_EQ(wrong.err,
            "cmsim: policies: \"sloo\" is no slot and no policy, did you mean \"slo\"?\n");
}

}  // namespace
}  // namespace cmsim::cli
