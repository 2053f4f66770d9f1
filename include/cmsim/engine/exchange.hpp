// A collective exchange on any rung of the fidelity ladder, with other transfers beside it.
//
// Fabric time only: what the cores spend on issuing messages comes on top (model/). The analytic
// rung sees no background. CPU of a call at 320 dies: analytic 0.2 ms, hose 10 ms, flow 10 s when
// all pairs are alike and minutes when they are not.
#pragma once

#include <span>

#include "cmsim/coll/analytic.hpp"
#include "cmsim/engine/runtime.hpp"

namespace cmsim::engine {

struct LoadedExchange {
  coll::ExchangeResult exchange;
  std::vector<Seconds> background;  // duration of each background transfer, in order
};

/// Runs the exchange and the background transfers, all started at once, on a runtime that is idle.
/// Throws SimulationError where one of them is cut off.
LoadedExchange run_exchange(SimGridRuntime& runtime, const coll::PairTraffic& traffic,
                            coll::Network network, std::span<const coll::Transfer> background = {});

/// One exchange alone on the idle fabric; makes a runtime only for the rungs that need one.
coll::ExchangeResult measure_exchange(const coll::Fabric& fabric,
                                      const coll::ProductTraffic& traffic, coll::Network network);

}  // namespace cmsim::engine
