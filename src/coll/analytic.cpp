#include "cmsim/coll/analytic.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace cmsim::coll {
namespace {

PortLoads no_loads(const Fabric& fabric) {
  return {.bytes = std::vector<double>(fabric.ports().size(), 0),
          .wire_bytes = std::vector<double>(fabric.ports().size(), 0),
          .flows = std::vector<double>(fabric.ports().size(), 0)};
}

hw::Endpoint end_of(std::int32_t die) { return hw::die(die); }
hw::Endpoint end_of(hw::Endpoint endpoint) { return endpoint; }

template <class Traffic>
PortLoads loads_of_pairs(const Fabric& fabric, const Traffic& traffic) {
  PortLoads loads = no_loads(fabric);
  for (const auto& pair : traffic.pairs) {
    if (pair.bytes <= 0 || pair.from == pair.to) continue;
    const Path path = fabric.path(end_of(pair.from), end_of(pair.to), traffic.plane, traffic.op);
    loads.latency = std::max(loads.latency, path.latency);
    for (const PortId id : path.ports) {
      const auto i = static_cast<std::size_t>(id);
      loads.bytes[i] += pair.bytes / path.stripes;
      loads.wire_bytes[i] += pair.bytes / (path.efficiency * path.stripes);
      loads.flows[i] += 1;
    }
  }
  return loads;
}

/// Sums over a group of ranks: a package, a node, or all.
struct Group {
  double send = 0;
  double receive = 0;
  double senders = 0;    // ranks that send anything
  double receivers = 0;  // ranks that receive anything
  // Two ranks of different subgroups, so that each rank finds a partner outside its own subgroup.
  std::array<int, 2> example{-1, -1};

  void add(double rank_send, double rank_receive, int rank, bool other_subgroup) {
    send += rank_send;
    receive += rank_receive;
    senders += rank_send > 0 ? 1 : 0;
    receivers += rank_receive > 0 ? 1 : 0;
    if (example[0] < 0) {
      example[0] = rank;
    } else if (example[1] < 0 && other_subgroup) {
      example[1] = rank;
    }
  }
};

/// Loads of a product exchange: what a rank exchanges with its package, its node and the rest are
/// differences of sums, and every path of one such distance has the same ports on the rank's side.
class ProductLoads {
 public:
  ProductLoads(const Fabric& fabric, const ProductTraffic& traffic)
      : fabric_(fabric), traffic_(traffic), loads_(no_loads(fabric)) {
    for (int rank = 0; rank < ranks(); ++rank) {
      add_to(packages_[package_of(rank)], rank, [](int, int) { return true; });
      add_to(nodes_[node_of(rank)], rank,
             [&](int a, int b) { return package_of(a) != package_of(b); });
      add_to(supernodes_[supernode_of(rank)], rank,
             [&](int a, int b) { return node_of(a) != node_of(b); });
      add_to(all_, rank, [&](int a, int b) { return supernode_of(a) != supernode_of(b); });
    }
  }

  PortLoads compute() {
    for (int rank = 0; rank < ranks(); ++rank) {
      Group self;
      self.add(send(rank), receive(rank), rank, false);
      const Group& package = packages_[package_of(rank)];
      const Group& node = nodes_[node_of(rank)];
      const Group& supernode = supernodes_[supernode_of(rank)];
      const auto other = [&](const Group& group, auto subgroup_of) {
        return subgroup_of(group.example[0]) != subgroup_of(rank) ? group.example[0]
                                                                  : group.example[1];
      };
      add_distance(rank, package, self, other(package, [](int r) { return r; }));
      add_distance(rank, node, package, other(node, [&](int r) { return package_of(r); }));
      add_distance(rank, supernode, node, other(supernode, [&](int r) { return node_of(r); }));
      add_distance(rank, all_, supernode, other(all_, [&](int r) { return supernode_of(r); }));
    }
    return std::move(loads_);
  }

 private:
  int ranks() const { return static_cast<int>(traffic_.dies.size()); }
  int die(int rank) const { return traffic_.dies[static_cast<std::size_t>(rank)]; }
  double send(int rank) const { return traffic_.send[static_cast<std::size_t>(rank)]; }
  double receive(int rank) const { return traffic_.receive[static_cast<std::size_t>(rank)]; }
  int package_of(int rank) const { return die(rank) / fabric_.platform().dies_per_npu; }
  int node_of(int rank) const { return fabric_.platform().node_of_die(die(rank)); }
  int supernode_of(int rank) const {
    return node_of(rank) / fabric_.platform().nodes_per_supernode();
  }

