#include "platform_operators.hpp"

namespace cmsim::hw {
namespace {

constexpr double kLeastEfficiency = 0.001;
constexpr Seconds kLongestOverhead = 1.0;

}  // namespace

OperatorSpec read_operators(const ConfigNode& node) {
  OperatorSpec spec;
  spec.hbm_efficiency = node.number("hbm_efficiency", kLeastEfficiency, 1);
  spec.mla_efficiency = node.number("mla_efficiency", kLeastEfficiency, 1);
  spec.gemm_int8_efficiency = node.number("gemm_int8_efficiency", kLeastEfficiency, 1);
  spec.gemm_bf16_efficiency = node.number("gemm_bf16_efficiency", kLeastEfficiency, 1);
  spec.operator_overhead =
      node.quantity("operator_overhead", Dimension::kTime, 0, kLongestOverhead);
  node.close();
  return spec;
}

TokenExchangeSpec read_token_exchange(const ConfigNode& node) {
  const auto time = [&](std::string_view key) {
    return node.quantity(key, Dimension::kTime, 0, kLongestOverhead);
  };
  TokenExchangeSpec spec;
  spec.startup = time("startup");
  spec.dispatch_message = time("dispatch_message");
  spec.combine_message = time("combine_message");
  spec.local_message = time("local_message");
  spec.sdma_startup = time("sdma_startup");
  node.close();
  return spec;
}

}  // namespace cmsim::hw
