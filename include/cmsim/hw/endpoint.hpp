// Names of the places where data can be: a die's HBM, or the DRAM of a Kunpeng CPU.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cmsim::hw {

enum class EndpointKind : std::uint8_t { kDie, kCpu };

/// Index is global: dies 0..767 (16 a node, 2 an NPU), CPUs 0..191 (4 a node) on the default
/// platform.
struct Endpoint {
  EndpointKind kind = EndpointKind::kDie;
  std::int32_t index = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

inline Endpoint die(std::int32_t index) { return {EndpointKind::kDie, index}; }
inline Endpoint cpu(std::int32_t index) { return {EndpointKind::kCpu, index}; }

/// Reads "die:17", "die17", "17" (a die), "cpu:3", "cpu3". Throws std::invalid_argument.
Endpoint parse_endpoint(std::string_view text);
/// Whether a place of a graph with this name is meant to be a die or CPU: "die:...", "cpu:...".
bool is_endpoint_name(std::string_view name);
std::string to_string(Endpoint endpoint);  // "die:17"

}  // namespace cmsim::hw
