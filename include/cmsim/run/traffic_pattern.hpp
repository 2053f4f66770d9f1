// Traffic by name, as a question to a fabric: "dispatch:ep=320,tokens=128", "kv", "pairs:FILE".
//
// Who sends how much to whom, all at once and on the wire alone: no start-up, no cores that issue
// messages (run/collective.hpp has those). Bytes are payload.
#pragma once

#include <functional>
#include <string>
#include <variant>

#include "cmsim/coll/bottleneck.hpp"
#include "cmsim/coll/traffic.hpp"
#include "cmsim/hw/platform.hpp"
#include "cmsim/model/architecture.hpp"

namespace cmsim::run {

struct TrafficPattern {
  std::string description;  // "dispatch of 128 tokens a rank, EP320"
  std::variant<coll::ProductTraffic, coll::EndpointTraffic> traffic;
};

/// For messages.
inline constexpr const char* kTrafficForms =
    "dispatch[:ep=N,tokens=N,skew=X], combine[:...], alltoall[:ep=N,tokens=N], allgather[:...], "
    "kv[:tokens=N,prefill=DIES,decode=DIES,plane=P], cache[:tokens=N,plane=P], pairs:FILE";

/// dispatch, combine, alltoall, allgather: as `cmsim collective` has them; 128 tokens a rank and
/// all dies unless said. kv: every die of the published decode instance gets the KV of a prompt of
/// 4,096 tokens, an equal part from every prefill die. cache: every die reads the KV of such a
/// prompt, an equal part from every CPU. Their planes are those of /deployment unless said. pairs:
/// a CSV file of from,to,bytes. Throws ConfigError. `model` is asked where bytes depend on it.
TrafficPattern read_traffic(const std::string& text, const hw::Platform& platform,
                            const std::function<model::Architecture()>& model);

/// Throws std::invalid_argument where there is no way for some of it.
coll::PortLoads port_loads(const coll::Fabric& fabric, const TrafficPattern& pattern);

}  // namespace cmsim::run
