// One SimGrid flow per pair of an exchange, started by one actor per sending die. Actors, because
// SimGrid 3.32 scans the list of its starter's flows whenever one ends: maestro's would hold them
// all.
#pragma once

#include <functional>

#include "cmsim/coll/traffic.hpp"
#include "simgrid_zone.hpp"

namespace cmsim::engine {

/// Starts all pairs now; `done` runs in the last actor and must only queue. At most one at a time.
void start_pair_exchange(SimGridZone& zone, const coll::PairTraffic& traffic, Seconds latency,
                         std::function<void()> done);

}  // namespace cmsim::engine
