// Policies that misbehave and objects that are no plugins: each is named, with the right exit code,
// on one line, and no file is written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "cmsim/base/version.hpp"
#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::StartsWith;

constexpr const char* kWorkload =
    R"(/workload={"requests": 60, "prompt_length": 2000, "output_length": 20,
        "arrivals": {"kind": "poisson", "rate": 200}})";

// Prompts with block ids, as the cache needs them.
constexpr const char* kTraced =
    R"(/workload={"trace": ")" CMSIM_SOURCE_DIR R"(/workloads/traces/r1-like.jsonl.gz",
        "max_requests": 20})";

// Prompts of which some begin alike.
constexpr const char* kShared = R"(/workload={"role": "prefill", "trace": ")" CMSIM_SOURCE_DIR
                                R"(/workloads/traces/r1-like.jsonl.gz", "max_requests": 80})";

// More requests at once than the KV space of a small HBM holds: what is let in outgrows it.
constexpr const char* kCrowded =
    R"(/workload={"role": "decode", "requests": 6000, "prompt_length": 1000, "output_length": 100,
        "population": "empty", "arrivals": {"kind": "all_at_once"}})";

std::string plugin(const std::string& name) {
  return (fs::path(CMSIM_BINARY).parent_path() / "tests/plugins" / (name + ".so")).string();
}

/// What a policy of the slot is asked for.
std::vector<std::string> settings_for(const std::string& slot) {
  if (slot == "preemption" || slot == "preempted_kv") {
    std::vector<std::string> crowded{kCrowded, "/platform/operators/hbm_reserved=42GB"};
    if (slot == "preempted_kv") crowded.emplace_back("/deployment/swap/dram_per_node=100GB");
    return crowded;
  }
  if (slot == "cache_prefetch" || slot == "cache_placement") {
    return {kShared, "/deployment/cache/dram_per_node=1MB",
            "/deployment/cache/ssd/capacity_per_node=1TB"};
  }
  std::vector<std::string> settings{slot == "cache_eviction" ? kTraced : kWorkload};
  if (slot == "expert_placement") settings.emplace_back("/experts/drift/time=10min");
  if (slot == "supernode_routing") {
    settings.insert(settings.end(), {"/platform/supernodes=2", "/deployment/supernodes=2"});
  }
  if (slot == "proportion") {
    settings.insert(settings.end(),
                    {"/deployment/prefill/instances=10", "/deployment/role_switch/load=5s"});
  }
  return settings;
}

std::vector<std::string> run_with(const std::string& slot, const std::string& policy) {
  std::vector<std::string> command{"run", kScenario};
  for (const std::string& setting : settings_for(slot)) {
    command.insert(command.end(), {"--set", setting});
  }
  // Whoever comes back, however late on a machine that is busy, is not to be taken for one that
  // hangs.
  const bool stays = policy.ends_with("hangs") || policy.ends_with("spins");
  command.insert(command.end(),
                 {"--set", "/policies/" + slot + "=" + policy, "--out", "o", "--json", "--network",
                  "analytic", "--plugin", plugin("zoo"), "--policy-timeout", stays ? "0.5" : "60"});
  return command;
}

/// Code, one line on stderr, nothing else anywhere.
void expect_refusal(const WorkDirectory& here, const Outcome& run, int code) {
  EXPECT_EQ(run.code, code) << run.err;
  EXPECT_THAT(run.err, StartsWith("cmsim: "));
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  EXPECT_THAT(run.out, IsEmpty());
  for (const char* file : {"result.json", "requests.csv"}) {
    EXPECT_FALSE(fs::exists(here / "o" / file)) << file;
  }
}

struct Misdeed {
  const char* policy;
  const char* told;  // after the name, before the time
};

class Zoo : public testing::TestWithParam<const char*> {
 protected:
  /// Runs with the policy in the slot and expects `told`; `when` is a regular expression.
  void meet(const std::string& policy, const std::string& told, const std::string& when) {
    SCOPED_TRACE(std::string(GetParam()) + " " + policy);
    const Outcome run = here.cmsim(run_with(GetParam(), policy));
    expect_refusal(here, run, 3);
    EXPECT_THAT(run.err,
                HasSubstr("the policy " + std::string(GetParam()) + " \"" + policy + "\" " + told));
    EXPECT_THAT(run.err, testing::ContainsRegex(when));
  }
  const WorkDirectory here;
};

constexpr const char* kTime = " at [0-9.e-]+ s";

/// What a guard around the call catches is told with the view, the rest from a signal handler.
constexpr Misdeed kDeeds[] = {
    {"throws_std", R"(threw "out of\x0aideas")"},
    {"throws_int", "threw something that is not a std::exception"},
    {"throws_silent", R"(threw "")"},
    {"throws_config_error", R"(threw "the user did it")"},
    {"allocates", R"(threw "std::bad_alloc")"},
    {"throws_past_noexcept",
     "threw something that is not a std::exception where nothing can catch it"},
    {"hangs", "has not returned for 0.5 s"},
    {"spins", "has not returned for 0.5 s"},
    {"segfaults", "crashed (SIGSEGV)"},
    {"overflows_the_stack", "crashed (SIGSEGV)"},
    {"divides_by_zero", "crashed (SIGFPE)"},
    {"aborts", "crashed (SIGABRT)"},
    {"exits", "called exit()"},
};

