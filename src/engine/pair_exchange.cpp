#include "pair_exchange.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <simgrid/s4u.hpp>
#include <utility>
#include <vector>

namespace cmsim::engine {
namespace {

namespace sg = simgrid::s4u;

// SimGrid takes whole bytes; 1/1024 B keeps the rounding of a few-byte pair under 0.1 %.
constexpr double kSubBytes = 1024;

struct Outgoing {
  int to;
  std::uint64_t size;
};

}  // namespace

void start_pair_exchange(SimGridZone& zone, const coll::PairTraffic& traffic, Seconds latency,
                         std::function<void()> done) {
  zone.set_pair_routes({traffic.plane, traffic.op, latency, kSubBytes});
  std::map<int, std::vector<Outgoing>> by_sender;
  for (const coll::PairTraffic::Pair& pair : traffic.pairs) {
    if (pair.bytes <= 0 || pair.from == pair.to) continue;
    const double size = std::max(1.0, std::round(pair.bytes * kSubBytes));
    by_sender[pair.from].push_back({pair.to, static_cast<std::uint64_t>(size)});
  }
  const auto left = std::make_shared<std::size_t>(by_sender.size());
  const auto all_done = std::make_shared<std::function<void()>>(std::move(done));
  for (auto& [from, outgoing] : by_sender) {
    sg::Host* host = zone.host(from);
    sg::Actor::create("sender", host, [&zone, host, left, all_done, list = std::move(outgoing)] {
      std::vector<sg::CommPtr> comms;
      comms.reserve(list.size());
      for (const Outgoing& flow : list) {
        comms.push_back(sg::Comm::sendto_async(host, zone.host(flow.to), flow.size));
      }
      for (const sg::CommPtr& comm : comms) comm->wait();
      if (--*left == 0) (*all_done)();
    });
  }
  if (by_sender.empty()) (*all_done)();
}

}  // namespace cmsim::engine
