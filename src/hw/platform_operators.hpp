// Reads the measured costs of operators and token exchange: /operators and /token_exchange.
#pragma once

#include "cmsim/hw/platform.hpp"

namespace cmsim::hw {

OperatorSpec read_operators(const ConfigNode& node);
CostSpec read_costs(const ConfigNode& node);
TokenExchangeSpec read_token_exchange(const ConfigNode& node);

}  // namespace cmsim::hw