TEST_P(Zoo, AMisdeedInADecisionIsNamed) {
  for (const Misdeed& deed : kDeeds) meet(deed.policy, deed.told, kTime);
}

TEST_P(Zoo, AMisdeedInTheFactoryIsNamed) {
  for (const Misdeed& deed : kDeeds) {
    if (deed.policy == std::string("throws_config_error")) continue;
    meet(std::string("made_") + deed.policy, deed.told, " while being made");
  }
  meet("made_null", "returned a null pointer", " while being made");
}

TEST_P(Zoo, AMisdeedInTheDestructorIsNamed) {
  meet("destroyed_aborts", "crashed (SIGABRT)", " while being destroyed");
}

TEST_P(Zoo, AFactoryMaySayThatTheUserIsWrong) {
  const Outcome run = here.cmsim(run_with(GetParam(), "made_throws_config_error"));
  expect_refusal(here, run, 2);
  EXPECT_THAT(run.err,
              HasSubstr("/policies/" + std::string(GetParam()) + ": the policy " + GetParam() +
                        " \"made_throws_config_error\" cannot be made: the "
                        "user did it"));
}

INSTANTIATE_TEST_SUITE_P(Slots, Zoo,
                         testing::Values("supernode_routing", "prefill_routing",
                                         "prefill_admission", "cache_prefetch", "prefill_batching",
                                         "cache_placement", "cache_eviction", "decode_admission",
                                         "decode_routing", "preemption", "preempted_kv",
                                         "proportion", "pipeline_plan", "expert_placement"),
                         [](const auto& slot) { return slot.param; });

TEST(ZooDecisions, OneOutsideItsDomainIsNamed) {
  const WorkDirectory here;
  struct Case {
    const char *slot, *policy, *told;
  };
  const Case cases[] = {
      {"supernode_routing", "out_of_range", "chose supernode 2 of 2"},
      {"proportion", "out_of_range", "chose 3 of 2 blocks for decode, allowed are 1 to 1"},
      {"pipeline_plan", "out_of_range", "chose plan "},
      {"proportion", "at_once_again", "wants to be asked again after 0 s"},
      {"prefill_routing", "out_of_range", "chose instance 99 of 6"},
      {"prefill_routing", "negative", "chose instance -1 of 6"},
      {"prefill_admission", "out_of_range", "gave the verdict 7"},
      {"cache_prefetch", "out_of_range", "chose "},
      {"cache_prefetch", "negative", "chose -1 of the "},
      {"cache_placement", "out_of_range", "chose tier 3"},
      {"cache_placement", "always_dram", "chose tier 1"},
      {"cache_eviction", "nan", "said that it is worth nan"},
      {"cache_eviction", "infinite", "said that it is worth inf"},
      {"decode_admission", "of_none", "allowed an instance 0 sequences"},
      {"preemption", "out_of_range", "chose "},
      {"expert_placement", "out_of_range", "decided 7"},
      {"prefill_batching", "out_of_range", "picked position 1 of the queue"},
      {"prefill_batching", "largest", "picked position 18446744073709551615 of the queue"},
      {"decode_admission", "out_of_range", "chose position 1 of the queue"},
      {"decode_admission", "largest", "chose position 18446744073709551615 of the queue"},
      {"decode_admission", "negative", "asked for a headroom of -1000000000 tokens"},
      {"decode_admission", "int64_min", "asked for a headroom of -9223372036854775808 tokens"},
      {"decode_routing", "out_of_range", "chose rank 320 of 320"},
      {"decode_routing", "largest", "chose rank 18446744073709551615 of 320"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.slot) + " " + c.policy);
    const Outcome run = here.cmsim(run_with(c.slot, c.policy));
    expect_refusal(here, run, 3);
    EXPECT_THAT(run.err,
                HasSubstr("the policy " + std::string(c.slot) + " \"" + c.policy + "\" " + c.told));
    EXPECT_THAT(run.err, testing::ContainsRegex(kTime));
  }
  // One slot a rank, and the second request asks for the same rank.
  std::vector<std::string> crowded = run_with("decode_routing", "always_the_first");
  crowded.insert(crowded.end(), {"--set", "/deployment/decode/max_num_seqs=2"});
  const Outcome run = here.cmsim(crowded);
  expect_refusal(here, run, 3);
  EXPECT_THAT(run.err, HasSubstr("decode_routing \"always_the_first\" chose rank 0, which has no "
                                 "room for the request,"));
}

