// One SimGrid flow per pair of an exchange: one actor per die, with a mailbox that its peers write
// to. Mailboxes, because SimGrid 3.32 keeps all other flows, those of FlowPool too, in one list
// that it scans whenever one ends: 64 ranks would cost a few per cent more, 144 ranks five times as
// much.
#pragma once

#include <functional>

#include "cmsim/coll/traffic.hpp"
#include "simgrid_zone.hpp"

namespace cmsim::engine {

/// Starts all pairs now; `ended` runs in the last actor and must only queue. At most one at a time.
/// The outcome is failed when a pair has failed; of such a pair nothing counts as delivered.
void start_pair_exchange(SimGridZone& zone, const coll::PairTraffic& traffic, Seconds latency,
                         std::function<void(coll::Outcome)> ended);

}  // namespace cmsim::engine
