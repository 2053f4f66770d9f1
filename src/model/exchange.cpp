#include "cmsim/model/exchange.hpp"

#include <algorithm>
#include <cmath>

namespace cmsim::model {
namespace {

/// What the implementations share: distances, bandwidths and the reduction of returned rows.
class ExchangeBase : public TokenExchange {
 public:
  ExchangeBase(const hw::Platform& platform, const OperatorList& operators, int ranks,
               double wire_scale)
      : platform_(platform),
        operators_(operators),
        ranks_(ranks),
        shares_(peer_shares(platform, ranks)),
        bandwidth_(peer_bandwidth(platform)),
        hbm_(platform.die.hbm_bandwidth * platform.operators.hbm_efficiency),
        wire_scale_(wire_scale),
        wire_per_byte_(bandwidth_.port_time(shares_)),
        latency_(farthest_latency(platform.ub.npu_npu_write, shares_)) {}

  double ub_bytes(double tokens, double copies) const override {
    return tokens * copies * (1 - shares_.package) *
           (operators_.dispatch_message_bytes() + operators_.combine_message_bytes());
  }

 protected:
  /// Rows through the busiest port: those of the rank with the most tokens, or of the hottest
  /// experts.
  static double busiest_rows(const ExchangeLoad& load) {
    return std::max(load.tokens * load.copies, load.straggler_rows);
  }
  /// Time of the busiest port for `rows` messages to uniformly spread peers.
  Seconds wire(double rows, double message_bytes) const {
    return wire_scale_ * rows * message_bytes * wire_per_byte_;
  }
  /// Time to issue `rows` messages: the interval holds for the inter-node write path, the shorter
  /// path inside a node is faster by its bandwidth; a die's own package needs no message.
  Seconds issue(double rows, double aiv_cores, double node_share, double remote_share) const {
    const hw::TokenExchangeSpec& spec = platform_.token_exchange;
    const double starved = std::max(1.0, spec.saturating_aiv_cores / aiv_cores);
    return rows * spec.message_interval * starved *
           (node_share * bandwidth_.remote / bandwidth_.node + remote_share);
  }
  Seconds reduction(const ExchangeLoad& load) const {
    return operators_.combine_reduce(load.tokens, load.tokens * load.copies).hbm_bytes / hbm_;
  }
  Seconds startup() const { return platform_.token_exchange.startup + latency_; }

  const hw::Platform platform_;
  const OperatorList operators_;
  const int ranks_;
  const PeerShares shares_;
  const PeerBandwidth bandwidth_;
  const BytesPerSecond hbm_;
  const double wire_scale_;
  const double wire_per_byte_;  // s/B of a uniform exchange
  const Seconds latency_;
};

class FusedExchange : public ExchangeBase {
 public:
  using ExchangeBase::ExchangeBase;

  ExchangeTime dispatch(const ExchangeLoad& load) const override {
    const double rows = load.tokens * load.copies, bytes = operators_.dispatch_message_bytes();
    return {startup(), issue(rows, load.aiv_cores, shares_.node, shares_.remote),
            wire(busiest_rows(load), bytes), 0};
  }

  // Nothing is quantised on the way back, so a saturated AIV group keeps up with the wire; when it
  // is starved it slows the wire in proportion.
  ExchangeTime combine(const ExchangeLoad& load) const override {
    const double starved =
        std::max(1.0, platform_.token_exchange.saturating_aiv_cores / load.aiv_cores);
    const Seconds on_wire = wire(busiest_rows(load), operators_.combine_message_bytes());
    return {startup(), on_wire * starved, on_wire, reduction(load)};
  }

  double buffer_bytes(double max_tokens) const override {
    return ranks_ * max_tokens *
           (operators_.dispatch_message_bytes() + operators_.combine_message_bytes());
  }
};

/// Three all-to-alls by SDMA: counts, tokens in BF16, results. Each starts SDMA and synchronises;
/// rows are packed and unpacked in HBM because SDMA moves contiguous blocks.
class BasicExchange : public ExchangeBase {
 public:
  using ExchangeBase::ExchangeBase;

  ExchangeTime dispatch(const ExchangeLoad& load) const override {
    const double rows = load.tokens * load.copies, bytes = operators_.combine_message_bytes();
    const double busiest = busiest_rows(load);
    ExchangeTime time;
    time.startup = 2 * all_to_all_start();  // counts, then tokens
    time.wire = wire(busiest, bytes) + wire(ranks_, kCountBytes);
    time.local = 2 * (rows + busiest) * bytes / hbm_;  // pack and unpack: read and write
    return time;
  }
  ExchangeTime combine(const ExchangeLoad& load) const override {
    const double bytes = operators_.combine_message_bytes();
    ExchangeTime time;
    time.startup = all_to_all_start();
    time.wire = wire(busiest_rows(load), bytes);
    time.local =
        2 * (load.straggler_rows + load.tokens * load.copies) * bytes / hbm_ + reduction(load);
    return time;
  }
  double buffer_bytes(double max_tokens) const override {
    return 2 * ranks_ * max_tokens * operators_.combine_message_bytes();
  }
  double ub_bytes(double tokens, double copies) const override {
    return tokens * copies * (1 - shares_.package) * 2 * operators_.combine_message_bytes();
  }

