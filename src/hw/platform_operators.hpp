// Reads the measured costs of operators and token exchange: /operators and /token_exchange.
#pragma once

#include "cmsim/hw/platform.hpp"

namespace cmsim::hw {

inline constexpr double kLeastEfficiency = 0.001;  // of anything that is a share of a peak

OperatorSpec read_operators(const ConfigNode& node);
TokenExchangeSpec read_token_exchange(const ConfigNode& node);

}  // namespace cmsim::hw
