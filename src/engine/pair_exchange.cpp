#include "pair_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <simgrid/Exception.hpp>
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
  double bytes;
  std::uint64_t size;
};

struct Rank {
  std::vector<Outgoing> outgoing;
  int incoming = 0;
};

struct PairExchange {
  std::size_t ranks_left = 0;
  double delivered = 0;
  bool failed = false;
  std::function<void(coll::Outcome)> ended;
};

bool goes_through(const sg::CommPtr& comm) {
  try {
    comm->wait();
    return true;
  } catch (const simgrid::NetworkFailureException&) {
    return false;
  }
}

sg::Mailbox* mailbox_of(int die) { return sg::Mailbox::by_name(fmt::format("d{}", die)); }

/// Sends and receives everything at once, and returns when all of it has ended.
void exchange_all(int die, const Rank& rank, PairExchange& exchange) {
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
  for (std::size_t i = 0; i < comms.size(); ++i) {
    if (!goes_through(comms[i])) {
      exchange.failed = true;
    } else if (i < rank.outgoing.size()) {
      exchange.delivered += rank.outgoing[i].bytes;
    }
  }
}

void end(const PairExchange& exchange) {
  using End = coll::Outcome::End;
  exchange.ended({exchange.failed ? End::kFailed : End::kDone, std::llround(exchange.delivered)});
}

}  // namespace

void start_pair_exchange(SimGridZone& zone, const coll::PairTraffic& traffic, Seconds latency,
                         std::function<void(coll::Outcome)> ended) {
  zone.set_pair_routes({traffic.plane, traffic.op, latency, kSubBytes});
  std::map<int, Rank> ranks;
  for (const coll::PairTraffic::Pair& pair : traffic.pairs) {
    if (pair.bytes <= 0 || pair.from == pair.to) continue;
    const double size = std::max(1.0, std::round(pair.bytes * kSubBytes));
    ranks[pair.from].outgoing.push_back({pair.to, pair.bytes, static_cast<std::uint64_t>(size)});
    ranks[pair.to].incoming += 1;
  }
  const auto exchange = std::make_shared<PairExchange>();
  exchange->ranks_left = ranks.size();
  exchange->ended = std::move(ended);
  for (auto& [die, rank] : ranks) {
    sg::Actor::create("rank", zone.host(hw::die(die)), [die = die, exchange, r = std::move(rank)] {
      exchange_all(die, r, *exchange);
      if (--exchange->ranks_left == 0) end(*exchange);
    });
  }
  if (ranks.empty()) end(*exchange);
}

}  // namespace cmsim::engine
