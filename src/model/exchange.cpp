#include "cmsim/model/exchange.hpp"

#include <algorithm>
#include <map>

#include "cmsim/model/relay.hpp"

namespace cmsim::model {
namespace {

using coll::ExchangeCost;
using coll::PortLoads;

double messages(const OperatorList& operators) {
  return operators.dispatch_message_bytes() + operators.combine_message_bytes();
}

/// What the implementations share: distances, costs on the wire and the reduction of returned rows.
class ExchangeBase : public TokenExchange {
 public:
  ExchangeBase(const hw::Platform& platform, const OperatorList& operators,
               const coll::ExchangeNetwork& network, const ExchangeRanks& ranks,
               const RowShares& received)
      : platform_(platform),
        operators_(operators),
        ranks_(static_cast<int>(ranks.dies.size())),
        shares_(peer_shares(platform, ranks.sending(), ranks.receiving())),
        hbm_(platform.die.hbm_bandwidth * platform.operators.hbm_efficiency),
        costs_(network, ranks, received) {}

  const ExchangeCosts& costs() const override { return costs_; }
  double ub_bytes(double tokens, double copies) const override {
    return bytes(tokens, copies) * (1 - shares_.package);
  }
  double bytes(double tokens, double copies) const override {
    return tokens * copies * messages(operators_);
  }
  PortLoads loads(const coll::ExchangeNetwork& network, const std::vector<std::int32_t>& dies,
                  double) const override {
    return costs_.loads(network, dies, operators_.dispatch_message_bytes(),
                        operators_.combine_message_bytes());
  }

 protected:
  /// Rows through the busiest port of a rank: of the one with the most tokens, or with the hottest
  /// experts.
  static double busiest_rows(const ExchangeLoad& load) {
    return std::max(load.tokens * load.copies, load.straggler_rows);
  }
  static Seconds wire(const ExchangeCost& cost, const ExchangeLoad& load, double message_bytes) {
    return load.stretch * message_bytes *
           cost.wire(load.mean_tokens * load.copies, busiest_rows(load));
  }
  /// Time to issue `rows` messages: the interval holds for the inter-node write path, the shorter
  /// path inside a node is faster by its bandwidth; a die's own package needs no message.
  Seconds issue(double rows, double aiv_cores, double node_share, double remote_share) const {
    const hw::TokenExchangeSpec& spec = platform_.token_exchange;
    const hw::PathSpec& write = platform_.ub.npu_npu_write;
    const double starved = std::max(1.0, spec.saturating_aiv_cores / aiv_cores);
    return rows * spec.message_interval * starved *
           (node_share * write.inter_node_efficiency / write.intra_node_efficiency + remote_share);
  }
  Seconds reduction(const ExchangeLoad& load) const {
    return operators_.combine_reduce(load.tokens, load.tokens * load.copies).hbm_bytes / hbm_;
  }
  Seconds startup() const { return platform_.token_exchange.startup + costs_.latency(); }

  const hw::Platform platform_;
  const OperatorList operators_;
  const int ranks_;
  const PeerShares shares_;
  const BytesPerSecond hbm_;
  const ExchangeCosts costs_;
};

class FusedExchange : public ExchangeBase {
 public:
  using ExchangeBase::ExchangeBase;

  ExchangeTime dispatch(const ExchangeLoad& load) const override {
    const double rows = load.tokens * load.copies;
    return {startup(), issue(rows, load.aiv_cores, shares_.node, shares_.remote),
            wire(costs_.dispatch(load.layer), load, operators_.dispatch_message_bytes()), 0};
  }

  // Nothing is quantised on the way back, so a saturated AIV group keeps up with the wire; when it
  // is starved it slows the ports of
  // its own die in proportion.
  ExchangeTime combine(const ExchangeLoad& load) const override {
    const double starved =
        std::max(1.0, platform_.token_exchange.saturating_aiv_cores / load.aiv_cores);
    const double bytes = operators_.combine_message_bytes();
    const ExchangeCost& cost = costs_.combine(load.layer);
    const Seconds own = bytes * (cost.per_rank * busiest_rows(load));
    return {startup(), own * starved, wire(cost, load, bytes), reduction(load)};
  }
};

/// Three all-to-alls by SDMA: counts, tokens in BF16, results. Each starts SDMA and synchronises;
/// rows are packed and unpacked in HBM because SDMA moves contiguous blocks.
class BasicExchange : public ExchangeBase {
 public:
  using ExchangeBase::ExchangeBase;

