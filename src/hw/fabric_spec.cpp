#include "cmsim/hw/fabric_spec.hpp"

#include <fmt/format.h>

#include <array>

#include "cmsim/hw/topology.hpp"
#include "keys.hpp"
#include "limits.hpp"

namespace cmsim::hw {
namespace {

constexpr std::array kBuilders{Builder::kClos,  Builder::kSwitch,  Builder::kFullMesh,
                               Builder::kTorus, Builder::kFatTree, Builder::kDragonfly,
                               Builder::kEdges};
constexpr std::array kScopes{Scope::kNode, Scope::kRack, Scope::kSupernode, Scope::kAll};

template <class Value, std::size_t count>
Value read_choice(const ConfigNode& node, std::string_view key,
                  const std::array<Value, count>& values) {
  std::vector<std::string> names;
  for (const Value value : values) names.emplace_back(to_string(value));
  const std::string name = node.choice(key, names);
  for (const Value value : values) {
    if (name == to_string(value)) return value;
  }
  return values.front();
}

std::vector<MeshDimension> read_dimensions(const ConfigNode& node) {
  std::vector<MeshDimension> dimensions;
  for (const ConfigNode& element : node.elements("dimensions")) {
    dimensions.push_back(
        {read_count(element, "size", kMostMeshSize, 1), read_bandwidth(element, "bandwidth")});
    element.close();
  }
  if (dimensions.empty() || dimensions.size() > kMostMeshDimensions) {
    node.fail("dimensions", "found " + std::to_string(dimensions.size()) + ", allowed are 1 to " +
                                std::to_string(kMostMeshDimensions));
  }
  return dimensions;
}

std::vector<EdgeSpec> read_edges(const ConfigNode& node) {
  std::vector<EdgeSpec> edges;
  for (const ConfigNode& element : node.elements("edges")) {
    EdgeSpec edge;
    edge.from = element.text("from");
    edge.to = element.text("to");
    edge.bandwidth = read_bandwidth(element, "bandwidth");
    edge.cls = element.text_or("class", "");
    edge.lane = static_cast<int>(element.integer_or("lane", -1, 0, kMostSubPlanes - 1));
    edge.weight = static_cast<int>(element.integer_or("weight", 1, 1, kMostLinkWeight));
    if (edge.from == edge.to) element.fail("to", "a link from \"" + edge.to + "\" to itself");
    element.close();
    edges.push_back(std::move(edge));
  }
  if (edges.empty()) node.fail("edges", "a list without a link");
  return edges;
}

std::vector<SwitchSpec> read_switches(const ConfigNode& node) {
  std::vector<SwitchSpec> switches;
  if (!node.has("switches")) return switches;
  for (const ConfigNode& element : node.elements("switches")) {
    const auto whole = [&](const char* key, int otherwise, int least, int most) {
      return static_cast<int>(element.integer_or(key, otherwise, least, most));
    };
    SwitchSpec spec;
    spec.name = element.text("name");
    spec.tier = whole("tier", 1, 1, kMostTiers);
    spec.lane = whole("lane", -1, 0, kMostSubPlanes - 1);
    spec.node = whole("node", -1, 0, kMostNodes - 1);
    spec.index = whole("index", 0, 0, kMostDies);
    spec.pool = whole("pool", -1, 0, INT32_MAX);
    element.close();
    switches.push_back(std::move(spec));
  }
  return switches;
}

FabricSpec read_fat_tree(const ConfigNode& node) {
  FabricSpec fabric;
  fabric.builder = Builder::kFatTree;
  fabric.link_bandwidth = read_bandwidth(node, "link_bandwidth");
  fabric.rails = static_cast<int>(node.integer_or("rails", 1, 1, kMostPorts));
  fabric.leaf_ports = read_count(node, "leaf_ports", kMostPorts);
  fabric.spines = read_count(node, "spines", kMostPorts);
  fabric.uplink_bandwidth = read_bandwidth(node, "uplink_bandwidth");
  if (!node.has("leaves_per_pod")) return fabric;
  fabric.leaves_per_pod = read_count(node, "leaves_per_pod", kMostPorts);
  fabric.cores = read_count(node, "cores", kMostPorts);
  fabric.core_bandwidth = read_bandwidth(node, "core_bandwidth");
  return fabric;
}

FabricSpec read_dragonfly(const ConfigNode& node) {
  FabricSpec fabric;
  fabric.builder = Builder::kDragonfly;
  fabric.link_bandwidth = read_bandwidth(node, "link_bandwidth");
  fabric.dies_per_router = read_count(node, "dies_per_router", kMostPorts);
  fabric.routers_per_group = read_count(node, "routers_per_group", kMostPorts);
  fabric.global_links_per_router = read_count(node, "global_links_per_router", kMostPorts);
  fabric.local_bandwidth = read_bandwidth(node, "local_bandwidth");
  fabric.global_bandwidth = read_bandwidth(node, "global_bandwidth");
  return fabric;
}

/// Where a builder has others than the shortest ones.
void read_routes(const ConfigNode& node, Routes others, FabricSpec& fabric) {
  if (node.has("routes")) {
    fabric.routes = read_choice(node, "routes", std::array{Routes::kMinimal, others});
  }
  if (fabric.routes != Routes::kMinimal || node.has("hop_latency")) {
    fabric.hop_latency = read_latency(node, "hop_latency");
  }
}

}  // namespace

const char* to_string(Builder builder) {
  switch (builder) {
    case Builder::kClos:
      return "clos";
    case Builder::kSwitch:
      return "switch";
    case Builder::kFullMesh:
      return "full_mesh";
    case Builder::kTorus:
      return "torus";
    case Builder::kFatTree:
      return "fat_tree";
    case Builder::kDragonfly:
      return "dragonfly";
    case Builder::kEdges:
      return "edges";
  }
  return "";
}

const char* to_string(Routes routes) {
  switch (routes) {
    case Routes::kMinimal:
      return "minimal";
    case Routes::kValiant:
      return "valiant";
    case Routes::kDetours:
      return "detours";
  }
  return "";
}

const char* to_string(Scope scope) {
  switch (scope) {
    case Scope::kNode:
      return "node";
    case Scope::kRack:
      return "rack";
    case Scope::kSupernode:
      return "supernode";
    case Scope::kAll:
      return "all";
  }
  return "";
}

FabricSpec read_clos(const ConfigNode& node) {
  FabricSpec fabric;
  fabric.builder = Builder::kClos;
  fabric.sub_planes = read_count(node, "sub_planes", kMostSubPlanes);
  fabric.link_bandwidth = read_bandwidth(node, "link_bandwidth");
  fabric.l2_chips_per_plane = read_count(node, "l2_chips_per_plane", 256);
  fabric.l2_chip_ports = read_count(node, "l2_chip_ports", kMostPorts);
  return fabric;
}

FabricSpec read_fabric(const ConfigNode& node) {
  FabricSpec fabric;
  switch (read_choice(node, "builder", kBuilders)) {
    case Builder::kClos:
      fabric = read_clos(node);
      break;
    case Builder::kSwitch:
      fabric.builder = Builder::kSwitch;
      fabric.link_bandwidth = read_bandwidth(node, "link_bandwidth");
      fabric.sub_planes = static_cast<int>(node.integer_or("sub_planes", 1, 1, kMostSubPlanes));
      break;
    case Builder::kFullMesh:
      fabric.builder = Builder::kFullMesh;
      fabric.dimensions = read_dimensions(node);
      read_routes(node, Routes::kDetours, fabric);
      break;
    case Builder::kTorus:
      fabric.builder = Builder::kTorus;
      fabric.dimensions = read_dimensions(node);
      break;
    case Builder::kFatTree:
      fabric = read_fat_tree(node);
      break;
    case Builder::kDragonfly:
      fabric = read_dragonfly(node);
      read_routes(node, Routes::kValiant, fabric);
      break;
    case Builder::kEdges:
      fabric.builder = Builder::kEdges;
      if (node.has("file")) node.fail("file", "expected the path of a GraphML file");
      fabric.edges = read_edges(node);
      fabric.switches = read_switches(node);
      break;
  }
  const bool shortest_alone =
      fabric.builder != Builder::kFullMesh && fabric.builder != Builder::kDragonfly;
  if (shortest_alone && has_key(node, "routes")) {
    node.fail("routes", fmt::format("builder {} has the shortest routes alone; full_mesh has "
                                    "detours, dragonfly valiant",
                                    to_string(fabric.builder)));
  }
  if (node.has("scope")) fabric.scope = read_choice(node, "scope", kScopes);
  node.close();
  return fabric;
}

BytesPerSecond bandwidth_per_die(const FabricSpec& fabric) {
  if (fabric.builder != Builder::kFullMesh && fabric.builder != Builder::kTorus) {
    return fabric.sub_planes * fabric.link_bandwidth;
  }
  BytesPerSecond sum = 0;
  for (const MeshDimension& dimension : fabric.dimensions) {
    const int peers =
        fabric.builder == Builder::kFullMesh ? dimension.size - 1 : std::min(2, dimension.size - 1);
    sum += peers * dimension.bandwidth;
  }
  return sum;
}

}  // namespace cmsim::hw
