#include "cmsim/engine/exchange.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cmsim/base/error.hpp"

namespace cmsim::engine {
namespace {

coll::ExchangeResult result_of(const coll::Fabric& fabric, const coll::PortLoads& loads,
                               Seconds duration) {
  return {duration, loads.latency, coll::busiest_links(fabric, loads, duration)};
}

/// How long it took, where all of it arrived.
Seconds time_of(const char* what, const coll::Outcome& end, Seconds start) {
  if (end.end == coll::Outcome::End::kDone) return end.at - start;
  throw SimulationError(
      fmt::format("{} was cut off after {} B, {:.6g} s from its start: a link of its path was lost",
                  what, end.delivered, end.at - start));
}

}  // namespace

LoadedExchange run_exchange(SimGridRuntime& runtime, const coll::PairTraffic& traffic,
                            coll::Network network, std::span<const coll::Transfer> background) {
  const coll::Fabric& fabric = runtime.fabric();
  const coll::PortLoads loads = coll::port_loads(fabric, traffic);
  const Seconds start = runtime.now();
  LoadedExchange result;
  result.background.resize(background.size());
  std::vector<coll::Outcome> in_background(background.size());
  for (std::size_t i = 0; i < background.size(); ++i) {
    runtime.transfer(background[i], [&, i](const coll::Outcome& end) { in_background[i] = end; });
  }
  coll::Outcome whole;
  const auto done = [&](const coll::Outcome& end) { whole = end; };
  switch (network) {
    case coll::Network::kAnalytic:
      whole.at = start + coll::analytic_exchange(fabric, loads).duration;
      break;
    case coll::Network::kHose:
      runtime.exchange(loads, done);
      break;
    case coll::Network::kFlow:
      runtime.exchange(traffic, loads.latency, done);
      break;
  }
  runtime.run();
  for (std::size_t i = 0; i < background.size(); ++i) {
    result.background[i] = time_of("a transfer beside an exchange", in_background[i], start);
  }
  result.exchange = result_of(fabric, loads, time_of("an exchange", whole, start));
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