  ExchangeTime dispatch(const ExchangeLoad& load) const override {
    const double rows = load.tokens * load.copies, bytes = operators_.combine_message_bytes();
    const ExchangeCost& even = costs_.dispatch(ExchangeCosts::kEven);
    ExchangeTime time;
    time.startup = 2 * all_to_all_start();  // counts, then tokens
    time.wire = wire(costs_.dispatch(load.layer), load, bytes) +
                load.stretch * even.wire(ranks_ * kCountBytes, ranks_ * kCountBytes);
    time.local = 2 * (rows + busiest_rows(load)) * bytes / hbm_;  // pack and unpack: read and write
    return time;
  }
  ExchangeTime combine(const ExchangeLoad& load) const override {
    const double bytes = operators_.combine_message_bytes();
    ExchangeTime time;
    time.startup = all_to_all_start();
    time.wire = wire(costs_.combine(load.layer), load, bytes);
    time.local =
        2 * (load.straggler_rows + load.tokens * load.copies) * bytes / hbm_ + reduction(load);
    return time;
  }
  double bytes(double tokens, double copies) const override {
    return tokens * copies * 2 * operators_.combine_message_bytes();
  }
  PortLoads loads(const coll::ExchangeNetwork& network, const std::vector<std::int32_t>& dies,
                  double) const override {
    return costs_.loads(network, dies, 1, 1);  // BF16 both ways
  }

 private:
  static constexpr double kCountBytes = 8;
  Seconds all_to_all_start() const { return startup() + platform_.token_exchange.sdma_startup; }
};

/// Each token once to each of its domains, and forwarded there (model/relay.hpp).
class TwoLevelExchange : public ExchangeBase {
 public:
  TwoLevelExchange(const hw::Platform& platform, const OperatorList& operators,
                   const coll::ExchangeNetwork& network, const ExchangeRanks& ranks,
                   const RowShares& received)
      : ExchangeBase(platform, operators, network, ranks, received),
        relay_(platform, network, ranks.dies, operators.architecture()) {}

  ExchangeTime dispatch(const ExchangeLoad& load) const override {
    ExchangeTime time;
    time.startup = hops() * startup();
    time.issue = issue(load.tokens * relay_.remote(load.copies), load.aiv_cores, 0, 1) +
                 issue(load.tokens * relay_.forwarded(load.copies), load.aiv_cores, 1, 0);
    time.wire = relayed_wire(load, operators_.dispatch_message_bytes());
    return time;
  }
  ExchangeTime combine(const ExchangeLoad& load) const override {
    ExchangeTime time;
    time.startup = hops() * startup();
    time.wire = relayed_wire(load, operators_.combine_message_bytes());
    time.issue =
        time.wire * std::max(1.0, platform_.token_exchange.saturating_aiv_cores / load.aiv_cores);
    // The relay sums the rows of its domain, the owner those of the domains.
    time.local = hops() * reduction(load);
    return time;
  }
  double ub_bytes(double tokens, double copies) const override {
    return tokens * (relay_.remote(copies) + relay_.forwarded(copies)) * messages(operators_);
  }
  double bytes(double tokens, double copies) const override {
    return tokens * relay_.moved(copies) * messages(operators_);
  }
  PortLoads loads(const coll::ExchangeNetwork& network, const std::vector<std::int32_t>& dies,
                  double copies) const override {
    return relay_.loads(network, dies, copies);
  }

 private:
  /// To the domain, then inside it; a group within one needs no relay.
  int hops() const { return relay_.domains() > 1 ? 2 : 1; }
  /// Rows to or from other domains, then those of the busiest rank within its own.
  Seconds relayed_wire(const ExchangeLoad& load, double message_bytes) const {
    return load.stretch * message_bytes *
           (relay_.between(load.mean_tokens, load.tokens, load.copies) +
            relay_.inside(load.mean_tokens * load.copies, busiest_rows(load)));
  }

