#include "cmsim/coll/group_routes.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace cmsim::coll {
namespace {

bool all_alike(std::span<const double> values) {
  return std::ranges::all_of(values, [&](double value) { return value == values.front(); });
}

/// What the ways of flows put on the ports at their ends alone.
class EndLoads {
 public:
  explicit EndLoads(const Fabric& fabric)
      : ports_(fabric.ports()), first_(ports_.size(), 0), last_(ports_.size(), 0) {}

  void add_first(PortId port, double wire_bytes) { first_[place_of(port)] += wire_bytes; }
  void add_last(PortId port, double wire_bytes) { last_[place_of(port)] += wire_bytes; }
  void add(const Path& path, double bytes) {
    if (path.ports.empty()) return;
    const double wire = bytes / (path.efficiency * path.stripes());
    add_first(path.ports.front(), wire);
    for (const std::uint32_t begin : path.later_ways) {
      add_last(path.ports[begin - 1], wire);
      add_first(path.ports[begin], wire);
    }
    add_last(path.ports.back(), wire);
  }
  /// Until the busiest is through.
  Seconds slowest() const {
    Seconds worst = 0;
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      worst = std::max(worst, std::max(first_[i], last_[i]) / ports_[i].capacity);
    }
    return worst;
  }

 private:
  static std::size_t place_of(PortId port) { return static_cast<std::size_t>(port); }
  std::span<const Port> ports_;
  std::vector<double> first_, last_;
};

}  // namespace

PortLoads no_loads(const Fabric& fabric) {
  PortLoads loads;
  loads.clear(fabric);
  return loads;
}

void PortLoads::clear(const Fabric& fabric) {
  const std::size_t ports = fabric.ports().size();
  for (std::vector<double>* of : {&bytes, &wire_bytes, &flows}) of->assign(ports, 0);
  latency = 0;
}

PortLoads& operator+=(PortLoads& loads, const PortLoads& others) {
  loads.latency = std::max(loads.latency, others.latency);
  for (std::size_t i = 0; i < loads.bytes.size(); ++i) {
    loads.bytes[i] += others.bytes[i];
    loads.wire_bytes[i] += others.wire_bytes[i];
    loads.flows[i] = std::max(loads.flows[i], others.flows[i]);
  }
  return loads;
}

PortLoads operator*(PortLoads loads, double factor) {
  for (double& bytes : loads.bytes) bytes *= factor;
  for (double& bytes : loads.wire_bytes) bytes *= factor;
  return loads;
}

void add_path(PortLoads& loads, const Path& path, double bytes) {
  loads.latency = std::max(loads.latency, path.latency);
  for (const PortId port : path.ports) {
    const auto i = static_cast<std::size_t>(port);
    loads.bytes[i] += bytes / path.stripes();
    loads.wire_bytes[i] += bytes / (path.efficiency * path.stripes());
    loads.flows[i] += 1;
  }
}

GroupRoutes::GroupRoutes(const Fabric& fabric, std::vector<std::int32_t> dies, Plane plane, Op op)
    : fabric_(fabric),
      dies_(std::move(dies)),
      plane_(plane),
      op_(op),
      uniform_(fabric.is_uniform(plane)) {
  if (uniform_) find_distances();
}

Path GroupRoutes::path(int from, int to) const {
  return fabric_.path(hw::die(dies_[static_cast<std::size_t>(from)]),
                      hw::die(dies_[static_cast<std::size_t>(to)]), plane_, op_);
}

GroupRoutes::Way GroupRoutes::way(const Path& path, std::optional<Direction> side) const {
  Way way{.parts = {}, .latency = path.latency};
  for (const PortId port : path.ports) {
    if (side && fabric_.ports()[static_cast<std::size_t>(port)].direction != *side) continue;
    way.parts.push_back({port, 1 / path.stripes(), 1 / (path.efficiency * path.stripes())});
  }
  return way;
}

