// One transfer alone on the machine, as a microbenchmark would see it (P Table 1).
#pragma once

#include "cmsim/coll/runtime.hpp"
#include "cmsim/hw/platform.hpp"

namespace cmsim::engine {

struct P2pResult {
  Seconds seconds = 0;           // of the whole transfer
  BytesPerSecond bandwidth = 0;  // bytes / seconds
  Seconds latency = 0;           // of the same transfer with 512 bytes
};

/// `from` initiates: a read brings `bytes` from `to` to `from`, a write sends them there. Runs on
/// SimGrid. Throws std::invalid_argument for endpoints that the platform has not, SimulationError
/// where the transfer is cut off.
P2pResult measure_p2p(const hw::Platform& platform, hw::Endpoint from, hw::Endpoint to, Bytes bytes,
                      coll::Op op, coll::Plane plane = coll::Plane::kUb);

}  // namespace cmsim::engine
