// Parts of a machine that are lost or slow, from the start or from a date on: "plane:3", "l2:3/5",
// "l1:12/2", "node:7", "die:100", "cpu:3", "link:A-B".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"

namespace cmsim::hw {

struct Platform;

struct Fault {
  enum class Kind : std::uint8_t { kPlane, kL2, kL1, kNode, kDie, kCpu, kLink };
  Kind kind = Kind::kPlane;
  int at = 0;                // sub-plane (plane, l2), node (l1, node), die or CPU
  int part = 0;              // chip (l2) or sub-plane (l1)
  std::string from{}, to{};  // ends of a link, as Topology::name_of() calls them
  double left = 0;           // of the bandwidth of every link that it touches
  std::string text{};        // as written
  bool operator==(const Fault&) const = default;
};

bool same_part(const Fault& a, const Fault& b);

/// Reads {"fail": "plane:3 die:100", "degrade": "l2:3/5=50%"}. What the platform does not have is a
/// ConfigError.
std::vector<Fault> read_faults(const ConfigNode& node, const Platform& platform);

/// What faults leave without a link in the scale-up plane; ascending.
struct Lost {
  std::vector<std::int32_t> npus;  // of which a die has no way out
  std::vector<std::int32_t> cpus;
  bool operator==(const Lost&) const = default;
};

/// More faults on top of those that the platform has, and what is lost by all of them.
void add_faults(Platform& platform, std::vector<Fault> faults);

/// " (with /faults applied: plane:3, die:100)" for messages; "" where there are none.
std::string with_faults(const Platform& platform);

/// Dies of NPUs of which no die is lost or without a link in the scale-up plane; in order.
std::vector<std::int32_t> whole_dies(const Platform& platform);
/// CPUs that have a link.
std::vector<std::int32_t> whole_cpus(const Platform& platform);

}  // namespace cmsim::hw
