#include "pair_exchange.hpp"

#include <fmt/format.h>

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

struct Rank {
  std::vector<Outgoing> outgoing;
  int incoming = 0;
};

sg::Mailbox* mailbox_of(int die) { return sg::Mailbox::by_name(fmt::format("d{}", die)); }

/// Sends and receives everything at once, and returns when all of it is through.
void exchange_all(int die, const Rank& rank) {
  static char payload = 0;  // SimGrid wants an address; nothing is read or written there
  std::vector<sg::CommPtr> comms;
  comms.reserve(rank.outgoing.size() + static_cast<std::size_t>(rank.incoming));
  for (const Outgoing& flow : rank.outgoing) {
    comms.push_back(mailbox_of(flow.to)->put_async(&payload, flow.size));
  }
  std::vector<char*> received(static_cast<std::size_t>(rank.incoming));
  for (char*& address : received) {
    comms.push_back(mailbox_of(die)->get_async<char>(&address));
  }
  for (const sg::CommPtr& comm : comms) comm->wait();
}

}  // namespace

void start_pair_exchange(SimGridZone& zone, const coll::PairTraffic& traffic, Seconds latency,
                         std::function<void()> done) {
  zone.set_pair_routes({traffic.plane, traffic.op, latency, kSubBytes});
  std::map<int, Rank> ranks;
  for (const coll::PairTraffic::Pair& pair : traffic.pairs) {
    if (pair.bytes <= 0 || pair.from == pair.to) continue;
    const double size = std::max(1.0, std::round(pair.bytes * kSubBytes));
    ranks[pair.from].outgoing.push_back({pair.to, static_cast<std::uint64_t>(size)});
    ranks[pair.to].incoming += 1;
  }
  const auto left = std::make_shared<std::size_t>(ranks.size());
  const auto all_done = std::make_shared<std::function<void()>>(std::move(done));
  for (auto& [die, rank] : ranks) {
    sg::Actor::create("rank", zone.host(hw::die(die)), [die = die, left, all_done, r = std::move(rank)] {
      exchange_all(die, r);
      if (--*left == 0) (*all_done)();
    });
  }
  if (*left == 0) (*all_done)();
}

}  // namespace cmsim::engine