 private:
  static constexpr double kCountBytes = 8;
  Seconds all_to_all_start() const { return startup() + platform_.token_exchange.sdma_startup; }
};

/// Node-limited routing: a token is sent once to each of its (at most groups_per_token) nodes and
/// forwarded there; combine sums inside the node first.
class TwoLevelExchange : public ExchangeBase {
 public:
  using ExchangeBase::ExchangeBase;

  ExchangeTime dispatch(const ExchangeLoad& load) const override {
    const double bytes = operators_.dispatch_message_bytes();
    const double remote_rows = load.tokens * nodes_per_token(load.copies);
    ExchangeTime time;
    time.startup = hops() * startup();
    time.issue = issue(remote_rows, load.aiv_cores, 0, 1) +
                 issue(load.tokens * load.copies, load.aiv_cores, forward_share(), 0);
    time.wire = relayed_wire(load, bytes, remote_rows);
    return time;
  }
  ExchangeTime combine(const ExchangeLoad& load) const override {
    const double bytes = operators_.combine_message_bytes();
    const double remote_rows = load.tokens * nodes_per_token(load.copies);
    ExchangeTime time;
    time.startup = hops() * startup();
    time.wire = relayed_wire(load, bytes, remote_rows);
    time.issue =
        time.wire * std::max(1.0, platform_.token_exchange.saturating_aiv_cores / load.aiv_cores);
    // The relay sums the rows of its node, the owner those of the nodes.
    time.local = hops() * reduction(load);
    return time;
  }
  double ub_bytes(double tokens, double copies) const override {
    return tokens * (nodes_per_token(copies) + copies * forward_share()) *
           (operators_.dispatch_message_bytes() + operators_.combine_message_bytes());
  }
  double buffer_bytes(double max_tokens) const override {
    return hops() * ranks_ * max_tokens *
           (operators_.dispatch_message_bytes() + operators_.combine_message_bytes());
  }

 private:
  int nodes() const {
    return std::max(1, (ranks_ + platform_.dies_per_node() - 1) / platform_.dies_per_node());
  }
  /// To the node, then inside it; a group within one node needs no relay.
  int hops() const { return nodes() > 1 ? 2 : 1; }
  /// Expected number of other nodes a token goes to: routing picks at most groups_per_token groups.
  double nodes_per_token(double copies) const {
    const double groups = operators_.architecture().groups_per_token;
    const double draws = std::min(copies, groups > 0 ? groups : copies);
    const double others = nodes() - 1;
    return others <= 0 ? 0 : others * (1 - std::pow(1 - 1.0 / nodes(), draws));
  }
  double peers_in_node() const { return std::min(ranks_, platform_.dies_per_node()); }
  /// Share of a node's forwarded rows that leave the relay's package.
  double forward_share() const {
    return std::max(0.0, (peers_in_node() - platform_.dies_per_npu) / peers_in_node());
  }
  /// Share that stays in it, for a sibling die.
  double sibling_share() const {
    return (std::min(ranks_, platform_.dies_per_npu) - 1) / peers_in_node();
  }
  /// `remote_rows` to or from other nodes, and the rows of the busiest rank within its node.
  Seconds relayed_wire(const ExchangeLoad& load, double message_bytes, double remote_rows) const {
    const double forwarded = busiest_rows(load);
    return wire_scale_ * message_bytes *
           bandwidth_.port_time({.siblings = forwarded * sibling_share(),
                                 .node = forwarded * forward_share(),
                                 .remote = remote_rows});
  }
};

}  // namespace

PeerShares peer_shares(const hw::Platform& platform, int ranks) {
  const double n = ranks;
  const double package = std::min(platform.dies_per_npu, ranks);
  const double node = std::min(platform.dies_per_node(), ranks);
  return {package / n, (package - 1) / n, (node - package) / n, (n - node) / n};
}

Seconds farthest_latency(const hw::PathSpec& path, const PeerShares& shares) {
  if (shares.remote > 0) return path.inter_node_latency;
  return shares.node > 0 || shares.siblings > 0 ? path.intra_node_latency : 0;
}

PeerBandwidth peer_bandwidth(const hw::Platform& platform) {
  const hw::PathSpec& write = platform.ub.npu_npu_write;
  const BytesPerSecond line = hw::bandwidth_per_die(platform.ub.fabric);
  const BytesPerSecond package =
      (platform.dies_per_npu - 1) * platform.die.die_to_die_bandwidth;  // a link to each sibling
  return {package * write.intra_node_efficiency, line * write.intra_node_efficiency,
          line * write.inter_node_efficiency};
}

Seconds PeerBandwidth::port_time(const PeerShares& bytes) const {
  const Seconds ub = bytes.node / node + bytes.remote / remote;
  return bytes.siblings > 0 ? std::max(ub, bytes.siblings / siblings) : ub;
}

std::unique_ptr<TokenExchange> make_exchange(ExchangeKind kind, const hw::Platform& platform,
                                             const OperatorList& operators, int ranks,
                                             double wire_scale) {
  switch (kind) {
    case ExchangeKind::kFused:
      return std::make_unique<FusedExchange>(platform, operators, ranks, wire_scale);
    case ExchangeKind::kBasic:
      return std::make_unique<BasicExchange>(platform, operators, ranks, wire_scale);
    case ExchangeKind::kTwoLevel:
      return std::make_unique<TwoLevelExchange>(platform, operators, ranks, wire_scale);
  }
  return nullptr;
}

}  // namespace cmsim::model
