// Keys that cannot have an effect: each of them refused where it was given, retired where a later
// layer switched off what it was for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cmsim/base/config.hpp"
#include "cmsim/run/scenario.hpp"

namespace cmsim::run {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kTrace = R"({"trace": "t.jsonl"})";
constexpr const char* kFixed =
    R"({"requests": 5, "prompt_length": 64, "output_length": 8,
        "arrivals": {"kind": "poisson", "rate": 2}})";

constexpr const char* kGamma = R"({"trace": "t.jsonl", "arrivals": {"kind": "gamma", "rate": 2}})";

/// The default machine and model with `workload` and nothing else.
json scenario_of(const std::string& workload) {
  const std::string root = CMSIM_SOURCE_DIR;
  return {{"platform", root + "/platforms/cloudmatrix384.json"},
          {"model", root + "/workloads/models/deepseek-r1.json"},
          {"deployment", {{"cache", {{"enabled", true}}}}},
          {"workload", json::parse(workload)}};
}

std::string complaint(const json& scenario, const std::vector<std::string>& sets) {
  try {
    parse_scenario(scenario.dump(), "s.json", sets);
    return "accepted";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

struct Case {
  const char* key;    // the assignment that has no effect
  const char* cause;  // the assignment by which it has none; "" = it is so without
  const char* needs;  // part of the message
  const char* workload = kTrace;
};

std::string pointer_of(const std::string& assignment) {
  return assignment.substr(0, assignment.find('='));
}

constexpr const char *kDecode = "/workload/role=decode", *kPrefill = "/workload/role=prefill";
constexpr const char *kOff = "/deployment/cache/enabled=false",
                     *kBalanced = "/experts/placement=balanced", *kNoSkew = "/experts/skew=0";

const Case kCases[] = {
    {"/deployment/prefill/instances=2", kDecode, "role all or prefill"},
    {"/deployment/copies_per_die=3", kDecode, "role all or prefill"},
    {"/prefill/microbatches=2", kDecode, "role all or prefill"},
    {"/prefill/sequence_packing=false", kDecode, "role all or prefill"},
    {"/policies/prefill_routing/name=round_robin", kDecode, "role all or prefill"},
    {"/policies/prefill_batching/name=fcfs", kDecode, "role all or prefill"},
    {"/experts/popularity/prefill/tail=0.1", kDecode, "role all or prefill"},
    {"/deployment/cache/plane=vpc", kDecode, "role all or prefill"},
    {"/deployment/kv/plane=ub", kDecode, "/workload/role all"},
    {"/deployment/kv/plane=ub", kPrefill, "/workload/role all"},
    {"/deployment/decode/max_num_seqs=8", kPrefill, "role all or decode"},
    {"/decode/exchange=basic", kPrefill, "role all or decode"},
    {"/policies/prefill_admission/name=ttft", kDecode, "role all or prefill"},
    {"/policies/cache_eviction/name=lfu", kDecode, "role all or prefill"},
    {"/policies/cache_eviction/name=lfu", kOff, "/deployment/cache/enabled=true"},
    {"/policies/cache_placement/name=second_use", kDecode, "role all or prefill"},
    {"/policies/cache_placement/name=second_use", kOff, "/deployment/cache/enabled=true"},
    {"/policies/cache_prefetch/name=on_arrival", "", "/deployment/cache/ssd/capacity_per_node"},
    {"/deployment/cache/ssd/latency=1ms", "", "/deployment/cache/ssd/capacity_per_node above 0"},
    {"/deployment/cache/ssd/capacity_per_node=1TB", kOff, "/deployment/cache/enabled=true"},
    {"/deployment/cache/ssd/capacity_per_node=1TB", kDecode, "role all or prefill"},
    {"/policies/decode_routing/name=round_robin", kPrefill, "role all or decode"},
    {"/policies/preemption/name=priority", kPrefill, "role all or decode"},
    {"/policies/decode_admission/name=fixed", kPrefill, "role all or decode"},
    {"/experts/popularity/decode/tail=0.1", kPrefill, "role all or decode"},
    {"/slo/tpot=15ms", kPrefill, "role all or decode"},
    {"/deployment/cache/block_size=1024", kOff, "/deployment/cache/enabled=true"},
    {"/deployment/cache/dram_per_node=1TB", kOff, "/deployment/cache/enabled=true"},
    {"/deployment/cache/plane=vpc", kOff, "/deployment/cache/enabled=true"},
    {"/deployment/cache/reuse=0.5", kOff, "/deployment/cache/enabled=true"},
    {"/deployment/cache/block_size=1024", "", "a trace with block ids", kFixed},
    {"/deployment/cache/dram_per_node=1TB", "", "a trace with block ids", kFixed},
    {"/deployment/cache/plane=vpc", "", "a trace with block ids", kFixed},
    {"/decode/split/auto=true", "/decode/microbatches=1", "/decode/microbatches auto or from 2"},
    {"/decode/split/attention_aic=12", "/decode/microbatches=1", "auto or from 2"},
    {"/decode/split/attention_aic=12", "/decode/split/auto=true", "/decode/split/auto=false"},
    {"/decode/split/attention_aiv=20", "/decode/split/auto=true", "/decode/split/auto=false"},
    {"/decode/mtp/acceptance=0.9", "/decode/mtp/draft_tokens=0", "draft_tokens from 1"},
    {"/decode/launch_time=1ms", "", "/decode/launch=cpu"},
    {"/experts/seed=4", kBalanced, "eplb or contiguous"},
    {"/experts/skew=2", kBalanced, "eplb or contiguous"},
    {"/experts/skew=2", "/experts/balancedness=0.7", "/experts/balancedness left out"},
    {"/experts/placement=contiguous", "/experts/balancedness=70%",
     "/experts/balancedness left out"},
    {"/experts/popularity/decode/bound=5", kBalanced, "eplb or contiguous"},
    {"/prefill/placement_staleness=1", kBalanced, "eplb or contiguous"},
    {"/decode/placement_staleness=1", "/experts/placement=contiguous", "placement=eplb"},
    {"/experts/drift/time=1min", "/experts/placement=contiguous", "placement=eplb"},
    {"/experts/drift/time=1min", kBalanced, "eplb or contiguous"},
    {"/experts/drift/time=1min", kNoSkew, "/experts/skew above 0"},
    {"/experts/drift/time=1min", kPrefill, "role all or decode"},
    {"/experts/drift/age=1min", "", "/experts/drift/time"},
    {"/experts/moves/layers_per_step=2", "", "/experts/drift/time"},
    {"/policies/expert_placement/name=periodic", "", "/experts/drift/time"},
    {"/experts/seed=4", kNoSkew, "/experts/skew above 0"},
    {"/prefill/placement_staleness=1", kNoSkew, "/experts/skew above 0"},
    {"/experts/popularity/prefill/stale_correlation=0.5", "/prefill/placement_staleness=0",
     "/prefill/placement_staleness above"},
    {"/experts/popularity/decode/stale_correlation=0.5", "", "/decode/placement_staleness above"},
    {"/workload/format=azure", "", "name one in /workload/trace", kFixed},
    {"/workload/block_size=16", "", "name a trace in /workload/trace", kFixed},
    {"/workload/sessions/wait=true", "", "it needs a trace", kFixed},
    {"/workload/prompt_length=9", "/workload/sessions/turns/mean=3", "with drawn sessions", kFixed},
    {"/workload/sessions/turns/mean=3", "", "sessions of its own"},
    {"/workload/sessions/answer_time_per_token=1ms", "/workload/sessions/wait=false",
     "/workload/sessions/wait=true"},
    {"/workload/start=1s", "", "name one in /workload/trace", kFixed},
    {"/workload/end=1h", "", "name one in /workload/trace", kFixed},
    {"/workload/max_requests=5", "", "name one in /workload/trace", kFixed},
    {"/workload/max_bytes=1GB", "", "name one in /workload/trace", kFixed},
    {"/workload/time_scale=2", "", "name one in /workload/trace", kFixed},
    {"/workload/spread_timestamps=true", "", "name one in /workload/trace", kFixed},
    {"/workload/requests=9", "", "/workload/max_requests cuts it"},
    {"/workload/prompt_length=9", "", "/workload/max_requests cuts it"},
    {"/workload/output_length=9", "", "/workload/max_requests cuts it"},
    {"/workload/time_scale=2", "/workload/arrivals/kind=all_at_once", "kind trace"},
    {"/workload/spread_timestamps=true", "/workload/arrivals/kind=all_at_once", "kind trace"},
    {"/workload/arrivals/rate=3", "/workload/arrivals/kind=all_at_once", "poisson, gamma"},
    {"/workload/arrivals/burstiness=3", "", "it needs gamma"},
    {"/workload/arrivals/burstiness=3", "/workload/arrivals/kind=constant", "it needs gamma",
     kGamma},
    {"/workload/arrivals/concurrency=3", "/workload/arrivals/kind=all_at_once", "closed_loop"},
};

json with(json scenario, const std::string& assignment) {
  if (assignment.empty()) return scenario;
  auto document = ConfigDocument::from_text(scenario.dump(), "s.json");
  document.apply_set(assignment);
  return document.value();
}

// Prefill on EP32 has the shared expert on every rank, decode on EP320 on a tenth of them.
TEST(IdleKeys, RedundantExpertsBesideTheSharedOneNeedDedicatedRanks) {
  const json plain = scenario_of(kTrace);
  EXPECT_EQ(complaint(plain, {"/experts/redundant_on=any"}), "accepted");
  EXPECT_THAT(complaint(with(plain, kPrefill), {"/experts/redundant_on=any"}),
              HasSubstr("/experts/shared_copies below the ranks"));
}

// What places experts anew goes with the drift that it is for.
TEST(IdleKeys, WhatHangsOnDriftIsRetiredWithIt) {
  json drifting = with(scenario_of(kTrace), "/experts/drift/time=1min");
  for (const char* key : {"/experts/drift/age=1min", "/experts/moves/layers_per_step=2",
                          "/policies/expert_placement/name=periodic"}) {
    drifting = with(drifting, key);
  }
  EXPECT_EQ(complaint(drifting, {}), "accepted");
  for (const char* cause : {kBalanced, kNoSkew, kPrefill, "/experts/balancedness=0.7",
                            "/experts/placement=contiguous"}) {
    EXPECT_EQ(complaint(drifting, {cause}), "accepted");
    EXPECT_FALSE(parse_scenario(drifting.dump(), "s.json", {cause}).options.experts.drift.drifts());
  }
}

TEST(IdleKeys, AreRefusedByTheLayerThatKnowsAndRetiredByALaterOne) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.key) + " with " + c.cause);
    const json plain = scenario_of(c.workload);
    const std::string pointer = pointer_of(c.key);
    const std::string refused = pointer + ": has no effect ";
    const bool by_default = *c.cause == '\0';
    // Both in the file, both set, the key set on a file that has the cause: a mistake.
    const std::string in_file = complaint(with(with(plain, c.cause), c.key), {});
    EXPECT_THAT(in_file, HasSubstr("s.json:1: " + refused));
    EXPECT_THAT(in_file, HasSubstr(c.needs));
    EXPECT_THAT(complaint(with(plain, c.cause), {c.key}),
                HasSubstr("--set " + std::string(c.key) + ": " + refused));
    if (by_default) continue;
    EXPECT_THAT(complaint(plain, {c.key, c.cause}), HasSubstr(refused));
    EXPECT_THAT(complaint(plain, {c.cause, c.key}), HasSubstr(refused));
    // Alone it has an effect; when it is switched off from above, it is as if it were not there.
    const json given = with(plain, c.key);
    EXPECT_EQ(complaint(given, {}), "accepted");
    ASSERT_EQ(complaint(given, {c.cause}), "accepted");
    EXPECT_EQ(parse_scenario(given.dump(), "s.json", {c.cause}).digest,
              parse_scenario(plain.dump(), "s.json", {c.cause}).digest);
  }
}

