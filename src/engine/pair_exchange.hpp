// One SimGrid flow per pair of an exchange: one actor per die, with a mailbox that its peers write
// to. Mailboxes, because SimGrid 3.32 keeps all other flows in one list that it scans whenever one
// ends.
#pragma once

#include <functional>

#include "cmsim/coll/traffic.hpp"
#include "simgrid_zone.hpp"

namespace cmsim::engine {

/// Starts all pairs now; `done` runs in the last actor and must only queue. At most one at a time.
void start_pair_exchange(SimGridZone& zone, const coll::PairTraffic& traffic, Seconds latency,
                         std::function<void()> done);

}  // namespace cmsim::engine