void GroupRoutes::find_distances() {
  const hw::Platform& platform = fabric_.platform();
  ranks_.resize(dies_.size());
  std::array<std::map<int, std::int32_t>, 4> places;
  // Of each group two ranks of different subgroups, so that all find a peer outside their own.
  std::array<std::vector<std::array<int, 2>>, 4> examples;
  std::map<int, std::vector<int>> packages;
  for (int r = 0; r < ranks(); ++r) {
    const int die = dies_[static_cast<std::size_t>(r)], node = platform.node_of_die(die);
    const std::array<int, 4> of{die / platform.dies_per_npu, node,
                                node / platform.nodes_per_supernode(), 0};
    packages[of[0]].push_back(r);
    for (std::size_t level = 0; level < of.size(); ++level) {
      const auto next = static_cast<std::int32_t>(places[level].size());
      const auto [place, is_new] = places[level].emplace(of[level], next);
      std::int32_t& group = ranks_[static_cast<std::size_t>(r)].group[level] = place->second;
      if (is_new) examples[level].push_back({r, -1});
      std::array<int, 2>& example = examples[level][static_cast<std::size_t>(group)];
      if (level == 0 || example[1] >= 0) continue;
      const auto subgroup = [&](int rank) {
        return ranks_[static_cast<std::size_t>(rank)].group[level - 1];
      };
      if (subgroup(example[0]) != subgroup(r)) example[1] = r;
    }
  }
  for (std::size_t level = 0; level < places.size(); ++level) {
    groups_[level] = static_cast<int>(places[level].size());
  }
  for (int r = 0; r < ranks(); ++r) {
    Rank& rank = ranks_[static_cast<std::size_t>(r)];
    const int package = dies_[static_cast<std::size_t>(r)] / platform.dies_per_npu;
    for (const int other : packages[package]) {
      if (other != r) rank.siblings.push_back({other, way(path(r, other))});
    }
    for (std::size_t level = 1; level < 4; ++level) {
      const auto& example = examples[level][static_cast<std::size_t>(rank.group[level])];
      const auto is_inside = [&](int other) {
        return ranks_[static_cast<std::size_t>(other)].group[level - 1] == rank.group[level - 1];
      };
      const int peer = is_inside(example[0]) ? example[1] : example[0];
      if (peer < 0) continue;
      rank.out[level - 1] = way(path(r, peer), Direction::kOut);
      rank.in[level - 1] = way(path(peer, r), Direction::kIn);
    }
  }
}

/// Every peer gets an equal part of a rank's byte, over the first port of its way, and sends one
/// over the last.
double GroupRoutes::per_rank() const {
  if (!uniform_) {
    if (by_sender_.shares.empty() && by_receiver_.shares.empty()) {
      by_sender_ = pairs_by(Direction::kOut);
    }
    return by_sender_.shares.empty() ? by_receiver_.per_rank : by_sender_.per_rank;
  }
  const double part = 1.0 / ranks();
  EndLoads ends(fabric_);
  std::array<std::vector<int>, 4> sizes;
  for (std::size_t level = 0; level < 4; ++level) {
    sizes[level].assign(static_cast<std::size_t>(groups_[level]), 0);
    for (const Rank& rank : ranks_) ++sizes[level][static_cast<std::size_t>(rank.group[level])];
  }
  const auto is_own = [&](PortId port, std::int32_t die) {
    const Port& of = fabric_.ports()[static_cast<std::size_t>(port)];
    return of.kind == Port::Owner::kDie && of.owner == die;
  };
  for (int r = 0; r < ranks(); ++r) {
    const Rank& rank = ranks_[static_cast<std::size_t>(r)];
    for (const Sibling& sibling : rank.siblings) ends.add(path(r, sibling.rank), part);
    for (std::size_t level = 1; level < 4; ++level) {
      const int outer = sizes[level][static_cast<std::size_t>(rank.group[level])];
      const int inner = sizes[level - 1][static_cast<std::size_t>(rank.group[level - 1])];
      const double bytes = part * (outer - inner);
      const std::int32_t die = dies_[static_cast<std::size_t>(r)];
      for (const Part& p : rank.out[level - 1].parts) {
        if (is_own(p.port, die)) ends.add_first(p.port, bytes * p.wire_bytes);
      }
      for (const Part& p : rank.in[level - 1].parts) {
        if (is_own(p.port, die)) ends.add_last(p.port, bytes * p.wire_bytes);
      }
    }
  }
  return ends.slowest();
}

void GroupRoutes::add(PortLoads& loads, const Way& way, double bytes, double flows) {
  if (bytes <= 0 || flows <= 0) return;
  loads.latency = std::max(loads.latency, way.latency);
  for (const Part& part : way.parts) {
    const auto i = static_cast<std::size_t>(part.port);
    loads.bytes[i] += bytes * part.bytes;
    loads.wire_bytes[i] += bytes * part.wire_bytes;
    loads.flows[i] += flows;
  }
}

