#include "cmsim/model/options.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace cmsim::model {
namespace {

ExchangeKind read_exchange(const ConfigNode& node) {
  const std::string kind = node.choice_or("exchange", "fused", {"fused", "basic", "two_level"});
  if (kind == "fused") return ExchangeKind::kFused;
  return kind == "basic" ? ExchangeKind::kBasic : ExchangeKind::kTwoLevel;
}

double read_staleness(const ConfigNode& node, double otherwise) {
  return node.number_or("placement_staleness", otherwise, 0, 2);
}

Precision read_precision(const ConfigNode& node, std::string_view key, Precision otherwise) {
  const std::string fallback = otherwise == Precision::kInt8 ? "int8" : "bf16";
  return node.choice_or(key, fallback, {"int8", "bf16"}) == "int8" ? Precision::kInt8
                                                                   : Precision::kBf16;
}

bool says_auto(const ConfigNode& node, std::string_view key) {
  const auto found = node.raw().find(std::string(key));
  if (found == node.raw().end()) return false;
  const nlohmann::json& value =
      found->is_object() && found->contains("value") ? found->at("value") : *found;
  return value.is_string() && value.get<std::string>() == "auto";
}

/// 0 = "auto", which is also the default.
int read_microbatches(const ConfigNode& node) {
  if (!node.has("microbatches") || says_auto(node, "microbatches")) return 0;
  return static_cast<int>(node.integer("microbatches", 1, 4));
}

/// The keys that divide a die between two streams. Where it cannot be divided, whoever asks for two
/// streams is told so.
DecodeOptions read_streams(const ConfigNode& node, const hw::Platform& platform) {
  const hw::DieSpec& die = platform.die;
  DecodeOptions options;
  options.microbatches = read_microbatches(node);
  const ConfigNode split = node.child_or_empty("split");
  options.auto_split = split.boolean_or("auto", false);
  if (!can_run_two_streams(die) || !platform.token_exchange.holds_cores) {
    const std::string reason =
        platform.token_exchange.holds_cores
            ? fmt::format(
                  ": a die of {} AIC and {} AIV cores cannot be divided between two streams",
                  die.aic_cores, die.aiv_cores)
            : ": exchanges of this device hold no cores, so that none are divided";
    if (options.microbatches > 1 && !can_run_microbatches(platform)) {
      node.fail("microbatches",
                fmt::format("found {}, allowed is 1 or auto{}", options.microbatches, reason));
    }
    if (options.auto_split) split.fail("auto", "found true, allowed is false" + reason);
    for (const char* key : {"attention_aic", "attention_aiv"}) {
      if (split.has(key)) split.fail(key, "allowed is to leave it out" + reason);
    }
  }
  const auto cores = [&](std::string_view key, int of) {
    return static_cast<int>(split.integer_or(key, 0, 1, of - 1));
  };
  constexpr double kLongest = 1e9;
  if (node.has("planned_context")) {
    options.planned_context = node.number("planned_context", 1, kLongest);
  }
  options.attention_aic = cores("attention_aic", die.aic_cores);
  options.attention_aiv = cores("attention_aiv", die.aiv_cores);
  split.close();
  return options;
}

DecodeOptions read_decode(const ConfigNode& node, const hw::Platform& platform) {
  DecodeOptions options = read_streams(node, platform);
  const ConfigNode mtp = node.child_or_empty("mtp");
  options.draft_tokens =
      static_cast<int>(mtp.integer_or("draft_tokens", options.draft_tokens, 0, 8));
  options.acceptance = mtp.number_or("acceptance", options.acceptance, 0, 1);
  mtp.close();
  options.launch = node.choice_or("launch", "in_npu", {"in_npu", "cpu"}) == "cpu" ? Launch::kCpu
                                                                                  : Launch::kInNpu;
  options.launch_time =
      node.quantity_or("launch_time", Dimension::kTime, options.launch_time, 0, 1);
  options.plan_change =
      node.quantity_or("plan_change", Dimension::kTime, options.plan_change, 0, 1);
  options.exchange = read_exchange(node);
  options.staleness = read_staleness(node, options.staleness);
  node.close();
  return options;
}

PrefillOptions read_prefill(const ConfigNode& node) {
  PrefillOptions options;
  options.microbatches = read_microbatches(node);
  options.sequence_packing = node.boolean_or("sequence_packing", options.sequence_packing);
  const std::string exchange = node.choice_or("exchange", "auto", {"auto", "flat", "two_level"});
  options.exchange = exchange == "auto"   ? PrefillExchange::kAuto
                     : exchange == "flat" ? PrefillExchange::kFlat
                                          : PrefillExchange::kTwoLevel;
  options.staleness = read_staleness(node, options.staleness);
  node.close();
  return options;
}

PrecisionOptions read_precisions(const ConfigNode& node) {
  PrecisionOptions options;
  options.attention_projections =
      read_precision(node, "attention_projections", options.attention_projections);
  options.experts = read_precision(node, "experts", options.experts);
  options.dispatch = read_precision(node, "dispatch", options.dispatch);
  options.attention = read_precision(node, "attention", options.attention);
  options.kv_cache = read_precision(node, "kv_cache", options.kv_cache);
  node.close();
  return options;
}

DriftOptions read_drift(const ConfigNode& node) {
  constexpr Seconds kLongest = 1e9;
  DriftOptions options;
  options.time = node.quantity_or("time", Dimension::kTime, options.time, 0, kLongest);
  options.age = node.quantity_or("age", Dimension::kTime, options.age, 0, kLongest);
  node.close();
  return options;
}

ExpertOptions read_experts(const ConfigNode& node, PopularityParameters& popularity) {
  ExpertOptions options;
  popularity = read_popularity(node.child_or_empty("popularity"));
  const std::string placement =
      node.choice_or("placement", "eplb", {"eplb", "contiguous", "balanced"});
  options.placement = placement == "eplb"         ? Placement::kEplb
                      : placement == "contiguous" ? Placement::kContiguous
                                                  : Placement::kBalanced;
  options.shared_copies = static_cast<int>(node.integer_or("shared_copies", -1, -1, hw::kMostDies));
  options.redundant = static_cast<int>(node.integer_or("redundant", -1, -1, hw::kMostDies));
  const std::string on = node.choice_or("redundant_on", "routed", {"routed", "shared", "any"});
  options.redundant_on = on == "routed"   ? RedundantOn::kRouted
                         : on == "shared" ? RedundantOn::kShared
                                          : RedundantOn::kAny;
  options.skew = node.number_or("skew", options.skew, 0, 3);
  constexpr double kLeastBalancedness =
      1e-3;  // beyond any published one, and any EP degree's 1/ranks
  if (node.has("balancedness")) {
    options.balancedness = node.number("balancedness", kLeastBalancedness, 1);
  }
  options.seed = static_cast<std::uint64_t>(node.integer_or("seed", 1, 0));
  options.drift = read_drift(node.child_or_empty("drift"));
  const ConfigNode moves = node.child_or_empty("moves");
  options.layers_per_step =
      static_cast<int>(moves.integer_or("layers_per_step", options.layers_per_step, 1, 100'000));
  moves.close();
  node.close();
  return options;
}

}  // namespace

bool can_run_microbatches(const hw::Platform& platform) {
  return can_run_two_streams(platform.die) || !platform.token_exchange.holds_cores;
}

bool can_run_two_streams(const hw::DieSpec& die) { return die.aic_cores > 1 && die.aiv_cores > 1; }

ModelOptions read_model_options(const ConfigNode& root, const hw::Platform& platform) {
  ModelOptions options;
  options.decode = read_decode(root.child_or_empty("decode"), platform);
  options.prefill = read_prefill(root.child_or_empty("prefill"));
  options.precision = read_precisions(root.child_or_empty("precision"));
  options.experts = read_experts(root.child_or_empty("experts"), options.popularity);
  return options;
}

}  // namespace cmsim::model
