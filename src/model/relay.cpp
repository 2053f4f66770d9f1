#include "cmsim/model/relay.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "cmsim/model/exchange.hpp"

namespace cmsim::model {
namespace {

using coll::PortLoads;
using Subgroups = coll::ExchangeNetwork::Subgroups;

/// The n-th ranks of all domains, for every n.
Subgroups ranks_by_place(const Subgroups& by_domain) {
  Subgroups ranks;
  for (const std::vector<std::int32_t>& domain : by_domain) {
    ranks.resize(std::max(ranks.size(), domain.size()));
    for (std::size_t i = 0; i < domain.size(); ++i) ranks[i].push_back(domain[i]);
  }
  return ranks;
}

/// log of n over k for real numbers.
double log_choose(double n, double k) {
  return std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1);
}

}  // namespace

double expected_domains(const Architecture& architecture, double copies, int domains) {
  /// Of `places` alike, those that get any of `draws`.
  const auto met = [](double places, double draws) {
    return places <= 1 ? 1 : places * (1 - std::pow(1 - 1 / places, draws));
  };
  const double groups = architecture.expert_groups;
  if (groups <= 1) return met(domains, copies);
  const double chosen = met(architecture.groups_per_token, copies);  // that an expert is taken from
  if (domains > groups) return chosen * met(domains / groups, copies / chosen);
  // Each domain has groups / domains of them, and misses all that are chosen.
  const double others = groups - groups / domains;
  if (others < chosen) return domains;
  return domains * (1 - std::exp(log_choose(others, chosen) - log_choose(groups, chosen)));
}

bool scale_up_joins(const hw::Platform& platform, const std::vector<std::int32_t>& dies) {
  const int nodes = platform.nodes_in(platform.ub.fabric.scope);
  return std::ranges::all_of(dies, [&](std::int32_t die) {
    return platform.node_of_die(die) / nodes == platform.node_of_die(dies.front()) / nodes;
  });
}

Relay::Relay(const hw::Platform& platform, const coll::ExchangeNetwork& network,
             const std::vector<std::int32_t>& dies, const Architecture& architecture)
    : platform_(platform),
      architecture_(architecture),
      nodes_of_domain_(
          scale_up_joins(platform, dies) ? 1 : platform.nodes_in(platform.ub.fabric.scope)) {
  const Subgroups domains = by_domain(dies), places = ranks_by_place(domains);
  domains_ = static_cast<int>(domains.size());
  kept_by_place_ = static_cast<double>(places.size()) / static_cast<double>(dies.size());
  forward_share_ = leaving_package(platform, domains);
  inside_ = coll::even_cost(network, domains);
  between_ = coll::even_cost(network, places);
}

Subgroups Relay::by_domain(const std::vector<std::int32_t>& dies) const {
  std::map<int, std::vector<std::int32_t>> domains;
  for (const std::int32_t die : dies) {
    domains[platform_.node_of_die(die) / nodes_of_domain_].push_back(die);
  }
  Subgroups ranks;
  for (auto& [domain, of_domain] : domains) ranks.push_back(std::move(of_domain));
  return ranks;
}

double Relay::remote(double copies) const {
  return expected_domains(architecture_, copies, domains_) * (1 - 1.0 / domains_);
}

Seconds Relay::between(double mean_tokens, double tokens, double copies) const {
  const double rows = with_own(copies);  // of a token
  return between_.wire(mean_tokens * rows, tokens * rows);
}

Seconds Relay::inside(double mean_rows, double busiest_rows) const {
  return inside_.wire(mean_rows, busiest_rows);
}

PortLoads Relay::loads(const coll::ExchangeNetwork& network, const std::vector<std::int32_t>& dies,
                       double copies) const {
  const Subgroups domains = by_domain(dies), places = ranks_by_place(domains);
  PortLoads loads =
      network.loads(places, coll::even_shape(places)) * (with_own(copies) / moved(copies));
  return loads += network.loads(domains, coll::even_shape(domains)) * (copies / moved(copies));
}

}  // namespace cmsim::model
