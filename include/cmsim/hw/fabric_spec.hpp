// How the links of a plane are laid, as platform files say it ("builder" and its parameters).
//
// A plane is built anew in every unit of its scope: one switch a node, one Clos a supernode.
// Bandwidths are bytes/s of one link in one direction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/base/units.hpp"

namespace cmsim::hw {

enum class Builder : std::uint8_t {
  kClos,       // sub-planes of an L1 chip in each node and L2 chips that join them
  kSwitch,     // one tier of switches, a link of every die into each
  kFullMesh,   // nD full mesh: links to all dies that differ in one coordinate
  kTorus,      // nD torus: links to the two neighbours in every dimension
  kFatTree,    // leaves and spines, and cores above pods when there are any
  kDragonfly,  // groups of fully meshed routers, a global link between any two groups
  kEdges       // an explicit list
};
const char* to_string(Builder builder);

/// Which ways a flow takes where the builder has others than the shortest ones.
enum class Routes : std::uint8_t {
  kMinimal,  // the shortest; of a dragonfly of the fewest global links
  kValiant,  // dragonfly: by every group but those of the ends, evenly
  kDetours   // full mesh: over every link of a die into the dimensions that differ, evenly
};
const char* to_string(Routes routes);

/// What one copy of the fabric spans.
enum class Scope : std::uint8_t { kNode, kRack, kSupernode, kAll };
const char* to_string(Scope scope);

struct MeshDimension {
  int size = 1;
  BytesPerSecond bandwidth = 0;  // of the link to each peer (mesh) or neighbour (torus)
  bool operator==(const MeshDimension&) const = default;
};

/// A link of an explicit list, both ways. Ends are "die:3", "cpu:0" or any name of a switch.
struct EdgeSpec {
  std::string from, to;
  BytesPerSecond bandwidth = 0;
  std::string cls;  // its class; empty: that of its ends
  int lane = -1;    // the sub-plane; -1: none
  int weight = 1;   // of the link; see Link
  bool operator==(const EdgeSpec&) const = default;
};

/// What is known of a switch of such a list besides its links; see Vertex.
struct SwitchSpec {
  std::string name;
  int tier = 1;
  int lane = -1, node = -1, index = 0;
  int pool = -1;  // -1: one of its own
  bool operator==(const SwitchSpec&) const = default;
};

struct FabricSpec {
  Builder builder = Builder::kSwitch;
  Scope scope = Scope::kSupernode;
  BytesPerSecond link_bandwidth = 0;  // of a die; of meshes and lists see below
  int sub_planes = 1;                 // independent copies; a die has one link into each
  Routes routes = Routes::kMinimal;
  Seconds hop_latency = 0;  // of each link that a way has more than a shortest one
  // Clos: an L1 chip has one uplink of link_bandwidth to every L2 chip of its sub-plane.
  int l2_chips_per_plane = 0;
  int l2_chip_ports = 0;  // one per node: the largest supernode
  // Full mesh and torus; dies are numbered with the first dimension fastest.
  std::vector<MeshDimension> dimensions;
  // Fat tree. With rails, a leaf has the dies of one place in their nodes.
  int rails = 1;
  int leaf_ports = 0;
  int spines = 0;                       // of a pod
  BytesPerSecond uplink_bandwidth = 0;  // leaf to each spine of its pod
  int leaves_per_pod = 0;               // 0: one pod
  int cores = 0;
  BytesPerSecond core_bandwidth = 0;  // spine to each core
  // Dragonfly.
  int dies_per_router = 0;
  int routers_per_group = 0;
  int global_links_per_router = 0;
  BytesPerSecond local_bandwidth = 0, global_bandwidth = 0;
  // Explicit list.
  std::vector<EdgeSpec> edges;
  std::vector<SwitchSpec> switches;
  bool operator==(const FabricSpec&) const = default;
};

/// Reads an object that names a builder and its keys.
FabricSpec read_fabric(const ConfigNode& node);
/// The keys of a Clos in an object that has others too.
FabricSpec read_clos(const ConfigNode& node);
inline constexpr const char* kClosKeys[] = {"sub_planes", "link_bandwidth", "l2_chips_per_plane",
                                            "l2_chip_ports"};

/// What the links of a die carry together, one way; 0 for an explicit list.
BytesPerSecond bandwidth_per_die(const FabricSpec& fabric);

}  // namespace cmsim::hw
