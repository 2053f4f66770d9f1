// Reads what a machine's parts cost: /operators, /token_exchange, /host and /costs.
#pragma once

#include "cmsim/hw/platform.hpp"

namespace cmsim::hw {

OperatorSpec read_operators(const ConfigNode& node);
CostSpec read_costs(const ConfigNode& node);
TokenExchangeSpec read_token_exchange(const ConfigNode& node, const DieSpec& die);
HostSpec read_host(const ConfigNode& node);

}  // namespace cmsim::hw
