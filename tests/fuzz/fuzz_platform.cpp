// A platform document is a Platform within the bounds of docs/scenario.schema.json, or a
// ConfigError; the fabric of a small one has ports and paths that carry something.
#include <cstdint>

#include "fabric_checks.hpp"
#include "formats.hpp"

namespace {

using cmsim::fuzz::positive;
using cmsim::fuzz::require;
namespace hw = cmsim::hw;

void check_bounds(const hw::Platform& p) {
  const std::int64_t dies = std::int64_t{p.nodes} * p.npus_per_node * p.dies_per_npu;
  require(p.dies() == dies && dies >= 1 && p.npus() >= 1 && p.cpus() >= 1, "counts are positive");
  require(p.dram_per_node >= 0 && p.die.hbm_capacity >= 0, "capacities are not negative");
  require(p.die.aic_cores >= 1 && p.die.aiv_cores >= 1, "a die has cores");
  for (const double rate : {p.die.bf16_peak, p.die.int8_peak, p.die.hbm_bandwidth,
                            p.ub.cpu_bandwidth, p.vpc.bandwidth_per_node}) {
    require(positive(rate), "a rate is positive and finite");
  }
  require(p.dies_per_npu == 1 || positive(p.die.die_to_die_bandwidth),
          "dies of a package are joined");
  for (const double share :
       {p.operators.hbm_efficiency, p.operators.attention_efficiency,
        p.operators.gemm_int8_efficiency, p.operators.gemm_bf16_efficiency, p.rdma.efficiency,
        p.vpc.efficiency, p.ub.npu_npu_read.inter_node_efficiency,
        p.ub.npu_cpu_write.intra_node_efficiency}) {
    require(share > 0 && share <= 1, "an efficiency is in (0, 1]");
  }
  for (const double time : {p.operators.operator_overhead, p.token_exchange.startup,
                            p.token_exchange.message_interval, p.token_exchange.sdma_startup,
                            p.rdma.latency, p.vpc.latency, p.ub.npu_npu_write.inter_node_latency}) {
    require(time >= 0 && time <= 1, "a latency is 0 to 1 s");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto document =
        cmsim::ConfigDocument::from_text(cmsim::fuzz::text_of(data, size), "fuzz.json");
    const hw::Platform platform = hw::read_platform(cmsim::ConfigNode(document));
    cmsim::fuzz::require_valid(document.value(), cmsim::fuzz::definition("platform"));
    check_bounds(platform);
    cmsim::fuzz::check_fabric(platform);
  } catch (const cmsim::ConfigError& error) {
    cmsim::fuzz::check_message(error);
  }
  return 0;
}

CMSIM_FUZZ_DOCUMENTS(cmsim::fuzz::platform_vocabulary())
