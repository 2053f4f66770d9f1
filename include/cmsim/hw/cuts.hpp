// The narrowest place between two halves of a machine: a minimum cut, found as a maximum flow.
#pragma once

#include <optional>

#include "cmsim/hw/platform.hpp"
#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {

/// What the dies of the first half of the nodes can send to those of the others, all at once and
/// over any way. Of one unit of the plane (a supernode, a node, all); of a node alone, between the
/// halves of its dies.
struct Bisection {
  BytesPerSecond bandwidth = 0;  // one way
  int nodes = 0;                 // of the unit
  int dies_in_first_half = 0, dies = 0;
};

inline constexpr std::size_t kMostCutLinks = 1'500'000;

/// nullopt when there are no two halves, or more links than kMostCutLinks between them.
std::optional<Bisection> bisection(const Platform& platform, const Topology& topology, Plane plane);

}  // namespace cmsim::hw