TEST(ZooDecisions, TheLargestHeadroomMeansAnEmptyRank) {
  // A die of 28 GB has KV space for 40,175 tokens: one context of 30,000, though it has 48 slots.
  const WorkDirectory here;
  const Outcome run = here.cmsim(
      {"run", kRoot + "/workloads/scenarios/paper-decode.json", "--set",
       R"(/workload={"role": "decode", "requests": 2000, "prompt_length": 30000,
          "output_length": 20, "arrivals": {"kind": "all_at_once"}})",
       "--set", "/platform/die/hbm_capacity=28GB", "--set", "/policies/decode_admission=int64_max",
       "--network", "analytic", "--plugin", plugin("zoo"), "--json"});
  ASSERT_EQ(run.code, 0) << run.err;
  const auto result = nlohmann::json::parse(run.out);
  EXPECT_EQ(result["completed"], 2000);
  EXPECT_EQ(result["requests"]["preempted"], 0);
  EXPECT_LE(result["whole_run"]["kv"]["peak_occupancy"], 30'020. / 40'175);
}

TEST(ZooDecisions, WaitingForEverNamesWhoIsAsked) {
  const WorkDirectory here;
  const std::pair<const char*, const char*> cases[] = {
      {"prefill_batching", "60 waiting for the policy prefill_batching \"never\" at"},
      {"decode_admission",
       "60 waiting for the policy decode_admission \"never\" or the policy decode_routing"},
      {"decode_routing", "or the policy decode_routing \"never\" at"}};
  for (const auto& [slot, told] : cases) {
    const Outcome run = here.cmsim(run_with(slot, "never"));
    expect_refusal(here, run, 3);
    EXPECT_THAT(run.err, HasSubstr("60 of 60 requests never ended"));
    EXPECT_THAT(run.err, HasSubstr(told));
  }
}

TEST(ZooDecisions, CtrlCNamesThePolicyThatHangs) {
  const WorkDirectory here;
  std::vector<std::string> arguments = run_with("decode_routing", "hangs");
  arguments.back() = "0";  // for ever
  const Outcome run = here.cmsim(arguments, [](pid_t child) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    kill(child, SIGINT);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    kill(child, SIGINT);
  });
  EXPECT_EQ(run.code, 128 + SIGINT);
  EXPECT_THAT(run.err, MatchesRegex("cmsim: the policy decode_routing \"hangs\" has not returned "
                                    "yet at [0-9.e-]+ s\n.*"));
}

TEST(ZooDecisions, ACrashOutsideAPolicyKeepsItsDefaultAction) {
  const WorkDirectory here;
  ASSERT_EQ(mkfifo((here / "fifo.jsonl").c_str(), 0600), 0);  // nobody writes: the run waits
  const Outcome run = here.cmsim(
      {"run", kScenario, "--trace", "fifo.jsonl", "--plugin", plugin("zoo")}, [](pid_t child) {
        std::this_thread::sleep_for(std::chrono::seconds(1));
        kill(child, SIGSEGV);
      });
  EXPECT_EQ(run.code, 128 + SIGSEGV);
  EXPECT_THAT(run.err, IsEmpty());
}

TEST(Plugin, WhatIsNoPluginForThisCmsimIsTheUsersError) {
  const WorkDirectory here;
  std::ofstream(here / "text.so") << "not a library\n";
  const std::string rebuild = "rebuild it against the headers of this cmsim";
  const std::pair<std::string, testing::Matcher<std::string>> cases[] = {
      {"", HasSubstr("--plugin \"\": ")},
      {".", HasSubstr("is not a file")},
      {"/dev/null", HasSubstr("is not a file")},
      {"nowhere.so", HasSubstr("nowhere.so: No such file")},
      {"text.so", HasSubstr("text.so: cannot be loaded: ")},
      {plugin("no_abi"), AllOf(HasSubstr("no_abi.so: does not say"), HasSubstr(rebuild))},
      {plugin("no_entry"), HasSubstr("has no function cmsim_register_policies()")},
      {plugin("changed"),
       testing::ContainsRegex(std::string("was built for another cmsim: ") + kVersion +
                              " with policy interface [0-9a-f]{16}, this is " + kVersion +
                              " with [0-9a-f]{16}; " + rebuild)},
      {plugin("twice"), HasSubstr("the policy prefill_batching \"fcfs\" is registered twice")},
  };
  for (const auto& [file, told] : cases) {
    SCOPED_TRACE(file);
    const Outcome run =
        here.cmsim({"run", kScenario, "--set", kWorkload, "--out", "o", "--plugin", file});
    expect_refusal(here, run, 2);
    EXPECT_THAT(run.err, HasSubstr("--plugin "));
    EXPECT_THAT(run.err, told);
    EXPECT_EQ(here.cmsim({"policies", "--plugin", file}).code, 2);
  }
}

TEST(Plugin, OneThatFailsWhileLoadedIsNamed) {
  const WorkDirectory here;
  const std::pair<std::string, const char*> cases[] = {
      {"constructor_throws", "threw \"no licence\" where nothing can catch it"},
      {"constructor_crashes", "crashed (SIGILL)"}};
  for (const auto& [name, told] : cases) {
    const Outcome run = here.cmsim({"policies", "--plugin", plugin(name)});
    expect_refusal(here, run, 2);
    EXPECT_EQ(run.err,
              "cmsim: the plugin \"" + plugin(name) + "\" " + told + " while being loaded\n");
  }
}

}  // namespace
}  // namespace cmsim::cli
