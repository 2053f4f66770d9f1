// A platform as a picture (SVG): racks with their nodes and dies, the switches of the scale-up
// plane above them and those of the scale-out plane below, links of one class between two places as
// one line. Meshes and tori are drawn as they lie, dies at their coordinates.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cmsim/hw/platform.hpp"
#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {

/// How busy an exchange keeps the links: shares of its time, of the busiest port at each place.
struct DrawingLoads {
  std::string traffic;  // for the title
  std::string scale = "dies and lines: how much of the time their busiest link works";
  std::vector<double> dies;  // by die, over all classes
  std::map<LinkClass, double> classes;
  std::map<std::pair<LinkClass, VertexId>, double> vertices;  // of their owners
  std::map<std::pair<LinkClass, int>, double> nodes;          // of what a node owns
};

/// With loads, lines and dies have the colour of their load, else lines that of their class.
std::string draw_svg(const Platform& platform, const Topology& topology,
                     const DrawingLoads* loads = nullptr);

}  // namespace cmsim::hw
