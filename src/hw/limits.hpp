// Bounds on what a platform file may say, and the readers that know them: they catch slips of the
// pen; the machine of today is far inside them.
#pragma once

#include "cmsim/hw/platform.hpp"

namespace cmsim::hw {

inline constexpr double kLeastBandwidth = 1e6, kMostBandwidth = 1e18;
inline constexpr double kLeastPeak = 1e9, kMostPeak = 1e21;
inline constexpr double kLeastEfficiency = 0.001;  // of anything that is a share of a peak
inline constexpr Seconds kLongestLatency = 1.0;
inline constexpr int kMostSubPlanes = 64;
inline constexpr int kMostPorts = 4096;  // of a switch
inline constexpr int kMostTiers = 8;
inline constexpr int kMostMeshSize = 4096;
inline constexpr std::size_t kMostMeshDimensions = 6;
inline constexpr std::int64_t kMostLinks = 40'000'000;  // one way; the graph takes some 60 B each

inline int read_count(const ConfigNode& node, std::string_view key, int most, int least = 1) {
  return static_cast<int>(node.integer(key, least, most));
}

inline double read_bandwidth(const ConfigNode& node, std::string_view key) {
  return node.quantity(key, Dimension::kBandwidth, kLeastBandwidth, kMostBandwidth);
}

inline double read_efficiency(const ConfigNode& node, std::string_view key) {
  return node.number(key, kLeastEfficiency, 1);
}

inline Seconds read_latency(const ConfigNode& node, std::string_view key) {
  return node.quantity(key, Dimension::kTime, 0, kLongestLatency);
}

}  // namespace cmsim::hw
