// Numbers at the edge: whatever the keys of machine, model and deployment are set to within their
// ranges, a scenario loads and steps in finite time, or is refused as the user's mistake.
//
// The keys and their ranges are those of docs/scenario.schema.json, so a new key is drawn as well.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>

#include "cmsim/base/error.hpp"
#include "cmsim/base/random.hpp"
#include "cmsim/run/scenario.hpp"
#include "cmsim/run/step.hpp"
#include "src/run/batch_shape.hpp"
#include "src/run/step_models.hpp"
#include "tests/run/runs.hpp"

namespace cmsim::run {
namespace {

using nlohmann::json;

/// A key and what it can be set to: both ends of its range and something between, or every choice.
struct Key {
  std::string pointer;
  std::vector<json> values;
  std::optional<json> below, above;  // just out of range
};

/// Ends of the ranges of include/cmsim/hw/platform.hpp and src/hw/platform.cpp.
std::optional<Key> quantity(const std::string& definition) {
  if (definition == "time") return Key{"", {"0s", "1s", "3us"}, "-1ns", "1.001s"};
  if (definition == "bytes") return Key{"", {"0B", "40TB", "70GB"}, "-1B", "1001TB"};
  if (definition == "bandwidth") {
    return Key{"", {"1MB/s", "1e6TB/s", "3GB/s", "5TB/s"}, "999kB/s", "1.001e6TB/s"};
  }
  if (definition == "ops_rate") {
    return Key{"", {"1GOPS", "1e6POPS", "10TOPS"}, "0.999GOPS", "1.001e6POPS"};
  }
  return std::nullopt;
}

std::optional<Key> drawn_from(const json& node) {
  const std::string type = node.value("type", "");
  if (node.contains("enum")) return Key{"", node["enum"].get<std::vector<json>>(), {}, {}};
  if (type == "boolean") return Key{"", {true, false}, {}, {}};
  if (type != "integer" && type != "number") return std::nullopt;
  Key key;
  const double least = node.value("minimum", -1e6);
  const bool bounded = node.contains("maximum");
  const double most = node.value("maximum", std::max(100.0, 2 * least));
  const auto spelled = [&](double value) {
    return type == "integer" ? json(std::llround(value)) : json(value);
  };
  const double between = std::sqrt(std::max(1.0, least) * most);
  key.values = {spelled(least), spelled(most), spelled(std::min(between, most))};
  if (type == "integer" && least < most) {
    key.values.push_back(spelled(least + 1));
    key.values.push_back(spelled(most - 1));
  }
  if (node.contains("minimum")) key.below = spelled(least - 1);
  if (bounded) key.above = spelled(most + 1);
  return key;
}

void collect(const json& schema, const json& node, const std::string& pointer,
             std::vector<Key>& keys) {
  if (node.contains("$ref")) {
    const std::string reference = node["$ref"];
    std::optional<Key> found = quantity(reference.substr(reference.rfind('/') + 1));
    if (found) {
      found->pointer = pointer;
      keys.push_back(*found);
    } else {
      collect(schema, schema.at(json::json_pointer(reference.substr(1))), pointer, keys);
    }
    return;
  }
  if (node.contains("properties") && !node["properties"].contains("value")) {
    for (const auto& [name, child] : node["properties"].items()) {
      collect(schema, child, pointer + "/" + name, keys);
    }
    return;
  }
  if (std::optional<Key> found = drawn_from(node)) {
    found->pointer = pointer;
    keys.push_back(*found);
    return;
  }
  if (node.contains("anyOf")) {
    for (const json& alternative : node["anyOf"]) {
      if (!alternative.contains("type") || alternative["type"] != "string") {
        collect(schema, alternative, pointer, keys);
      }
    }
  }
}

std::vector<Key> keys_below(const std::vector<std::string>& roots) {
  const json schema = schema_document();
  std::vector<Key> keys;
  for (const std::string& root : roots) {
    collect(schema, schema["properties"][root], "/" + root, keys);
  }
  return keys;
}

std::string set_of(const Key& key, const json& value) { return key.pointer + "=" + value.dump(); }

/// "" when the scenario loads.
std::string error_with(const std::vector<std::string>& sets) {
  try {
    load_scenario(default_scenario(), sets);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

void expect_time(Seconds time, bool may_be_zero = true) {
  EXPECT_TRUE(std::isfinite(time) && (time > 0 || (may_be_zero && time == 0))) << time;
}

void expect_sound(const StepReport& report) {
  const model::StepBreakdown& b = report.breakdown;
  expect_time(b.duration, false);
  for (const Seconds part : {b.host, b.dense_layers, b.moe_layers, b.mtp, b.head}) {
    expect_time(part);
  }
  for (const model::OperatorTime& op : b.operators) expect_time(op.duration);
  for (const auto& [name, time] : b.critical_path) expect_time(time);
}

/// What the serving system asks of the models: counters of bytes do not overflow unnoticed.
void expect_iterations(const Scenario& scenario) try {
  const StepModels models = make_step_models(scenario, make_role_experts(scenario));
  const serve::DeploymentSpec& d = scenario.deployment;
  if (models.decode) {
    const auto batch = even_decode_batch(
        d.decode.ep, std::int64_t{d.decode.max_num_seqs} * d.decode.npus_per_instance, 4096);
    const model::DecodeIteration iteration = models.decode->iteration(batch.batch());
    expect_time(iteration.duration, false);
    EXPECT_GE(iteration.bytes_per_die.hbm, 0);
    EXPECT_GE(iteration.bytes_per_die.ub, 0);
  }
  if (models.prefill) {
    const auto batch =
        even_prefill_batch(3, d.prefill.max_num_batched_tokens * d.prefill.npus_per_instance, 4096);
    const model::PrefillIteration iteration = models.prefill->batch({batch});
    expect_time(iteration.duration, false);
    EXPECT_GE(iteration.bytes_per_die.hbm, 0);
    EXPECT_GE(iteration.bytes_per_die.ub, 0);
  }
} catch (const SimulationError& error) {
  EXPECT_NE(std::string(error.what()).find("a counter of bytes"), std::string::npos)
      << error.what();
}

TEST(Edge, EveryCombinationWithinTheRangesStepsOrIsTheUsersMistake) {
#ifdef CMSIM_SANITIZED
  constexpr int kCases = 40;  // the first of those that run without
#else
  constexpr int kCases = 300;
#endif
  const std::vector<Key> keys =
      keys_below({"platform", "model", "experts", "decode", "prefill", "precision", "deployment"});
  EXPECT_GE(keys.size(), 90u);
  // Deployments that few keys contradict: published, one NPU a role, one die an NPU.
  const std::vector<std::vector<std::string>> bases{
      {},
      {"/platform/die/hbm_capacity=40TB", "/deployment/prefill/npus_per_instance=1",
       "/deployment/prefill/ep=2", "/deployment/decode/npus_per_instance=1",
       "/deployment/decode/ep=2"},
      {"/platform/die/hbm_capacity=40TB", "/platform/dies_per_npu=1", "/deployment/prefill/ep=16",
       "/deployment/decode/ep=160"},
      {"/platform/die/hbm_capacity=40TB", "/model/layers=4", "/experts/placement=balanced"}};
  // Other cases by hand: --gtest_shuffle --gtest_random_seed=7 (1 to 99999).
  const auto seed = testing::UnitTest::GetInstance()->random_seed();
  RandomStream random(static_cast<std::uint64_t>(seed), "edge");
  const auto pick = [&](const auto& list) -> const auto& {
    return list[static_cast<std::size_t>(
        random.uniform_int(0, static_cast<std::int64_t>(list.size()) - 1))];
  };
  int stepped = 0;
  for (int i = 0; i < kCases; ++i) {
    const bool decode = i % 2 == 0;
    // Keys of the other role would be refused as idle.
    const std::string other = decode ? "/prefill" : "/decode";
    const auto idle = [&](const std::string& set) {
      return set.substr(0, set.find('=')).find(other + "/") != std::string::npos;
    };
    std::vector<std::string> sets = pick(bases);
    std::erase_if(sets, idle);
    sets.push_back(fmt::format("/workload/role={}", decode ? "decode" : "prefill"));
    for (auto changes = random.uniform_int(1, 6); changes > 0; --changes) {
      const Key& key = pick(keys);
      const std::string set = set_of(key, pick(key.values));
      if (!idle(set)) sets.push_back(set);
    }
    SCOPED_TRACE(fmt::format("case {}: {}", i, fmt::join(sets, " ")));
    StepSpec spec;
    spec.phase = decode ? StepPhase::kDecode : StepPhase::kPrefill;
    spec.context = pick(std::vector<Tokens>{1, 4096, 100'000});
    try {
      const Scenario scenario = load_scenario(default_scenario(), sets);
      expect_iterations(scenario);
      expect_sound(break_down_step(scenario, spec));
      ++stepped;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()), "");
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
  EXPECT_GT(stepped, kCases / 4);
}

// 500,000 sequences a die x 9 tokens x 4,096 experts = 1.8e10 rows, each of 10 x 262,144 bytes and
// more in each of 500 layers: over 2.4e19 B, and a counter holds 9.2e18.
TEST(Edge, MoreBytesThanACounterHoldsAreAnError) {
  const Scenario scenario = load_scenario(
      default_scenario(),
      {"/workload/role=decode", "/platform/die/hbm_capacity=40TB", "/model/layers=500",
       "/model/hidden=512", "/deployment/decode/max_num_seqs=1000000", "/decode/mtp/draft_tokens=8",
       "/experts/placement=balanced", "/model/routed_experts=4096", "/model/experts_per_token=4096",
       "/model/expert_intermediate=262144"});
  const StepModels models = make_step_models(scenario, make_role_experts(scenario));
  const auto batch = even_decode_batch(320, 320 * std::int64_t{500'000}, 4096);
  EXPECT_THROW(models.decode->iteration(batch.batch()), SimulationError);
}

TEST(Edge, TheRangesAreThoseOfTheSchema) {
  for (const char* beyond : {"-1s", "1.001e9s"}) {
    const std::string message = error_with({std::string("/experts/drift/time=") + beyond});
    EXPECT_NE(message.find("/experts/drift/time: found "), std::string::npos) << message;
  }
  for (const Key& key : keys_below({"platform", "model", "experts", "decode", "prefill"})) {
    if (key.pointer.starts_with("/experts/drift"))
      continue;  // as long as a run, not as an operator
    for (const std::optional<json>& beyond : {key.below, key.above}) {
      if (!beyond) continue;
      const std::string message = error_with({set_of(key, *beyond)});
      EXPECT_NE(message.find(key.pointer + ": found "), std::string::npos)
          << set_of(key, *beyond) << " gives: " << message;
    }
    // Up to the cores of the die.
    if (key.pointer.starts_with("/decode/split/attention")) continue;
    if (key.pointer.ends_with("/prefill_cores")) continue;
    // In range another key may contradict, but "allowed is A to B" is not the answer.
    const std::regex refused(key.pointer + ": found .*, allowed is -?[0-9][^ ]* .*to ");
    for (const json& value : key.values) {
      const std::string message = error_with({set_of(key, value)});
      EXPECT_FALSE(std::regex_search(message, refused)) << message;
    }
  }
}

}  // namespace
}  // namespace cmsim::run
