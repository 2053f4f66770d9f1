#include "platform_operators.hpp"

#include "limits.hpp"

namespace cmsim::hw {
namespace {

constexpr Seconds kLongestOverhead = 1.0;
constexpr int kMostCores = 4096;
constexpr double kMostCost = 1e9;
constexpr double kMostOverlap = 64;  // the shorter of two equal times adds 1 %

}  // namespace

OperatorSpec read_operators(const ConfigNode& node) {
  OperatorSpec spec;
  spec.hbm_efficiency = node.number("hbm_efficiency", kLeastEfficiency, 1);
  spec.attention_efficiency = node.number("attention_efficiency", kLeastEfficiency, 1);
  spec.gemm_int8_efficiency = node.number("gemm_int8_efficiency", kLeastEfficiency, 1);
  spec.gemm_bf16_efficiency = node.number("gemm_bf16_efficiency", kLeastEfficiency, 1);
  const auto overlap = [&](const char* key, double& of) {
    if (node.has(key)) of = node.number(key, 1, kMostOverlap);
  };
  overlap("attention_overlap", spec.attention_overlap);
  overlap("gemm_overlap", spec.gemm_overlap);
  spec.operator_overhead =
      node.quantity("operator_overhead", Dimension::kTime, 0, kLongestOverhead);
  spec.hbm_reserved = static_cast<Bytes>(
      node.quantity("hbm_reserved", Dimension::kBytes, 0, static_cast<double>(kMostHbm)));
  node.close();
  return spec;
}

CostSpec read_costs(const ConfigNode& node) {
  const auto given = [&](std::string_view key) {
    return node.has(key) ? std::optional(node.number(key, 0, kMostCost)) : std::nullopt;
  };
  CostSpec spec;
  spec.power_w = given("power_w");
  spec.network_power_w = given("network_power_w");
  spec.network_price_usd = given("network_price_usd");
  spec.price_least_usd = given("price_least_usd");
  spec.price_most_usd = given("price_most_usd");
  spec.hour_least_usd = given("hour_least_usd");
  spec.hour_most_usd = given("hour_most_usd");
  spec.optics = given("optics");
  node.close();
  return spec;
}

TokenExchangeSpec read_token_exchange(const ConfigNode& node, const DieSpec& die) {
  const auto time = [&](std::string_view key) {
    return node.quantity(key, Dimension::kTime, 0, kLongestOverhead);
  };
  TokenExchangeSpec spec;
  spec.startup = time("startup");
  spec.message_interval = time("message_interval");
  spec.saturating_aiv_cores = static_cast<int>(node.integer("saturating_aiv_cores", 1, kMostCores));
  spec.sdma_startup = time("sdma_startup");
  spec.holds_cores = node.boolean_or("holds_cores", true);
  spec.prefill_cores = static_cast<int>(node.integer_or("prefill_cores", 0, 0, die.aic_cores - 1));
  spec.jitter = node.quantity_or("jitter", Dimension::kTime, 0, 0, kLongestOverhead);
  node.close();
  return spec;
}

HostSpec read_host(const ConfigNode& node) {
  const auto time_or_none = [&](std::string_view key) {
    return node.quantity_or(key, Dimension::kTime, 0, 0, kLongestOverhead);
  };
  const HostSpec spec{.step_gap = time_or_none("step_gap"),
                      .prefill_batch = time_or_none("prefill_batch"),
                      .cached_block = time_or_none("cached_block")};
  node.close();
  return spec;
}

}  // namespace cmsim::hw
