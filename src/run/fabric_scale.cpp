#include "fabric_scale.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cmsim/engine/exchange.hpp"
#include "cmsim/model/exchange.hpp"
#include "cmsim/model/expert_load.hpp"
#include "cmsim/model/operators.hpp"
#include "cmsim/serve/placement.hpp"
#include "in_child.hpp"

namespace cmsim::run {
namespace {

/// One role's dispatch: what each rank sends, and where it goes.
struct Representative {
  coll::ProductTraffic traffic;
  Seconds assumed = 0;  // wire time in the step model
};

/// The MoE layer whose busiest rank is the median one.
int median_layer(const model::ExpertLoad& experts, int moe_layers) {
  std::vector<int> layers(static_cast<std::size_t>(moe_layers));
  std::iota(layers.begin(), layers.end(), 0);
  const auto middle = layers.begin() + moe_layers / 2;
  std::nth_element(layers.begin(), middle, layers.end(), [&](int a, int b) {
    const double left = experts.max_over_mean(a), right = experts.max_over_mean(b);
    return left != right ? left < right : a < b;
  });
  return *middle;
}

Representative dispatch_of(const Scenario& scenario, const model::ExpertLoad& experts,
                           const std::int32_t* dies, double tokens) {
  const model::Architecture& a = scenario.model;
  const model::ExpertLayout& layout = experts.layout();
  const int ranks = layout.ranks;
  // The shared expert's rows travel only to ranks of its own.
  std::vector<double> rows = experts.rank_shares(median_layer(experts, a.moe_layers()));
  for (double& share : rows) share *= a.experts_per_token;
  int copies = a.experts_per_token;
  if (layout.shared_hosting == model::SharedHosting::kDedicatedRanks) {
    copies += a.shared_experts;
    for (int r = 0; r < layout.shared_copies; ++r) {
      rows[static_cast<std::size_t>(r)] +=
          static_cast<double>(a.shared_experts) / layout.shared_copies;
    }
  }
  for (double& share : rows) share /= copies;
  const double message =
      model::OperatorList(a, scenario.options.precision).dispatch_message_bytes();
  const double hottest = *std::max_element(rows.begin(), rows.end()) * ranks;
  return {
      coll::dispatch(std::vector<std::int32_t>(dies, dies + ranks), tokens, copies, message, rows),
      assumed_wire_time(scenario.platform, ranks, tokens * copies * std::max(1.0, hottest),
                        message)};
}

coll::ProductTraffic first_ranks(const coll::ProductTraffic& traffic, int ranks) {
  coll::ProductTraffic part = traffic;
  part.dies.resize(static_cast<std::size_t>(ranks));
  part.send.resize(part.dies.size());
  part.receive.resize(part.dies.size());
  const double kept = std::accumulate(part.receive.begin(), part.receive.end(), 0.0);
  for (double& share : part.receive) share /= kept;
  return part;
}

Seconds wire_time(const coll::Fabric& fabric, const coll::ProductTraffic& traffic,
                  Network network) {
  const coll::ExchangeResult result = engine::measure_exchange(fabric, traffic, network);
  return result.duration - result.latency;
}

/// Ratios are kept to nine digits: what is equal but for rounding counts as equal.
double rounded(double ratio) { return std::round(ratio * 1e9) / 1e9; }

double scale_of(const coll::Fabric& fabric, const Representative& exchange, Network network) {
  if (exchange.assumed <= 0) return 1;
  const Seconds analytic = wire_time(fabric, exchange.traffic, Network::kAnalytic);
  const double bound = analytic / exchange.assumed;
  if (network == Network::kAnalytic) return rounded(bound);
  const int ranks = static_cast<int>(exchange.traffic.dies.size());
  const bool in_part = network == Network::kFlow && ranks > kMostFlowRanks;
  const coll::ProductTraffic traffic =
      in_part ? first_ranks(exchange.traffic, kMostFlowRanks) : exchange.traffic;
  const Seconds reference = in_part ? wire_time(fabric, traffic, Network::kAnalytic) : analytic;
  if (reference <= 0) return rounded(bound);
  const Seconds measured = in_child([&] { return wire_time(fabric, traffic, network); });
  return rounded(bound * measured / reference);
}

std::string note_of(const char* role, double scale, int ranks, Network network) {
  const bool in_part = network == Network::kFlow && ranks > kMostFlowRanks;
  return fmt::format("{}: wire time x {:.4f} ({} fabric, {}{} ranks)", role, scale,
                     coll::to_string(network),
                     in_part ? fmt::format("first {} of ", kMostFlowRanks) : std::string(), ranks);
}

}  // namespace

Seconds assumed_wire_time(const hw::Platform& platform, int ranks, double rows,
                          double message_bytes) {
  return rows * message_bytes *
         model::peer_bandwidth(platform).port_time(model::peer_shares(platform, ranks));
}

FabricScale measure_fabric_scale(const Scenario& scenario, const RoleExperts& experts,
                                 const coll::Fabric& fabric) {
  const hw::Platform& platform = scenario.platform;
  const serve::Placement placement = serve::place(scenario.deployment, platform, scenario.role);
  FabricScale scale;
  const auto measure = [&](const char* role, const model::ExpertLoad& load,
                           const std::int32_t* dies, double tokens) {
    const int ranks = load.layout().ranks;
    if (ranks < 2 || scenario.model.moe_layers() < 1) return 1.0;
    const double ratio =
        scale_of(fabric, dispatch_of(scenario, load, dies, tokens), scenario.network);
    if (scenario.network != Network::kAnalytic || ratio != 1) {
      scale.note +=
          (scale.note.empty() ? "" : "; ") + note_of(role, ratio, ranks, scenario.network);
    }
    return ratio;
  };
  if (experts.prefill) {
    const double tokens =
        static_cast<double>(scenario.deployment.prefill.max_num_batched_tokens) /
        (platform.dies_per_npu * std::max(1, scenario.options.prefill.microbatches));
    scale.prefill = measure("prefill", *experts.prefill, placement.dies.data(), tokens);
  }
  if (experts.decode) {
    const double tokens = static_cast<double>(scenario.deployment.decode.max_num_seqs) /
                          platform.dies_per_npu * (1 + scenario.options.decode.draft_tokens);
    scale.decode = measure(
        "decode", *experts.decode,
        placement.dies.data() + placement.prefill_instances * placement.prefill_dies, tokens);
  }
  return scale;
}

}  // namespace cmsim::run
