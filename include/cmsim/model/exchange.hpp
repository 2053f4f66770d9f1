// Token dispatch and combine between the ranks of an expert-parallel group, as latency of the
// slowest rank.
//
// Three implementations behind one interface: fused (AIV cores write into remote memory, early INT8
// quantisation, P §4.2.1), basic (three SDMA all-to-alls, BF16) and two-level (one copy per domain,
// then forwarded inside it). Ranks are dies anywhere on the fabric, which coll/exchange_network.hpp
// asks for the time on the wire. An uneven load enters twice: as expected by layer, which loads the
// links that ranks share, and as the rows of the busiest rank, which load its own.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "cmsim/coll/exchange_network.hpp"
#include "cmsim/hw/platform.hpp"
#include "cmsim/model/operators.hpp"

namespace cmsim::model {

/// Where the instances of a role are: one list of dies each, rank by rank.
struct InstancePlaces {
  const coll::ExchangeNetwork& network;
  std::vector<std::vector<std::int32_t>> dies;
};

/// How far a rank's peers are when destinations are uniform, mean over the ranks: package (itself
/// and its sibling dies: not over UB), node and remote add up to 1.
struct PeerShares {
  double package = 0;
  double node = 0;
  double remote = 0;
};
PeerShares peer_shares(const hw::Platform& platform, std::span<const std::int32_t> from,
                       std::span<const std::int32_t> to);

/// Who exchanges: all ranks with each other, or the first `senders` of them with the rest, as the
/// attention and the experts of a disaggregated instance do.
struct ExchangeRanks {
  std::vector<std::int32_t> dies;
  int senders = 0;  // 0: all send and all receive

  std::span<const std::int32_t> sending() const;
  std::span<const std::int32_t> receiving() const;
};
/// Of what ranks spread evenly over their subgroups, what leaves the package; mean over the ranks.
double leaving_package(const hw::Platform& platform,
                       const coll::ExchangeNetwork::Subgroups& subgroups);

/// By layer, the fraction of all rows that each receiving rank gets.
using RowShares = std::vector<std::vector<double>>;

/// Dispatch and combine between the ranks of a group, at their places.
class ExchangeCosts {
 public:
  static constexpr int kEven = -1;  // in place of a layer: all ranks get the same

  /// `received` may be empty.
  ExchangeCosts(const coll::ExchangeNetwork& network, const ExchangeRanks& ranks,
                const RowShares& received);

  Seconds latency() const { return dispatch_.front().latency; }
  const coll::ExchangeCost& dispatch(int layer) const { return at(dispatch_, layer); }
  const coll::ExchangeCost& combine(int layer) const { return at(combine_, layer); }
  /// Of a byte at these dies, whose places are alike, when a row takes so many on its way and back;
  /// mean over the layers.
  coll::PortLoads loads(const coll::ExchangeNetwork& network, const std::vector<std::int32_t>& dies,
                        double dispatch_bytes, double combine_bytes) const;

 private:
  static const coll::ExchangeCost& at(const std::vector<coll::ExchangeCost>& costs, int layer) {
    return costs[static_cast<std::size_t>(layer + 1)];
  }
  std::vector<coll::ExchangeCost> dispatch_, combine_;  // even, then by layer
  coll::ExchangeGroup::Shape mean_dispatch_;
};

/// What one exchange moves. Rows are token-expert pairs.
struct ExchangeLoad {
  double tokens = 0;          // of the sending rank with the most
  double copies = 0;          // rows sent for each token
  double straggler_rows = 0;  // rows received by the busiest expert rank
  double aiv_cores = 0;       // given to the exchange on each die
  double mean_tokens = 0;     // of a rank on average, whether it sends or not
  double stretch = 1;         // of the time on the wire, by what else is there
  int layer = ExchangeCosts::kEven;
};

/// Parts of the latency: total() = startup + max(issue, wire) + local, all seconds.
struct ExchangeTime {
  Seconds startup = 0;  // start, path latency and closing synchronisation
  Seconds issue = 0;    // issuing messages on the AIV cores
  Seconds wire = 0;     // the busiest port
  Seconds local = 0;    // packing and reducing in HBM
  Seconds total() const { return startup + (issue > wire ? issue : wire) + local; }
};

class TokenExchange {
 public:
  virtual ~TokenExchange() = default;
  virtual ExchangeTime dispatch(const ExchangeLoad& load) const = 0;
  virtual ExchangeTime combine(const ExchangeLoad& load) const = 0;
  virtual const ExchangeCosts& costs() const = 0;
  /// Bytes a rank sends over UB in one dispatch and one combine of `tokens` tokens.
  virtual double ub_bytes(double tokens, double copies) const = 0;
  /// The same with what stays in the package, and what each of these bytes puts on the ports when
  /// the ranks are these dies, whose places are alike.
  virtual double bytes(double tokens, double copies) const = 0;
  virtual coll::PortLoads loads(const coll::ExchangeNetwork& network,
                                const std::vector<std::int32_t>& dies, double copies) const = 0;
};

/// Receive buffers of a die to which `ranks` others may send `max_tokens` tokens each (P §4.2.1).
double exchange_buffer_bytes(ExchangeKind kind, const hw::Platform& platform,
                             const OperatorList& operators, int ranks, double max_tokens);

/// `received`: as ExchangeCosts has it.
std::unique_ptr<TokenExchange> make_exchange(ExchangeKind kind, const hw::Platform& platform,
                                             const OperatorList& operators,
                                             const coll::ExchangeNetwork& network,
                                             const ExchangeRanks& ranks,
                                             const RowShares& received = {});

}  // namespace cmsim::model
