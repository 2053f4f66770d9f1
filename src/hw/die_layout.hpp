// Where the dies, nodes and racks of a platform lie in its drawing.
#pragma once

#include <string>
#include <vector>

#include "cmsim/hw/platform.hpp"
#include "svg_canvas.hpp"

namespace cmsim::hw {

struct DieLayout {
  double width = 0, height = 0;
  double top = 0;
  std::string caption;
  std::vector<Box> supernodes, racks;  // empty: not drawn
  std::vector<Box> nodes;              // empty: they are no rectangles
  std::vector<Box> dies, cpus;         // empty: too many, a node is one box
  std::vector<Box> chip_strips;        // by node: room for its switch chips
  // What cables to the switches start from: nodes one above the other.
  std::vector<Box> columns;
  std::vector<std::size_t> column_of_node;
  // Of a mesh or torus: the dies that differ in the first two dimensions are a block.
  std::vector<Box> blocks;
  std::vector<std::size_t> block_of_die;
  double pitch = 0, block_pitch = 0;  // from one die or block to the next

  void move(double dx, double dy);
  void scale(double factor);

 private:
  std::vector<std::vector<Box>*> all();
};

/// For the switch chips that a node has of its own.
enum class ChipRoom : bool { kNone, kInNodes };
DieLayout lay_out_dies(const Platform& platform, ChipRoom room);

}  // namespace cmsim::hw