  const Relay relay_;
};

}  // namespace

PeerShares peer_shares(const hw::Platform& platform, std::span<const std::int32_t> from,
                       std::span<const std::int32_t> to) {
  /// Of all pairs those within one of the places that `place_of` numbers.
  const auto share_within = [&](const auto& place_of) {
    std::map<int, double> receivers;
    for (const std::int32_t die : to) ++receivers[place_of(die)];
    double pairs = 0;
    for (const std::int32_t die : from) {
      const auto found = receivers.find(place_of(die));
      if (found != receivers.end()) pairs += found->second;
    }
    return pairs / (static_cast<double>(from.size()) * static_cast<double>(to.size()));
  };
  const double package = share_within([&](int die) { return die / platform.dies_per_npu; });
  const double node = share_within([&](int die) { return platform.node_of_die(die); });
  return {package, node - package, 1 - node};
}

double leaving_package(const hw::Platform& platform,
                       const coll::ExchangeNetwork::Subgroups& subgroups) {
  double leaving = 0, ranks = 0;
  for (const std::vector<std::int32_t>& dies : subgroups) {
    const auto size = static_cast<double>(dies.size());
    leaving += size * (1 - peer_shares(platform, dies, dies).package);
    ranks += size;
  }
  return leaving / ranks;
}

std::span<const std::int32_t> ExchangeRanks::sending() const {
  const std::span all(dies);
  return senders == 0 ? all : all.first(static_cast<std::size_t>(senders));
}

std::span<const std::int32_t> ExchangeRanks::receiving() const {
  return std::span(dies).subspan(static_cast<std::size_t>(senders));
}

ExchangeCosts::ExchangeCosts(const coll::ExchangeNetwork& network, const ExchangeRanks& ranks,
                             const RowShares& received) {
  const std::vector<std::int32_t>& dies = ranks.dies;
  const std::size_t receivers = ranks.receiving().size(), first = dies.size() - receivers;
  mean_dispatch_.send.assign(dies.size(), 0);
  std::fill_n(mean_dispatch_.send.begin(), ranks.sending().size(), 1);
  mean_dispatch_.receive.assign(dies.size(), 0);
  std::fill_n(mean_dispatch_.receive.begin() + static_cast<std::ptrdiff_t>(first), receivers,
              1 / static_cast<double>(receivers));
  std::vector<coll::ExchangeGroup::Shape> there{mean_dispatch_};
  if (!received.empty()) mean_dispatch_.receive.assign(dies.size(), 0);
  for (const std::vector<double>& of_layer : received) {
    std::vector<double> shares(dies.size(), 0);
    std::ranges::copy(of_layer, shares.begin() + static_cast<std::ptrdiff_t>(first));
    there.push_back({mean_dispatch_.send, shares});
    for (std::size_t r = 0; r < dies.size(); ++r) {
      mean_dispatch_.receive[r] += shares[r] / static_cast<double>(received.size());
    }
  }
  std::vector<coll::ExchangeGroup::Shape> back = there;
  for (auto& shape : back) std::swap(shape.send, shape.receive);
  const auto group = network.group({dies});
  dispatch_ = group->costs(there);
  combine_ = group->costs(back);
}

double exchange_buffer_bytes(ExchangeKind kind, const hw::Platform& platform,
                             const OperatorList& operators, int ranks, double max_tokens) {
  const double rows = ranks * max_tokens;
  switch (kind) {
    case ExchangeKind::kFused:
      return rows * messages(operators);
    case ExchangeKind::kBasic:
      return 2 * rows * operators.combine_message_bytes();
    case ExchangeKind::kTwoLevel:  // once more for the relay
      return (ranks > platform.dies_per_node() ? 2 : 1) * rows * messages(operators);
  }
  return 0;
}

PortLoads ExchangeCosts::loads(const coll::ExchangeNetwork& network,
                               const std::vector<std::int32_t>& dies, double dispatch_bytes,
                               double combine_bytes) const {
  // What a layer puts on a port is linear in the rows that its ranks get.
  const double dispatch = dispatch_bytes / (dispatch_bytes + combine_bytes);
  const coll::ExchangeGroup::Shape mean_combine{mean_dispatch_.receive, mean_dispatch_.send};
  PortLoads loads = network.loads({dies}, mean_dispatch_) * dispatch;
  return loads += network.loads({dies}, mean_combine) * (1 - dispatch);
}

std::unique_ptr<TokenExchange> make_exchange(ExchangeKind kind, const hw::Platform& platform,
                                             const OperatorList& operators,
                                             const coll::ExchangeNetwork& network,
                                             const ExchangeRanks& ranks,
                                             const RowShares& received) {
  switch (kind) {
    case ExchangeKind::kFused:
      return std::make_unique<FusedExchange>(platform, operators, network, ranks, received);
    case ExchangeKind::kBasic:
      return std::make_unique<BasicExchange>(platform, operators, network, ranks, received);
    case ExchangeKind::kTwoLevel:
      return std::make_unique<TwoLevelExchange>(platform, operators, network, ranks, received);
  }
  return nullptr;
}

}  // namespace cmsim::model
