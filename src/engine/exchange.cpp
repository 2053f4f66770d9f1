#include "cmsim/engine/exchange.hpp"

#include <algorithm>

namespace cmsim::engine {
namespace {

coll::ExchangeResult result_of(const coll::Fabric& fabric, const coll::PortLoads& loads,
                               Seconds duration) {
  return {duration, loads.latency, coll::busiest_links(fabric, loads, duration)};
}

}  // namespace

LoadedExchange run_exchange(SimGridRuntime& runtime, const coll::PairTraffic& traffic,
                            coll::Network network, std::span<const coll::Transfer> background) {
  const coll::Fabric& fabric = runtime.fabric();
  const coll::PortLoads loads = coll::port_loads(fabric, traffic);
  const Seconds start = runtime.now();
  LoadedExchange result;
  result.background.resize(background.size());
  for (std::size_t i = 0; i < background.size(); ++i) {
    runtime.transfer(background[i],
                     [&, i](const coll::Outcome& end) { result.background[i] = end.at - start; });
  }
  Seconds duration = 0;
  const auto done = [&](const coll::Outcome& end) { duration = end.at - start; };
  switch (network) {
    case coll::Network::kAnalytic:
      duration = coll::analytic_exchange(fabric, loads).duration;
      break;
    case coll::Network::kHose:
      runtime.exchange(loads, done);
      break;
    case coll::Network::kFlow:
      runtime.exchange(traffic, loads.latency, done);
      break;
  }
  runtime.run();
  result.exchange = result_of(fabric, loads, duration);
  return result;
}

coll::ExchangeResult measure_exchange(const coll::Fabric& fabric,
                                      const coll::ProductTraffic& traffic, coll::Network network) {
  if (network == coll::Network::kAnalytic) {
    return coll::analytic_exchange(fabric, coll::port_loads(fabric, traffic));
  }
  RuntimeOptions options;
  if (network == coll::Network::kFlow) options.sharing = Sharing::kFull;
  SimGridRuntime runtime(fabric, options);
  return run_exchange(runtime, coll::expand(traffic), network).exchange;
}

}  // namespace cmsim::engine