PortLoads GroupRoutes::loads(std::span<const double> send, std::span<const double> receive) const {
  PortLoads loads;
  find_loads(send, receive, loads);
  return loads;
}

void GroupRoutes::find_loads(std::span<const double> send, std::span<const double> receive,
                             PortLoads& loads) const {
  loads.clear(fabric_);
  if (uniform_) {
    add_by_distance(loads, send, receive);
  } else {
    add_by_pair(loads, send, receive);
  }
}

void GroupRoutes::add_by_distance(PortLoads& loads, std::span<const double> send,
                                  std::span<const double> receive) const {
  std::array<std::vector<Sum>, 4> sums;
  for (std::size_t level = 0; level < 4; ++level) {
    sums[level].resize(static_cast<std::size_t>(groups_[level]));
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      Sum& sum = sums[level][static_cast<std::size_t>(ranks_[r].group[level])];
      sum.send += send[r];
      sum.receive += receive[r];
      sum.senders += send[r] > 0 ? 1 : 0;
      sum.receivers += receive[r] > 0 ? 1 : 0;
    }
  }
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    const Rank& rank = ranks_[r];
    for (const Sibling& sibling : rank.siblings) {
      const double bytes = send[r] * receive[static_cast<std::size_t>(sibling.rank)];
      add(loads, sibling.way, bytes, 1);
    }
    for (std::size_t level = 1; level < 4; ++level) {
      const Sum& outer = sums[level][static_cast<std::size_t>(rank.group[level])];
      const Sum& inner = sums[level - 1][static_cast<std::size_t>(rank.group[level - 1])];
      add(loads, rank.out[level - 1], send[r] * (outer.receive - inner.receive),
          outer.receivers - inner.receivers);
      add(loads, rank.in[level - 1], receive[r] * (outer.send - inner.send),
          outer.senders - inner.senders);
    }
  }
}

GroupRoutes::ByRank GroupRoutes::pairs_by(Direction end) const {
  ByRank by;
  std::vector<Share> on_port(fabric_.ports().size());
  std::vector<PortId> used;
  EndLoads ends(fabric_);
  for (int at = 0; at < ranks(); ++at) {
    for (int other = 0; other < ranks(); ++other) {
      if (other == at) continue;
      const Path way = end == Direction::kOut ? path(at, other) : path(other, at);
      by.latency = std::max(by.latency, way.latency);
      ends.add(way, 1.0 / ranks());
      for (const PortId port : way.ports) {
        Share& share = on_port[static_cast<std::size_t>(port)];
        if (share.flows == 0) used.push_back(port);
        share.port = port;
        share.bytes += 1 / way.stripes();
        share.wire_bytes += 1 / (way.efficiency * way.stripes());
        share.flows += 1;
      }
    }
    std::vector<Share>& shares = by.shares.emplace_back();
    for (const PortId port : used) {
      shares.push_back(std::exchange(on_port[static_cast<std::size_t>(port)], {}));
    }
    used.clear();
  }
  by.per_rank = ends.slowest();
  return by;
}

void GroupRoutes::add_by_pair(PortLoads& loads, std::span<const double> send,
                              std::span<const double> receive) const {
  const auto add_all = [&](ByRank& by, Direction end, double of_each, std::span<const double> of) {
    if (by.shares.empty()) by = pairs_by(end);
    if (of_each > 0) loads.latency = by.latency;
    for (std::size_t r = 0; r < of.size(); ++r) {
      const double bytes = of_each * of[r];
      if (bytes <= 0) continue;
      for (const Share& share : by.shares[r]) {
        const auto i = static_cast<std::size_t>(share.port);
        loads.bytes[i] += bytes * share.bytes;
        loads.wire_bytes[i] += bytes * share.wire_bytes;
        loads.flows[i] += share.flows;
      }
    }
  };
  if (all_alike(send)) {
    add_all(by_receiver_, Direction::kIn, send.front(), receive);
  } else if (all_alike(receive)) {
    add_all(by_sender_, Direction::kOut, receive.front(), send);
  } else {
    for (int i = 0; i < ranks(); ++i) {
      for (int j = 0; j < ranks(); ++j) {
        const double bytes =
            send[static_cast<std::size_t>(i)] * receive[static_cast<std::size_t>(j)];
        if (i == j || bytes <= 0) continue;
        add_path(loads, path(i, j), bytes);
      }
    }
  }
}

}  // namespace cmsim::coll
