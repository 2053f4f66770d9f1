// The networks of a machine, by role.
#pragma once

#include <cstdint>

namespace cmsim::hw {

enum class Plane : std::uint8_t { kUb, kRdma, kVpc };  // scale-up, scale-out, front-end
inline constexpr int kPlanes = 3;
const char* to_string(Plane plane);  // "ub"

}  // namespace cmsim::hw
