// One collective alone on the machine, as an operator benchmark measures it (P Table 7): latency,
// its parts and the busiest links, on any rung of the network ladder.
//
// Ranks are dies 0..ranks-1. Token exchange: routed experts only, placed contiguously, each token
// to its top k; the busiest rank gets the expected maximum of a finite batch. Needs no scenario and
// knows no serving. Seconds and payload bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cmsim/coll/analytic.hpp"
#include "cmsim/coll/traffic.hpp"
#include "cmsim/hw/platform.hpp"
#include "cmsim/model/architecture.hpp"
#include "cmsim/model/exchange.hpp"

namespace cmsim::run {

enum class CollectiveOp { kDispatch, kCombine, kAllGather, kAllToAll };
const char* to_string(CollectiveOp op);

struct CollectiveSpec {
  CollectiveOp op = CollectiveOp::kDispatch;
  int ranks = 0;
  std::int64_t tokens = 0;  // of each rank
  coll::Network network = coll::Network::kAnalytic;
  model::ExchangeKind exchange = model::ExchangeKind::kFused;
  double skew = 0;         // scale of the measured popularity; 0 = uniform
  int aiv_cores = 0;       // given to the exchange; 0 = all of the die
  int top_k = 0;           // 0 = the model's
  std::uint64_t seed = 1;  // of the popularity
};

struct CollectiveResult {
  model::ExchangeTime time;   // its parts; time.total() is the latency
  std::string bound_by;       // the largest part: "startup", "issue", "wire" or "local"
  double bytes_per_rank = 0;  // nominal payload of a rank, its own share included
  double straggler_rows = 0;  // of the busiest expert rank; 0 for all-gather and all-to-all
  double mean_rows = 0;
  std::vector<coll::BusyLink> busiest;  // utilisation over the latency

  BytesPerSecond bandwidth() const { return time.total() > 0 ? bytes_per_rank / time.total() : 0; }
};

/// All-gather: every rank sends its `tokens` hidden states (BF16) to every other. All-to-all: it
/// spreads them evenly over all ranks. Both by SDMA. Throws std::invalid_argument for what the
/// platform or the model has not.
CollectiveResult measure_collective(const hw::Platform& platform,
                                    const model::Architecture& architecture,
                                    const CollectiveSpec& spec);

/// The bytes that it puts on the fabric; the network, AIV cores and kind of exchange are not asked
/// (a dispatch is that of quantised messages). Throws as measure_collective.
coll::ProductTraffic collective_traffic(const hw::Platform& platform,
                                        const model::Architecture& architecture,
                                        const CollectiveSpec& spec);

/// CPU seconds that one exchange takes on the flow rung, roughly: what to warn a user of.
double flow_rung_cpu_seconds(int ranks, hw::Spread spread);

/// The file named, else deepseek-r1.json in ../workloads/models beside the platform's directory, in
/// the installed share directory of this program, or below the working directory. Throws
/// ConfigError naming every place.
std::filesystem::path find_model(const std::filesystem::path& named,
                                 const std::filesystem::path& platform);

}  // namespace cmsim::run
