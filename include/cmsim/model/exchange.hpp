// Token dispatch and combine between the ranks of an expert-parallel group, as latency of the
// slowest rank.
//
// Three implementations behind one interface: fused (AIV cores write into remote memory, early INT8
// quantisation, P §4.2.1), basic (three SDMA all-to-alls, BF16) and two-level (one copy per node,
// then forwarded inside it). Ranks are dies, laid out contiguously over nodes. Uniform
// destinations; an uneven load enters as the rows of the busiest rank.
#pragma once

#include <memory>
#include <string_view>

#include "cmsim/hw/platform.hpp"
#include "cmsim/model/operators.hpp"

namespace cmsim::model {

/// What one exchange moves. Rows are token-expert pairs.
struct ExchangeLoad {
  double tokens = 0;          // of the sending rank with the most
  double copies = 0;          // rows sent for each token
  double straggler_rows = 0;  // rows received by the busiest expert rank
  double aiv_cores = 0;       // given to the exchange on each die
};

/// Parts of the latency: total() = startup + max(issue, wire) + local, all seconds.
struct ExchangeTime {
  Seconds startup = 0;  // start, path latency and closing synchronisation
  Seconds issue = 0;    // issuing messages on the AIV cores
  Seconds wire = 0;     // the busiest port of a die: UB or die-to-die link
  Seconds local = 0;    // packing and reducing in HBM
  Seconds total() const { return startup + (issue > wire ? issue : wire) + local; }
};

/// How far a rank's peers are when destinations are uniform: package, node and remote add up to 1.
struct PeerShares {
  double package = 0;   // itself and its sibling dies: not over UB
  double siblings = 0;  // of the package, without itself: over the die-to-die link
  double node = 0;
  double remote = 0;
};
PeerShares peer_shares(const hw::Platform& platform, int ranks);
/// Latency of a write to the farthest of the peers; a sibling die is as far as another die of the
/// node (platform files, "paths"). 0 for a rank without peers.
Seconds farthest_latency(const hw::PathSpec& path, const PeerShares& shares);

/// Write bandwidth of a die to a peer at each distance, bytes/s.
struct PeerBandwidth {
  BytesPerSecond siblings = 0;          // die-to-die links; 0 when a package is one die
  BytesPerSecond node = 0, remote = 0;  // the UB port
  /// Seconds until both ports of a die have carried `bytes` (by distance): they work side by side,
  /// so the busier one counts. The one formula for time on the wire towards spread peers.
  Seconds port_time(const PeerShares& bytes) const;
};
PeerBandwidth peer_bandwidth(const hw::Platform& platform);

class TokenExchange {
 public:
  virtual ~TokenExchange() = default;
  virtual ExchangeTime dispatch(const ExchangeLoad& load) const = 0;
  virtual ExchangeTime combine(const ExchangeLoad& load) const = 0;
  /// Receive buffers of one die when each rank may send `max_tokens` tokens (P §4.2.1).
  virtual double buffer_bytes(double max_tokens) const = 0;
  /// Bytes a rank sends over UB in one dispatch and one combine of `tokens` tokens.
  virtual double ub_bytes(double tokens, double copies) const = 0;
};

/// `wire_scale` stretches the time on the wire: 1 for the analytic bound, else the ratio of a
/// simulated fabric (hose or flow rung) to it.
std::unique_ptr<TokenExchange> make_exchange(ExchangeKind kind, const hw::Platform& platform,
                                             const OperatorList& operators, int ranks,
                                             double wire_scale = 1);

}  // namespace cmsim::model