  template <typename Differ>
  void add_to(Group& group, int rank, Differ differ) {
    group.add(send(rank), receive(rank), rank,
              group.example[0] >= 0 && differ(group.example[0], rank));
  }

  /// Adds what `rank` exchanges with the ranks of `outer` that are not in `inner`.
  void add_distance(int rank, const Group& outer, const Group& inner, int partner) {
    if (partner < 0) return;
    const hw::Endpoint here = hw::die(die(rank));
    const hw::Endpoint there = hw::die(die(partner));
    add_side(fabric_.path(here, there, traffic_.plane, traffic_.op), Direction::kOut,
             send(rank) * (outer.receive - inner.receive), outer.receivers - inner.receivers);
    add_side(fabric_.path(there, here, traffic_.plane, traffic_.op), Direction::kIn,
             receive(rank) * (outer.send - inner.send), outer.senders - inner.senders);
  }

  void add_side(const Path& path, Direction side, double bytes, double flows) {
    if (bytes <= 0 || flows <= 0) return;
    loads_.latency = std::max(loads_.latency, path.latency);
    for (const PortId id : path.ports) {
      const auto i = static_cast<std::size_t>(id);
      if (fabric_.ports()[i].direction != side) continue;
      loads_.bytes[i] += bytes / path.stripes;
      loads_.wire_bytes[i] += bytes / (path.efficiency * path.stripes);
      loads_.flows[i] += flows;
    }
  }

  const Fabric& fabric_;
  const ProductTraffic& traffic_;
  PortLoads loads_;
  std::map<int, Group> packages_;
  std::map<int, Group> nodes_;
  std::map<int, Group> supernodes_;
  Group all_;
};

}  // namespace

const char* to_string(Network network) {
  switch (network) {
    case Network::kAnalytic:
      return "analytic";
    case Network::kHose:
      return "hose";
    case Network::kFlow:
      return "flow";
  }
  return "";
}

PortLoads port_loads(const Fabric& fabric, const PairTraffic& traffic) {
  return loads_of_pairs(fabric, traffic);
}

PortLoads port_loads(const Fabric& fabric, const EndpointTraffic& traffic) {
  return loads_of_pairs(fabric, traffic);
}

PortLoads port_loads(const Fabric& fabric, const ProductTraffic& traffic) {
  if (!fabric.is_uniform(traffic.plane)) return port_loads(fabric, expand(traffic));
  return ProductLoads(fabric, traffic).compute();
}

std::vector<BusyLink> busiest_links(const Fabric& fabric, const PortLoads& loads,
                                    Seconds duration) {
  std::vector<PortId> worst(fabric.classes().size() * 2, -1);
  const auto busy = [&](PortId id) {
    const auto i = static_cast<std::size_t>(id);
    return loads.wire_bytes[i] / fabric.ports()[i].capacity;
  };
  for (PortId id = 0; id < static_cast<PortId>(fabric.ports().size()); ++id) {
    const Port& port = fabric.ports()[static_cast<std::size_t>(id)];
    if (loads.wire_bytes[static_cast<std::size_t>(id)] <= 0) continue;
    PortId& best =
        worst[static_cast<std::size_t>(port.cls) * 2 + static_cast<std::size_t>(port.direction)];
    if (best < 0 || busy(id) > busy(best)) best = id;
  }
  std::vector<BusyLink> links;
  for (const PortId id : worst) {
    if (id < 0) continue;
    const auto i = static_cast<std::size_t>(id);
    const Port& port = fabric.ports()[i];
    links.push_back({id, fabric.classes()[port.cls].name, fabric.name_of(id), loads.bytes[i],
                     loads.wire_bytes[i], busy(id), duration > 0 ? busy(id) / duration : 0});
  }
  std::stable_sort(links.begin(), links.end(),
                   [](const BusyLink& a, const BusyLink& b) { return a.busy > b.busy; });
  return links;
}

ExchangeResult analytic_exchange(const Fabric& fabric, const PortLoads& loads) {
  Seconds busiest = 0;
  for (std::size_t i = 0; i < loads.wire_bytes.size(); ++i) {
    busiest = std::max(busiest, loads.wire_bytes[i] / fabric.ports()[i].capacity);
  }
  const Seconds duration = loads.latency + busiest;
  return {duration, loads.latency, busiest_links(fabric, loads, duration)};
}

}  // namespace cmsim::coll
