// The switches of a drawing: those of a plane and tier in a row, in groups.
#pragma once

#include <string>
#include <vector>

#include "cmsim/hw/platform.hpp"
#include "cmsim/hw/topology.hpp"
#include "svg_canvas.hpp"

namespace cmsim::hw {

inline constexpr double kCell = 12, kCellPitch = 16;  // of a switch
inline constexpr double kCaptionRoom = 22;            // above a row, or the dies

/// Switches of one row that are drawn as one box: a sub-plane, a group of a dragonfly, a leaf.
struct SwitchGroup {
  std::string label;
  std::vector<VertexId> switches;
  Box box;
  std::vector<Box> cells;   // of its switches; empty: too many
  bool with_links = false;  // between them
};

struct SwitchRow {
  Plane plane = Plane::kUb;
  int tier = 0;
  std::vector<SwitchGroup> groups;
  std::size_t switches = 0;
  double arcs = 0;  // height of the links between its groups
};

/// Those of the scale-up and the scale-out plane that are in no node, by plane and tier. Large
/// machines have several sub-planes or leaves in one group.
std::vector<SwitchRow> collect_switch_rows(const Platform& platform, const Topology& topology);

/// Gives the groups their places between `left` and `left + width`; returns the lower end.
double place_row(SwitchRow& row, double left, double width, double y);

}  // namespace cmsim::hw
