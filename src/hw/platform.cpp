#include "cmsim/hw/platform.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>

#include "cmsim/hw/platform_files.hpp"
#include "graph_builder.hpp"
#include "keys.hpp"
#include "limits.hpp"
#include "platform_operators.hpp"

namespace cmsim::hw {
namespace {

Bytes size(const ConfigNode& node, std::string_view key, Bytes most) {
  return static_cast<Bytes>(node.quantity(key, Dimension::kBytes, 0, static_cast<double>(most)));
}

/// Names of what runs operators; those of one name are one unit.
UnitNames read_units(const ConfigNode& node) {
  UnitNames units;
  units.matrix = node.text_or("matrix", units.matrix);
  units.vector = node.text_or("vector", units.vector);
  units.dma = node.text_or("dma", units.dma);
  node.close();
  return units;
}

DieSpec read_die(const ConfigNode& node, int dies_per_npu) {
  DieSpec die;
  die.bf16_peak = node.quantity("bf16_peak", Dimension::kOpsRate, kLeastPeak, kMostPeak);
  die.int8_peak = node.quantity("int8_peak", Dimension::kOpsRate, kLeastPeak, kMostPeak);
  die.aic_cores = read_count(node, "aic_cores", 4096);
  die.aiv_cores = read_count(node, "aiv_cores", 4096);
  if (node.has("units")) die.units = read_units(node.child("units"));
  die.hbm_capacity = size(node, "hbm_capacity", kMostHbm);
  die.hbm_bandwidth = read_bandwidth(node, "hbm_bandwidth");
  if (dies_per_npu > 1 || node.has("die_to_die_bandwidth")) {
    die.die_to_die_bandwidth = read_bandwidth(node, "die_to_die_bandwidth");
  }
  node.close();
  return die;
}

PathSpec read_path(const ConfigNode& node) {
  PathSpec path;
  path.inter_node_efficiency = read_efficiency(node, "inter_node_efficiency");
  path.intra_node_efficiency = read_efficiency(node, "intra_node_efficiency");
  path.inter_node_latency = read_latency(node, "inter_node_latency");
  path.intra_node_latency = read_latency(node, "intra_node_latency");
  node.close();
  return path;
}

Spread read_spread(const ConfigNode& node) {
  const std::string text = node.choice("spread", {"adaptive", "stripe", "hash"});
  if (text == "stripe") return Spread::kStripe;
  return text == "hash" ? Spread::kHash : Spread::kAdaptive;
}

/// The ways of either fabric would not know of the other's links.
void refuse_routes_inside_node(const ConfigNode& node, const UbSpec& ub) {
  const auto refuse = [&](const char* key, const FabricSpec& fabric) {
    if (fabric.routes == Routes::kMinimal) return;
    node.child(key).fail("routes", fmt::format("found {}, allowed is minimal where inside_node "
                                               "adds a fabric to that between nodes",
                                               to_string(fabric.routes)));
  };
  refuse("fabric", ub.fabric);
  refuse("inside_node", *ub.inside_node);
}

UbSpec read_ub(const ConfigNode& node) {
  UbSpec ub;
  ub.by_builder = node.has("fabric");
  if (ub.by_builder) {
    ub.fabric = read_fabric(node.child("fabric"));
    for (const char* key : kClosKeys) node.ignore(key);
  } else {
    ub.fabric = read_clos(node);
  }
  if (node.has("inside_node")) {
    ub.inside_node = read_fabric(node.child("inside_node"));
    ub.inside_node->scope = Scope::kNode;
    refuse_routes_inside_node(node, ub);
  }
  ub.cpu_bandwidth = read_bandwidth(node, "cpu_bandwidth");
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

/// One port a die into one switch, unless "fabric" names another builder.
RdmaSpec read_rdma(const ConfigNode& node) {
  RdmaSpec rdma;
  if (node.has("fabric")) {
    rdma.fabric = read_fabric(node.child("fabric"));
    node.ignore("bandwidth_per_die");
    rdma.by_builder = true;
  } else {
    rdma.fabric.link_bandwidth = read_bandwidth(node, "bandwidth_per_die");
  }
  rdma.fabric.scope = Scope::kAll;
  if (node.has("cpu_bandwidth")) rdma.cpu_bandwidth = read_bandwidth(node, "cpu_bandwidth");
  rdma.efficiency = read_efficiency(node, "efficiency");
  rdma.latency = read_latency(node, "latency");
  node.close();
  return rdma;
}

VpcSpec read_vpc(const ConfigNode& node) {
  VpcSpec vpc{read_bandwidth(node, "bandwidth_per_node"), read_efficiency(node, "efficiency"),
              read_latency(node, "latency")};
  node.close();
  return vpc;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// "gpu:3": of a kind that is neither an endpoint's nor, as in exported graphs, a tier's
/// ("l2:3/5").
bool has_unknown_kind(std::string_view name) {
  const std::size_t colon = name.find(':');
  if (colon == std::string_view::npos || is_endpoint_name(name)) return false;
  const std::string_view kind = name.substr(0, colon), number = name.substr(colon + 1);
  if (number.empty() || !is_digit(number.front())) return false;
  const bool is_tier =
      kind.size() > 1 && kind.front() == 'l' && std::ranges::all_of(kind.substr(1), is_digit);
  return !is_tier;
}

void check_end(const ConfigNode& edge, const char* key, const FabricSpec& fabric,
               const Platform& platform) {
  const std::string name = edge.text(key);
  const auto is_listed = [&] {
    return std::ranges::find(fabric.switches, name, &SwitchSpec::name) != fabric.switches.end();
  };
  if (has_unknown_kind(name) && !is_listed()) {
    edge.fail(key, fmt::format("\"{}\" is of no known kind, allowed are die:NUMBER, cpu:NUMBER and "
                               "names of switches: without a number after a colon, of a tier "
                               "(l1:NUMBER), or with an entry of their own (switches; in GraphML a "
                               "tier)",
                               name));
  }
  if (!is_endpoint_name(name)) return;
  try {
    check_endpoint(platform, parse_endpoint(name));
  } catch (const std::invalid_argument& error) {
    edge.fail(key, error.what());
  }
}

/// Ends that exist, no link twice, and a way between any two dies.
void check_edges(const ConfigNode& node, const FabricSpec& fabric, const Platform& platform) {
  std::map<std::string, std::string> parent;  // of the places that are joined so far
  const auto root_of = [&](std::string name) {
    while (parent.try_emplace(name, name).first->second != name) {
      name = parent[name] = parent[parent[name]];
    }
    return name;
  };
  std::set<std::pair<std::string, std::string>> known;
  const std::vector<ConfigNode> elements = node.elements("edges");
  for (std::size_t i = 0; i < elements.size(); ++i) {
    check_end(elements[i], "from", fabric, platform);
    check_end(elements[i], "to", fabric, platform);
    const auto& [from, to] = std::minmax(fabric.edges[i].from, fabric.edges[i].to);
    if (!known.emplace(from, to).second) {
      elements[i].fail("to", fmt::format("the link between {} and {} is there already", from, to));
    }
    parent[root_of(from)] = root_of(to);
  }
  for (int die = 0; die < platform.dies(); ++die) {
    const int first = die / platform.dies_per_npu * platform.dies_per_npu;  // of the package
    if (first != die) parent[root_of(to_string(hw::die(die)))] = root_of(to_string(hw::die(first)));
  }
  for (int die = 1; die < platform.dies(); ++die) {
    if (root_of(to_string(hw::die(die))) == root_of("die:0")) continue;
    node.fail("edges", fmt::format("die:{} is not joined to die:0", die));
  }
}

/// Switches that a link leads to, each once, in a node that there is.
void check_switches(const ConfigNode& node, const FabricSpec& fabric, const Platform& platform) {
  if (fabric.switches.empty()) return;
  std::set<std::string> linked, known;
  for (const EdgeSpec& edge : fabric.edges) linked.insert({edge.from, edge.to});
  const std::vector<ConfigNode> elements = node.elements("switches");
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const SwitchSpec& spec = fabric.switches[i];
    if (!linked.contains(spec.name) || is_endpoint_name(spec.name)) {
      elements[i].fail("name", fmt::format("no link leads to a switch \"{}\"", spec.name));
    }
    if (!known.insert(spec.name).second) {
      elements[i].fail("name", fmt::format("\"{}\" is there already", spec.name));
    }
    if (spec.node >= platform.nodes) {
      elements[i].fail("node", fmt::format("found {}, there are {} (0 to {})", spec.node,
                                           platform.nodes, platform.nodes - 1));
    }
  }
}

/// What the builder of a plane, whose object is at `node`, asks of the number of dies and nodes.
void check_fabric(const ConfigNode& root, const ConfigNode& node, const FabricSpec& fabric,
                  const Platform& platform) {
  const std::int64_t dies =
      std::int64_t{platform.nodes_in(fabric.scope)} * platform.dies_per_node();
  switch (fabric.builder) {
    case Builder::kClos:
      if (platform.nodes_in(fabric.scope) > fabric.l2_chip_ports) {
        root.fail("nodes", fmt::format("found {}, but an L2 chip has one port per node and only {} "
                                       "of them ({}/l2_chip_ports)",
                                       platform.nodes_in(fabric.scope), fabric.l2_chip_ports,
                                       node.pointer()));
      }
      break;
    case Builder::kFullMesh:
    case Builder::kTorus: {
      std::int64_t places = 1;
      for (const MeshDimension& dimension : fabric.dimensions) places *= dimension.size;
      if (places != dies) {
        node.fail("dimensions", fmt::format("{} places for the {} dies of a {}", places, dies,
                                            to_string(fabric.scope)));
      }
      break;
    }
    case Builder::kDragonfly: {
      const std::int64_t per_group =
          std::int64_t{fabric.dies_per_router} * fabric.routers_per_group;
      const std::int64_t groups = (dies + per_group - 1) / per_group;
      const std::int64_t links =
          std::int64_t{fabric.routers_per_group} * fabric.global_links_per_router;
      if (groups - 1 > links) {
        node.fail("global_links_per_router",
                  fmt::format("a group has {} global links, and {} other groups to reach", links,
                              groups - 1));
      }
      break;
    }
    case Builder::kEdges:
      check_edges(node, fabric, platform);
      check_switches(node, fabric, platform);
      break;
    case Builder::kFatTree:
      if (platform.dies_per_node() % fabric.rails != 0) {
        node.fail("rails", fmt::format("found {}, allowed are divisors of the {} dies of a node",
                                       fabric.rails, platform.dies_per_node()));
      }
      break;
    case Builder::kSwitch:
      break;
  }
}

void check_sizes(const ConfigNode& node, const Platform& platform) {
  const std::int64_t dies =
      std::int64_t{platform.nodes} * platform.npus_per_node * platform.dies_per_npu;
  if (dies > kMostDies) {
    node.fail("nodes", fmt::format("{} dies in all, allowed are at most {}", dies, kMostDies));
  }
  const std::int64_t cpus = std::int64_t{platform.nodes} * platform.cpus_per_node;
  if (cpus > kMostDies) {
    node.fail("cpus_per_node",
              fmt::format("{} CPUs in all, allowed are at most {}", cpus, kMostDies));
  }
  const ConfigNode ub = node.child("ub"), rdma = node.child("rdma");
  check_fabric(node, platform.ub.by_builder ? ub.child("fabric") : ub, platform.ub.fabric,
               platform);
  if (platform.ub.inside_node) {
    check_fabric(node, ub.child("inside_node"), *platform.ub.inside_node, platform);
  }
  check_fabric(node, platform.rdma.by_builder ? rdma.child("fabric") : rdma, platform.rdma.fabric,
               platform);
  const std::int64_t links = links_in(platform);
  if (links > kMostLinks) {
    node.fail("nodes", fmt::format("{} links in all, between dies, CPUs and switch chips, allowed "
                                   "are at most {}",
                                   links, kMostLinks));
  }
}

}  // namespace

Platform read_platform(const ConfigNode& node) {
  Platform platform;
  if (has_key(node, "extends")) {
    node.fail("extends",
              "a platform extends no other: name its device, or change keys of it under /platform "
              "of a scenario or by --set");
  }
  platform.name = node.text("name");
  if (node.has("device")) node.fail("device", "expected the path of a device file");
  platform.supernodes = static_cast<int>(node.integer_or("supernodes", 1, 1, kMostNodes));
  platform.nodes =
      platform.supernodes * read_count(node, "nodes", kMostNodes / platform.supernodes);
  platform.nodes_per_rack = static_cast<int>(node.integer_or("nodes_per_rack", 1, 1, kMostNodes));
  platform.npus_per_node = read_count(node, "npus_per_node", 256);
  platform.dies_per_npu = read_count(node, "dies_per_npu", 16);
  platform.cpus_per_node = read_count(node, "cpus_per_node", 64);
  platform.dram_per_node = size(node, "dram_per_node", kMostDram);
  platform.die = read_die(node.child("die"), platform.dies_per_npu);
  platform.ub = read_ub(node.child("ub"));
  platform.rdma = read_rdma(node.child("rdma"));
  platform.vpc = read_vpc(node.child("vpc"));
  platform.operators = read_operators(node.child("operators"));
  platform.token_exchange = read_token_exchange(node.child("token_exchange"), platform.die);
  platform.host = read_host(node.child_or_empty("host"));
  platform.costs = read_costs(node.child_or_empty("costs"));
  const ConfigNode faults = node.child_or_empty("faults");
  node.close();
  check_sizes(node, platform);
  add_faults(platform, read_faults(faults, platform));
  platform.borrowed = node.borrowed();
  return platform;
}

void check_endpoint(const Platform& platform, Endpoint endpoint) {
  const int count = endpoint.kind == EndpointKind::kDie ? platform.dies() : platform.cpus();
  if (endpoint.index >= 0 && endpoint.index < count) return;
  throw std::invalid_argument(fmt::format("{} does not exist, {} has {} of them (0 to {})",
                                          to_string(endpoint), platform.name, count, count - 1));
}

int Platform::nodes_in(Scope scope) const {
  switch (scope) {
    case Scope::kNode:
      return 1;
    case Scope::kRack:
      return nodes_per_rack;
    case Scope::kSupernode:
      return nodes_per_supernode();
    case Scope::kAll:
      return nodes;
  }
  return nodes;
}

Platform load_platform(const std::filesystem::path& file) {
  const ConfigDocument document = open_platform(file);
  return read_platform(ConfigNode(document));
}

}  // namespace cmsim::hw
