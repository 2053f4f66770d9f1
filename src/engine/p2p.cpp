#include "cmsim/engine/p2p.hpp"

#include "cmsim/base/error.hpp"
#include "cmsim/engine/runtime.hpp"

namespace cmsim::engine {
namespace {

constexpr Bytes kLatencyProbe = 512;  // the size at which P Table 1 states latencies

Seconds time_alone(SimGridRuntime& runtime, const coll::Transfer& transfer) {
  const Seconds start = runtime.now();
  coll::Outcome outcome{.at = start};
  runtime.transfer(transfer, [&](const coll::Outcome& end) { outcome = end; });
  runtime.run();
  if (outcome.end != coll::Outcome::End::kDone) throw SimulationError("a transfer was cut off");
  return outcome.at - start;
}

}  // namespace

P2pResult measure_p2p(const hw::Platform& platform, hw::Endpoint from, hw::Endpoint to, Bytes bytes,
                      coll::Op op, coll::Plane plane) {
  SimGridRuntime runtime(platform);
  coll::Transfer transfer{from, to, kLatencyProbe, plane, op};
  P2pResult result;
  result.latency = time_alone(runtime, transfer);
  transfer.bytes = bytes;
  result.seconds = time_alone(runtime, transfer);
  result.bandwidth = result.seconds > 0 ? static_cast<double>(bytes) / result.seconds : 0;
  return result;
}

}  // namespace cmsim::engine
