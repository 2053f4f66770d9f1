#include "cmsim/run/collective.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "adjusted_group.hpp"
#include "cmsim/base/error.hpp"
#include "cmsim/coll/traffic.hpp"
#include "cmsim/engine/exchange.hpp"
#include "cmsim/model/expert_load.hpp"
#include "cmsim/model/operators.hpp"
#include "cmsim/run/shipped.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;

constexpr double kBf16 = 2;  // bytes

bool is_token_exchange(const CollectiveSpec& spec) {
  return spec.op == CollectiveOp::kDispatch || spec.op == CollectiveOp::kCombine;
}

void check(const hw::Platform& platform, const model::Architecture& architecture,
           const CollectiveSpec& spec) {
  const auto in_range = [](const char* what, std::int64_t value, std::int64_t low,
                           std::int64_t high, const std::string& why = "") {
    if (value >= low && value <= high) return;
    throw std::invalid_argument(
        fmt::format("{}: found {}, allowed {} to {}{}", what, value, low, high, why));
  };
  in_range("--ep", spec.ranks, 2, static_cast<std::int64_t>(hw::whole_dies(platform).size()),
           hw::with_faults(platform));
  in_range("--tokens", spec.tokens, 1, 1'000'000'000);
  in_range("--aiv", spec.aiv_cores, 0, platform.die.aiv_cores);
  in_range("--top-k", spec.top_k, 0, architecture.routed_experts);
  if (is_token_exchange(spec) && architecture.moe_layers() == 0) {
    throw std::invalid_argument(fmt::format("--op: model \"{}\" has no MoE layer to {} for",
                                            architecture.name, to_string(spec.op)));
  }
  if (!(spec.skew >= 0)) throw std::invalid_argument("--skew: allowed are numbers from 0");
}

/// What the benchmark runs: no shared expert, and just enough replicas to fill every rank evenly.
struct Benchmark {
  Benchmark(model::Architecture shape, const CollectiveSpec& spec)
      : architecture(std::move(shape)) {
    architecture.shared_experts = 0;
    if (spec.top_k > 0) architecture.experts_per_token = spec.top_k;
    const int experts = architecture.routed_experts;
    const int slots = (experts + spec.ranks - 1) / spec.ranks * spec.ranks;
    layout = model::derive_layout(architecture, spec.ranks, 0, slots - experts);
  }
  model::Architecture architecture;
  model::ExpertLayout layout;
};

/// Mean over the MoE layers of the expected rows of the busiest rank.
double mean_straggler(const model::ExpertLoad& load, int moe_layers, double tokens) {
  double rows = 0;
  for (int layer = 0; layer < moe_layers; ++layer) rows += load.straggler_rows(layer, tokens);
  return rows / moe_layers;
}

/// Rows of one exchange by rank: the busiest has `straggler`, the others share the rest evenly.
std::vector<double> shares_with_straggler(int ranks, double rows, double straggler) {
  const double hot = std::min(1.0, straggler / rows);
  std::vector<double> share(static_cast<std::size_t>(ranks), (1 - hot) / (ranks - 1));
  share.front() = hot;
  return share;
}

/// Parts in the order in which a tie is broken: the wire is named before the cores that keep up
/// with it.
const char* largest_part(const model::ExchangeTime& time) {
  const std::pair<const char*, Seconds> parts[] = {
      {"wire", time.wire}, {"issue", time.issue}, {"local", time.local}, {"startup", time.startup}};
  return std::max_element(std::begin(parts), std::end(parts),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

/// A link works for as much of the time on the wire as it does of the fabric's: the two differ
/// where the exchange sends other bytes than were measured (counts of `basic`, relays of
/// `two_level`).
void take_links(CollectiveResult& result, const coll::ExchangeResult& fabric) {
  const double stretch = result.time.wire / (fabric.duration - fabric.latency);
  result.busiest = fabric.busiest;
  for (coll::BusyLink& link : result.busiest) {
    link.busy *= stretch;
    link.utilisation = link.busy / result.time.total();
  }
}

/// The first ranks of those that the faults leave.
std::vector<std::int32_t> first_dies(const hw::Platform& platform, int ranks) {
  std::vector<std::int32_t> dies = hw::whole_dies(platform);
  dies.resize(static_cast<std::size_t>(ranks));
  return dies;
}

/// A token exchange in bytes between ranks.
struct TokenTraffic {
  TokenTraffic(const hw::Platform& platform, const model::Architecture& architecture,
               const CollectiveSpec& spec)
      : benchmark(architecture, spec),
        top_k(benchmark.architecture.experts_per_token),
        operators(benchmark.architecture, {}),
        all_tokens(static_cast<double>(spec.tokens) * spec.ranks) {
    model::ExpertOptions options;
    options.placement = model::Placement::kContiguous;
    options.skew = spec.skew;
    const model::ExpertLoad experts(benchmark.architecture, benchmark.layout, options,
                                    model::Phase::kDecode, spec.seed);
    straggler = mean_straggler(experts, benchmark.architecture.moe_layers(), all_tokens);
    mean_rows = experts.mean_rows(all_tokens);
    const bool forward = spec.op == CollectiveOp::kDispatch;
    const bool quantised = forward && spec.exchange != model::ExchangeKind::kBasic;
    message = quantised ? operators.dispatch_message_bytes() : operators.combine_message_bytes();
    share = shares_with_straggler(spec.ranks, all_tokens * top_k, straggler);
    const auto dies = first_dies(platform, spec.ranks);
    const auto tokens = static_cast<double>(spec.tokens);
    traffic = forward ? coll::dispatch(dies, tokens, top_k, message, share)
                      : coll::combine(dies, tokens, top_k, message, share);
  }
  Benchmark benchmark;
  int top_k;
  model::OperatorList operators;
  double all_tokens;
  double straggler = 0, mean_rows = 0;
  double message = 0;         // bytes
  std::vector<double> share;  // of the rows, by rank
  coll::ProductTraffic traffic;
};

coll::ProductTraffic sdma_traffic(const hw::Platform& platform,
                                  const model::Architecture& architecture,
                                  const CollectiveSpec& spec) {
  const double shard = static_cast<double>(spec.tokens) * architecture.hidden * kBf16;
  const auto dies = first_dies(platform, spec.ranks);
  return spec.op == CollectiveOp::kAllGather ? coll::all_gather(dies, shard)
                                             : coll::all_to_all(dies, shard / spec.ranks);
}

/// The analytic network, but for the one exchange that was measured.
class MeasuredNetwork : public coll::ExchangeNetwork {
 public:
  MeasuredNetwork(const hw::Platform& platform, coll::ExchangeGroup::Shape shape,
                  const coll::ProductTraffic& traffic, Seconds wire)
      : analytic_(platform), measured_{std::move(shape), 0} {
    double bytes = 0;
    for (const double sent : traffic.send) bytes += sent;
    double shares = 0;
    for (const double share : traffic.receive) shares += share;
    measured_.per_mean = wire * static_cast<double>(traffic.dies.size()) / (bytes * shares);
  }

  std::shared_ptr<const coll::ExchangeGroup> group(const Subgroups& subgroups) const override {
    return std::make_shared<AdjustedGroup>(
        analytic_.group(subgroups),
        [measured = measured_](std::span<const coll::ExchangeGroup::Shape> shapes,
                               std::vector<coll::ExchangeCost>& costs) {
          for (std::size_t i = 0; i < costs.size(); ++i) {
            const bool same = shapes[i].send == measured.shape.send &&
                              shapes[i].receive == measured.shape.receive;
            if (same) costs[i].per_mean = measured.per_mean;
          }
        });
  }
  coll::PortLoads loads(const Subgroups& subgroups,
                        const coll::ExchangeGroup::Shape& shape) const override {
    return analytic_.loads(subgroups, shape);
  }

 private:
  struct Measured {
    coll::ExchangeGroup::Shape shape;
    double per_mean = 0;
  };

  coll::AnalyticNetwork analytic_;
  Measured measured_;
};

CollectiveResult token_exchange(const hw::Platform& platform,
                                const model::Architecture& architecture,
                                const CollectiveSpec& spec) {
  const TokenTraffic tokens_of(platform, architecture, spec);
  const int top_k = tokens_of.top_k;
  const bool forward = spec.op == CollectiveOp::kDispatch;
  const auto tokens = static_cast<double>(spec.tokens);
  const coll::ExchangeResult fabric =
      engine::measure_exchange(coll::Fabric(platform), tokens_of.traffic, spec.network);
  const std::vector<double> ones(tokens_of.share.size(), 1);
  coll::ExchangeGroup::Shape shape{ones, tokens_of.share};
  if (!forward) std::swap(shape.send, shape.receive);
  const MeasuredNetwork network(platform, std::move(shape), tokens_of.traffic,
                                fabric.duration - fabric.latency);
  const auto exchange = model::make_exchange(spec.exchange, platform, tokens_of.operators, network,
                                             {tokens_of.traffic.dies}, {tokens_of.share});
  const double aiv = spec.aiv_cores > 0 ? spec.aiv_cores : platform.die.aiv_cores;
  const model::ExchangeLoad load{.tokens = tokens,
                                 .copies = static_cast<double>(top_k),
                                 .straggler_rows = tokens_of.straggler,
                                 .aiv_cores = aiv,
                                 .mean_tokens = tokens,
                                 .layer = 0};
  CollectiveResult result;
  result.time = forward ? exchange->dispatch(load) : exchange->combine(load);
  result.bytes_per_rank = tokens * top_k * tokens_of.message;
  result.straggler_rows = tokens_of.straggler;
  result.mean_rows = tokens_of.mean_rows;
  take_links(result, fabric);
  return result;
}

CollectiveResult sdma_collective(const hw::Platform& platform,
                                 const model::Architecture& architecture,
                                 const CollectiveSpec& spec) {
  const double shard = static_cast<double>(spec.tokens) * architecture.hidden * kBf16;
  const bool gather = spec.op == CollectiveOp::kAllGather;
  const coll::ExchangeResult fabric = engine::measure_exchange(
      coll::Fabric(platform), sdma_traffic(platform, architecture, spec), spec.network);
  CollectiveResult result;
  result.time.startup = platform.token_exchange.sdma_startup + fabric.latency;
  result.time.wire = fabric.duration - fabric.latency;
  result.bytes_per_rank = gather ? shard * spec.ranks : shard;
  take_links(result, fabric);
  return result;
}

}  // namespace

const char* to_string(CollectiveOp op) {
  switch (op) {
    case CollectiveOp::kDispatch:
      return "dispatch";
    case CollectiveOp::kCombine:
      return "combine";
    case CollectiveOp::kAllGather:
      return "allgather";
    case CollectiveOp::kAllToAll:
      return "alltoall";
  }
  return "";
}

CollectiveResult measure_collective(const hw::Platform& platform,
                                    const model::Architecture& architecture,
                                    const CollectiveSpec& spec) {
  check(platform, architecture, spec);
  CollectiveResult result = is_token_exchange(spec) ? token_exchange(platform, architecture, spec)
                                                    : sdma_collective(platform, architecture, spec);
  result.bound_by = largest_part(result.time);
  return result;
}

coll::ProductTraffic collective_traffic(const hw::Platform& platform,
                                        const model::Architecture& architecture,
                                        const CollectiveSpec& spec) {
  check(platform, architecture, spec);
  return is_token_exchange(spec) ? TokenTraffic(platform, architecture, spec).traffic
                                 : sdma_traffic(platform, architecture, spec);
}

// Power law through CPU seconds measured at 64 and 320 ranks: nearly equal pairs are exchanged as
// mailbox messages that mostly end together; hashed ones end at many dates, each a new solution.
double flow_rung_cpu_seconds(int ranks, hw::Spread spread) {
  constexpr double kAt64 = 0.09, kAt320 = 7.9, kHashed = 20;
  const double exponent = std::log(kAt320 / kAt64) / std::log(320.0 / 64);
  return kAt64 * std::pow(ranks / 64.0, exponent) * (spread == hw::Spread::kHash ? kHashed : 1);
}

fs::path find_model(const fs::path& named, const fs::path& platform) {
  if (!named.empty()) return named;
  const fs::path models = fs::path("workloads") / "models" / "deepseek-r1.json";
  std::vector<fs::path> places = shipped_places(models);
  places.insert(places.begin(), platform.parent_path() / ".." / models);
  std::error_code error;
  std::vector<std::string> tried;
  for (const fs::path& place : places) {
    if (fs::is_regular_file(place, error)) return place;
    tried.push_back(place.lexically_normal().string());
  }
  throw ConfigError(
      fmt::format("no model file found (tried {}); name one with --model", fmt::join(tried, ", ")));
}

}  // namespace cmsim::run
