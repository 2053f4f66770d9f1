// docs/scenario.schema.json and the loader say the same: neither knows a key or takes a type that
// the other does not.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "cmsim/base/config.hpp"
#include "cmsim/run/scenario.hpp"
#include "runs.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kRoot = CMSIM_SOURCE_DIR;
constexpr const char* kUnknown = "qqqqqqqqqqqq";  // like no key, so that the loader lists all

json read(const fs::path& file) {
  std::ifstream stream(file);
  return json::parse(stream, nullptr, true, true);
}

bool schema_accepts(const json& scenario) {
  valijson::Schema schema;
  valijson::SchemaParser(valijson::SchemaParser::kDraft7)
      .populateSchema(valijson::adapters::NlohmannJsonAdapter(schema_document()), schema);
  return valijson::Validator().validate(schema, valijson::adapters::NlohmannJsonAdapter(scenario),
                                        nullptr);
}

/// The default scenario with platform and model spliced in and one more setting.
json with_setting(const std::string& assignment) {
  return ScenarioFile(default_scenario().string()).document(settings_of({assignment})).value();
}

/// The loader's complaint, or "" when it accepts; `beside` is set before.
std::string complaint(const std::string& assignment, std::vector<std::string> beside = {}) {
  try {
    beside.push_back(assignment);
    load_scenario(default_scenario(), beside);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

const json& resolved(const json& node) {
  if (!node.contains("$ref")) return node;
  const std::string pointer = node["$ref"].get<std::string>().substr(1);  // without '#'
  return schema_document().at(json::json_pointer(pointer));
}

struct Keys {
  std::map<std::string, std::set<std::string>> objects;  // pointer -> its keys
  std::vector<std::string> leaves;
};

/// A node is an object of the scenario when it, or one of its alternatives, has properties other
/// than those of an annotated value.
void walk(const json& raw, const std::string& pointer, Keys& keys) {
  const json& node = resolved(raw);
  std::vector<const json*> alternatives{&node};
  if (node.contains("anyOf")) {
    for (const json& alternative : node["anyOf"]) alternatives.push_back(&resolved(alternative));
  }
  for (const json* alternative : alternatives) {
    if (!alternative->contains("properties") || (*alternative)["properties"].contains("value")) {
      continue;
    }
    for (const auto& [key, child] : (*alternative)["properties"].items()) {
      keys.objects[pointer].insert(key);
      walk(child, pointer + "/" + key, keys);
    }
    return;
  }
  keys.leaves.push_back(pointer);
}

Keys schema_keys() {
  Keys keys;
  walk(schema_document(), "", keys);
  return keys;
}

TEST(ScenarioSchema, AcceptsEveryScenarioThatTheLoaderAccepts) {
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(kRoot / "workloads/scenarios")) {
    if (entry.path().extension() != ".json") continue;
    EXPECT_NO_THROW(load_scenario(entry.path())) << entry.path();
    EXPECT_TRUE(schema_accepts(read(entry.path()))) << entry.path();
    ++seen;
  }
  EXPECT_GE(seen, 1);
}

TEST(ScenarioSchema, KnowsTheKeysThatTheLoaderKnows) {
  const Keys keys = schema_keys();
  EXPECT_GE(keys.objects.size(), 25u);
  for (const auto& [pointer, properties] : keys.objects) {
    const std::string assignment = pointer + "/" + kUnknown + "=1";
    const std::string message = complaint(assignment);
    const std::string lead = "unknown key, allowed are ";
    const std::size_t at = message.find(lead);
    ASSERT_NE(at, std::string::npos) << assignment << " gives: " << message;
    std::set<std::string> allowed;
    std::istringstream list(message.substr(at + lead.size()));
    for (std::string key; std::getline(list >> std::ws, key, ',');) allowed.insert(key);
    EXPECT_EQ(allowed, properties) << "keys of " << (pointer.empty() ? "/" : pointer);
    EXPECT_FALSE(schema_accepts(with_setting(assignment))) << assignment;
  }
}

TEST(ScenarioSchema, RejectsTheTypesThatTheLoaderRejects) {
  const Keys keys = schema_keys();
  EXPECT_GE(keys.leaves.size(), 100u);
  for (const std::string& leaf : keys.leaves) {
    if (leaf == "/experts/popularity/comment") continue;  // anything
    EXPECT_NE(complaint(leaf + "=[]"), "") << leaf;
    EXPECT_FALSE(schema_accepts(with_setting(leaf + "=[]"))) << leaf;
  }
}

/// What a policy of the slot has no effect without.
std::vector<std::string> needed_by(const std::string& slot) {
  if (slot == serve::SupernodeRouting::kName) {
    return {"/platform/supernodes=2", "/deployment/supernodes=2"};
  }
  if (slot == serve::CachePrefetch::kName) {
    return {"/deployment/cache/ssd/capacity_per_node=1TB"};
  }
  if (slot == serve::PreemptedKv::kName) return {"/deployment/swap/dram_per_node=100GB"};
  if (slot == serve::ExpertPlacement::kName) return {"/experts/drift/time=1min"};
  if (slot == serve::ProportionChoice::kName) {
    return {"/deployment/prefill/instances=10", "/deployment/role_switch/load=5s"};
  }
  return {};
}

TEST(ScenarioSchema, KnowsEveryPolicyWithItsParameters) {
  const serve::PolicyRegistry registry = serve::builtin_policies();
  for (const serve::SlotInfo& slot : serve::slots()) {
    for (const serve::PolicyInfo& policy : registry.of(slot.name)) {
      json written{{"name", policy.name}};
      for (const serve::ParameterInfo& parameter : policy.parameters) {
        const bool time = parameter.kind == serve::ParameterKind::kTime;
        written[parameter.name] = time ? json("1s") : json(parameter.maximum);
        if (parameter.kind == serve::ParameterKind::kInteger) written[parameter.name] = 1;
      }
      const std::string pointer = std::string("/policies/") + slot.name;
      const std::string good = pointer + "=" + written.dump();
      EXPECT_EQ(complaint(good, needed_by(slot.name)), "");
      EXPECT_TRUE(schema_accepts(with_setting(good))) << good;
      written[kUnknown] = 1;
      const std::string bad = pointer + "=" + written.dump();
      EXPECT_NE(complaint(bad), "");
      EXPECT_FALSE(schema_accepts(with_setting(bad))) << bad;
    }
  }
}

TEST(ScenarioSchema, AgreesOnValues) {
  for (const char* good :
       {"/slo=cm384-15ms", "/slo/tpot=15ms", "/slo/ttft=0.5 s", "/network=flow", "/seed=7",
        "/platform/ub/link_bandwidth=448Gbps", "/platform/ub/link_bandwidth=56GB/s",
        "/decode/mtp/acceptance=70%", "/decode/mtp/acceptance={\"value\": 0.9, \"source\": \"x\"}",
        "/decode/microbatches=auto", "/deployment/cache/dram_per_node=512GiB",
        "/deployment/kv/plane=ub", "/deployment/cache/plane=vpc",
        "/platform/rdma/cpu_bandwidth=200Gbps",
        "/workload/arrivals={\"kind\": \"poisson\", \"rate\": 12.5}", "/workload/start=1min",
        "/workload/arrivals={\"kind\": \"poisson\", \"rate\": \"12/s\"}", "/horizon=1h",
        "/workload/max_bytes=2GB"}) {
    EXPECT_EQ(complaint(good), "");
    EXPECT_TRUE(schema_accepts(with_setting(good))) << good;
  }
  for (const char* bad :
       {"/slo=cm384-5ms", "/slo/tpot=15", "/slo/tpot=15mb", "/network=fast", "/seed=-1",
        "/platform/ub/link_bandwidth=28GB", "/platform/ub/sub_planes=0", "/platform/nodes=1.5",
        "/decode/mtp/acceptance=1.5", "/decode/mtp/draft_tokens=9", "/experts/placement=random",
        "/deployment/cache/plane=roce", "/deployment/kv/plane=vpc", "/deployment/cache/enabled=yes",
        "/workload/arrivals/kind=burst", "/workload/time_scale=0", "/horizon=5",
        "/workload/arrivals={\"kind\": \"poisson\", \"rate\": 1e-15}", "/workload/max_bytes=5"}) {
    EXPECT_NE(complaint(bad), "") << bad;
    EXPECT_FALSE(schema_accepts(with_setting(bad))) << bad;
  }
}

}  // namespace
}  // namespace cmsim::run
