#include "cmsim/hw/platform.hpp"

#include <fmt/format.h>

#include "platform_operators.hpp"

namespace cmsim::hw {
namespace {

// Bounds that catch slips of the pen; the machine of today is far inside them.
constexpr double kLeastBandwidth = 1e6, kMostBandwidth = 1e18;
constexpr double kLeastPeak = 1e9, kMostPeak = 1e21;
constexpr Seconds kLongestLatency = 1.0;
constexpr std::int64_t kMostLinks = 4'000'000;  // one way; the graph takes some 200 B for each

int count(const ConfigNode& node, std::string_view key, int most, int least = 1) {
  return static_cast<int>(node.integer(key, least, most));
}

double bandwidth(const ConfigNode& node, std::string_view key) {
  return node.quantity(key, Dimension::kBandwidth, kLeastBandwidth, kMostBandwidth);
}

Bytes size(const ConfigNode& node, std::string_view key, Bytes most) {
  return static_cast<Bytes>(node.quantity(key, Dimension::kBytes, 0, static_cast<double>(most)));
}

double efficiency(const ConfigNode& node, std::string_view key) {
  return node.number(key, kLeastEfficiency, 1);
}

Seconds latency(const ConfigNode& node, std::string_view key) {
  return node.quantity(key, Dimension::kTime, 0, kLongestLatency);
}

DieSpec read_die(const ConfigNode& node) {
  DieSpec die;
  die.bf16_peak = node.quantity("bf16_peak", Dimension::kOpsRate, kLeastPeak, kMostPeak);
  die.int8_peak = node.quantity("int8_peak", Dimension::kOpsRate, kLeastPeak, kMostPeak);
  die.aic_cores = count(node, "aic_cores", 4096);
  die.aiv_cores = count(node, "aiv_cores", 4096);
  die.hbm_capacity = size(node, "hbm_capacity", kMostHbm);
  die.hbm_bandwidth = bandwidth(node, "hbm_bandwidth");
  die.die_to_die_bandwidth = bandwidth(node, "die_to_die_bandwidth");
  node.close();
  return die;
}

PathSpec read_path(const ConfigNode& node) {
  PathSpec path;
  path.inter_node_efficiency = efficiency(node, "inter_node_efficiency");
  path.intra_node_efficiency = efficiency(node, "intra_node_efficiency");
  path.inter_node_latency = latency(node, "inter_node_latency");
  path.intra_node_latency = latency(node, "intra_node_latency");
  node.close();
  return path;
}

Spread read_spread(const ConfigNode& node) {
  const std::string text = node.choice("spread", {"adaptive", "stripe", "hash"});
  if (text == "stripe") return Spread::kStripe;
  return text == "hash" ? Spread::kHash : Spread::kAdaptive;
}

UbSpec read_ub(const ConfigNode& node) {
  UbSpec ub;
  ub.sub_planes = count(node, "sub_planes", 64);
  ub.link_bandwidth = bandwidth(node, "link_bandwidth");
  ub.cpu_bandwidth = bandwidth(node, "cpu_bandwidth");
  ub.l2_chips_per_plane = count(node, "l2_chips_per_plane", 256);
  ub.l2_chip_ports = count(node, "l2_chip_ports", 4096);
  ub.spread = read_spread(node);
  const ConfigNode paths = node.child("paths");
  ub.npu_npu_read = read_path(paths.child("npu_npu_read"));
  ub.npu_npu_write = read_path(paths.child("npu_npu_write"));
  ub.npu_cpu_read = read_path(paths.child("npu_cpu_read"));
  ub.npu_cpu_write = read_path(paths.child("npu_cpu_write"));
  paths.close();
  node.close();
  return ub;
}

RdmaSpec read_rdma(const ConfigNode& node) {
  RdmaSpec rdma{bandwidth(node, "bandwidth_per_die"), efficiency(node, "efficiency"),
                latency(node, "latency")};
  node.close();
  return rdma;
}

VpcSpec read_vpc(const ConfigNode& node) {
  VpcSpec vpc{bandwidth(node, "bandwidth_per_node"), efficiency(node, "efficiency"),
              latency(node, "latency")};
  node.close();
  return vpc;
}

void check_sizes(const ConfigNode& node, const Platform& platform) {
  if (platform.nodes > platform.ub.l2_chip_ports) {
    node.fail("nodes",
              fmt::format("found {}, but an L2 chip has one port per node and only {} of them "
                          "(/ub/l2_chip_ports)",
                          platform.nodes, platform.ub.l2_chip_ports));
  }
  const std::int64_t dies =
      std::int64_t{platform.nodes} * platform.npus_per_node * platform.dies_per_npu;
  if (dies > kMostDies) {
    node.fail("nodes", fmt::format("{} dies in all, allowed are at most {}", dies, kMostDies));
  }
  const hw::UbSpec& ub = platform.ub;
  const std::int64_t cpus = std::int64_t{platform.nodes} * platform.cpus_per_node;
  const std::int64_t siblings = platform.dies_per_npu - 1;
  const std::int64_t links =
      2 * ((dies + cpus) * (ub.sub_planes + 1) + dies * siblings / 2 +
           std::int64_t{platform.nodes} * (ub.sub_planes * ub.l2_chips_per_plane + 1));
  if (links > kMostLinks) {
    node.fail("nodes",
              fmt::format("{} links in all, between dies, CPUs and {} x {} switch chips (/ub), "
                          "allowed are at most {}",
                          links, ub.sub_planes, ub.l2_chips_per_plane, kMostLinks));
  }
}

}  // namespace

Platform read_platform(const ConfigNode& node) {
  Platform platform;
  platform.name = node.text("name");
  platform.nodes = count(node, "nodes", kMostNodes);
  platform.npus_per_node = count(node, "npus_per_node", 256);
  platform.dies_per_npu = count(node, "dies_per_npu", 16);
  platform.cpus_per_node = count(node, "cpus_per_node", 64);
  platform.dram_per_node = size(node, "dram_per_node", kMostDram);
  platform.die = read_die(node.child("die"));
  platform.ub = read_ub(node.child("ub"));
  platform.rdma = read_rdma(node.child("rdma"));
  platform.vpc = read_vpc(node.child("vpc"));
  platform.operators = read_operators(node.child("operators"));
  platform.token_exchange = read_token_exchange(node.child("token_exchange"));
  node.close();
  check_sizes(node, platform);
  return platform;
}

Platform load_platform(const std::filesystem::path& file) {
  const ConfigDocument document = ConfigDocument::from_file(file);
  return read_platform(ConfigNode(document));
}

}  // namespace cmsim::hw
