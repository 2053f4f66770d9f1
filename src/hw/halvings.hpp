// The orders of the dies of a unit by which a fabric is naturally cut in two: by each dimension of
// a mesh or torus, by the groups of a dragonfly and the routers in them, by the leaves (and so
// pods) of a fat tree and its rails, by the switches of a list of edges, and always by number.
#pragma once

#include <string>
#include <vector>

#include "cmsim/hw/platform.hpp"
#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {

struct Halving {
  std::string by;
  std::vector<VertexId> order;  // the first half of the dies, then the others
};

/// Of the unit of the plane that begins with `first_die`; no two have the same first half.
std::vector<Halving> halvings(const Platform& platform, const Topology& topology, Plane plane,
                              int first_die, int dies);

}  // namespace cmsim::hw
