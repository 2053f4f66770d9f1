// The machine as a value: every parameter of platforms/*.json, in base units, with nothing derived
// hidden in code. Per-die figures are per die; an NPU (package) is `dies_per_npu` dies.
#pragma once

#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/base/units.hpp"
#include "cmsim/hw/endpoint.hpp"
#include "cmsim/hw/fabric_spec.hpp"
#include "cmsim/hw/fault.hpp"

namespace cmsim::hw {

// Bounds of a machine that others multiply by: no announced supernode or memory comes near.
inline constexpr int kMostNodes = 65'536;
inline constexpr int kMostDies = 400'000;  // 165,000 NPUs of two dies are published for one plane
inline constexpr Bytes kMostDram = 100'000'000'000'000;  // of a node
inline constexpr Bytes kMostHbm = 40'000'000'000'000;    // of a die
static_assert(kMostDram <= INT64_MAX / kMostNodes, "the DRAM of all nodes is counted in Bytes");
static_assert(kMostHbm / 2 <= INT64_MAX / kMostDies, "so is the KV of all dies, from 2 B a token");

/// What the units of a die are called; units of one name are one, which runs one operator at a
/// time.
struct UnitNames {
  std::string matrix = "matrix", vector = "vector", dma = "DMA";
  bool operator==(const UnitNames&) const = default;
};

struct DieSpec {
  UnitNames units;
  OpsPerSecond bf16_peak = 0;  // dense BF16 FLOPS
  OpsPerSecond int8_peak = 0;  // dense 8-bit: INT8 OPS, or FP8 FLOPS of a device that has that
  int aic_cores = 0;           // matrix: AI cube cores; of a GPU its SMs
  int aiv_cores = 0;           // vector: AI vector cores; of a GPU its SMs again
  Bytes hbm_capacity = 0;
  BytesPerSecond hbm_bandwidth = 0;
  // To the sibling die of the package, per direction; 0 where a package is one die.
  BytesPerSecond die_to_die_bandwidth = 0;
  bool operator==(const DieSpec&) const = default;
};

/// Measured behaviour of one kind of UB path (P Table 1), as fractions of the slower port of the
/// path.
struct PathSpec {
  double inter_node_efficiency = 0;
  double intra_node_efficiency = 0;
  Seconds inter_node_latency = 0;
  Seconds intra_node_latency = 0;
  bool operator==(const PathSpec&) const = default;
};

enum class Spread { kAdaptive, kStripe, kHash };  // how one flow uses the sub-planes

/// The scale-up plane: dies and CPUs.
struct UbSpec {
  FabricSpec fabric;
  bool by_builder =
      false;  // "fabric" names a builder; else the keys of the plane are those of a Clos
  std::optional<FabricSpec> inside_node;  // a faster fabric between the dies of a node
  BytesPerSecond cpu_bandwidth = 0;       // one CPU socket over all its links; 0: not connected
  Spread spread = Spread::kAdaptive;
  PathSpec npu_npu_read, npu_npu_write, npu_cpu_read, npu_cpu_write;
  bool operator==(const UbSpec&) const = default;
};

/// The scale-out plane: dies, CPUs where it has them, and what joins supernodes.
struct RdmaSpec {
  FabricSpec fabric;
  bool by_builder = false;           // "fabric" names a builder; else it is one switch
  BytesPerSecond cpu_bandwidth = 0;  // of one CPU socket; 0: CPUs are not on this plane
  double efficiency = 1;
  Seconds latency = 0;
  bool operator==(const RdmaSpec&) const = default;
};

/// The front-end plane: one card a node.
struct VpcSpec {
  BytesPerSecond bandwidth_per_node = 0;
  double efficiency = 1;
  Seconds latency = 0;
  bool operator==(const VpcSpec&) const = default;
};

/// Measured operator efficiencies of one die (P §4.5 and Tables 8-10).
struct OperatorSpec {
  double hbm_efficiency = 0;        // share of HBM bandwidth a streaming operator reaches
  double attention_efficiency = 0;  // share of BF16 peak of compute-bound MLA
  double gemm_int8_efficiency = 0;  // share of INT8 peak of a large grouped GEMM
  double gemm_bf16_efficiency = 0;  // share of BF16 peak of a large GEMM
  // How far the attention kernel, and a GEMM, compute while they stream: (compute^p +
  // memory^p)^(1/p) is the time. 1 = one after the other; infinite = the longer hides the shorter.
  double attention_overlap = std::numeric_limits<double>::infinity();
  double gemm_overlap = std::numeric_limits<double>::infinity();
  Seconds operator_overhead = 0;  // start and synchronisation of one dependent kernel on its stream
  Bytes hbm_reserved = 0;         // of a die's HBM: runtime, graphs and activations
  bool operator==(const OperatorSpec&) const = default;
};

/// Token exchange between ranks: what the AIV cores that issue messages, and SDMA, cost.
struct TokenExchangeSpec {
  Seconds startup = 0;  // start and closing synchronisation of one fused exchange
  Seconds message_interval =
      0;  // between two messages a die sends off its package, cores saturating
  int saturating_aiv_cores =
      0;                     // AIV cores that reach that rate; fewer issue proportionally slower
  Seconds sdma_startup = 0;  // one SDMA all-to-all
  // An exchange keeps the cores it was given while data is under way, so that two microbatches
  // divide the die; false: it runs beside operators that have all cores.
  bool holds_cores = true;
  // Matrix cores of a die that move the rows of a prefill batch while its microbatches overlap.
  int prefill_cores = 0;
  // What the slowest of the ranks adds to the barrier that ends an exchange of a serving system,
  // beside what its load does: a measurement of one exchange again and again has none.
  Seconds jitter = 0;
  bool operator==(const TokenExchangeSpec&) const = default;
};

/// The CPUs that serve: what NPUs wait for them.
struct HostSpec {
  Seconds step_gap = 0;       // between two decode iterations
  Seconds prefill_batch = 0;  // to put a batch together, per instance
  Seconds cached_block = 0;   // to look up, get and place a block of the context cache, one after
                              // the other on an instance
  bool operator==(const HostSpec&) const = default;
};

/// What one NPU with its share of the machine costs, where that is known.
struct CostSpec {
  std::optional<double> power_w;          // all-in
  std::optional<double> network_power_w;  // of it
  std::optional<double> network_price_usd;
  std::optional<double> price_least_usd, price_most_usd;
  std::optional<double> hour_least_usd, hour_most_usd;  // of use
  std::optional<double> optics;                         // optical modules of the fabric
  bool operator==(const CostSpec&) const = default;
};

struct Platform {
  std::string name;
  int supernodes = 1;
  int nodes = 0;  // of all supernodes
  int nodes_per_rack = 1;
  int npus_per_node = 0;
  int dies_per_npu = 0;
  int cpus_per_node = 0;
  Bytes dram_per_node = 0;
  DieSpec die;
  UbSpec ub;
  RdmaSpec rdma;
  VpcSpec vpc;
  OperatorSpec operators;
  TokenExchangeSpec token_exchange;
  HostSpec host;
  CostSpec costs;
  std::vector<Fault> faults;          // see add_faults()
  Lost lost;                          // by them
  std::vector<std::string> borrowed;  // pointers of figures that were measured on another device

  int dies() const { return nodes * npus_per_node * dies_per_npu; }
  int npus() const { return nodes * npus_per_node; }
  int cpus() const { return nodes * cpus_per_node; }
  int dies_per_node() const { return npus_per_node * dies_per_npu; }
  int node_of_die(int die_index) const { return die_index / dies_per_node(); }
  int node_of_cpu(int cpu_index) const { return cpu_index / cpus_per_node; }
  /// Nodes of one unit of the scope; the last unit may have fewer.
  int nodes_in(Scope scope) const;
  int nodes_per_supernode() const { return nodes / supernodes; }
  bool operator==(const Platform&) const = default;
};

/// Throws std::invalid_argument when the platform has no such die or CPU.
void check_endpoint(const Platform& platform, Endpoint endpoint);

/// Reads the platform object at `node`, under which its device lies already
/// (hw/platform_files.hpp); unknown keys, bad units and ranges are ConfigErrors.
Platform read_platform(const ConfigNode& node);
Platform load_platform(const std::filesystem::path& file);

}  // namespace cmsim::hw