TEST(IdleKeys, ARateFromAboveIsTheRateAskedForAndATimeScaleFromAboveMakesItFaster) {
  const auto time_scale = [](const json& scenario, const std::vector<std::string>& sets) {
    return parse_scenario(scenario.dump(), "s.json", sets).workload.time_scale;
  };
  const char *rate = "/workload/arrivals/rate=3", *twice = "/workload/time_scale=2";
  const json plain = scenario_of(kTrace);
  EXPECT_EQ(time_scale(with(plain, twice), {rate}), 1);
  EXPECT_EQ(time_scale(with(plain, rate), {twice}), 2);
  EXPECT_EQ(time_scale(plain, {rate, twice}), 2);
}

TEST(IdleKeys, ASwitchThatIsOffMayBeSaidWhereNothingIsSwitched) {
  EXPECT_EQ(complaint(scenario_of(kFixed), {kDecode, kOff}), "accepted");
}

TEST(IdleKeys, FactsOfTheMachineAreNone) {
  EXPECT_EQ(complaint(scenario_of(kFixed), {kDecode, "/platform/vpc/latency=9us"}), "accepted");
}

TEST(IdleKeys, AFileThatExtendsAnotherIsALaterLayer) {
  const auto directory = std::filesystem::temp_directory_path() / "cmsim_idle_keys";
  std::filesystem::create_directories(directory);
  json base = with(scenario_of(kTrace), "/decode/mtp/acceptance=0.9");
  std::ofstream(directory / "base.json") << base;
  const auto extended = [&](const std::string& text) {
    std::ofstream(directory / "upper.json") << text;
    try {
      load_scenario(directory / "upper.json");
      return std::string("accepted");
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
  };
  EXPECT_EQ(extended(R"({"extends": "base.json", "decode": {"mtp": {"draft_tokens": 0}}})"),
            "accepted");
  EXPECT_THAT(extended(R"({"extends": "base.json",
                           "decode": {"mtp": {"draft_tokens": 0, "acceptance": 0.5}}})"),
              HasSubstr("upper.json:2: /decode/mtp/acceptance: has no effect"));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace cmsim::run
