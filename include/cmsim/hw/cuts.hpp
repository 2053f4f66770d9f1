// The narrowest place between two halves of a machine: a minimum cut, found as a maximum flow.
#pragma once

#include <optional>
#include <string>

#include "cmsim/hw/platform.hpp"
#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {

inline constexpr const char* kByNumber = "number";

/// What the dies of one half of a unit of the plane (a supernode, a node, all) can send to those of
/// the other, all at once and over any way; dies that the faults leave unused send and get nothing.
/// The least over the units and over the halvings that the builder suggests (see halvings.hpp).
struct Bisection {
  BytesPerSecond bandwidth = 0;   // one way
  std::string halves;             // what the least halving goes by: "dimension 1"
  int first_node = 0, nodes = 0;  // of its unit
  int dies_in_first_half = 0, dies = 0;
};

inline constexpr std::size_t kMostCutLinks = 1'500'000;

/// nullopt when there are no two halves, or more links than kMostCutLinks between them.
std::optional<Bisection> bisection(const Platform& platform, const Topology& topology, Plane plane);

}  // namespace cmsim::hw
