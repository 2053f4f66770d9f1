#include "die_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cmsim::hw {
namespace {

constexpr int kMostDieCells = 6144;
constexpr int kMostColumns = 48, kUsualColumns = 16;
constexpr double kDie = 12, kInPackage = 1, kBetweenPackages = 5;
constexpr double kPad = 4;
constexpr double kStrip = 8;      // of switch chips, and of CPUs
constexpr double kRackHead = 12;  // room for its name
constexpr double kGap = 10;       // between racks
constexpr double kSupernodePad = 12, kBetweenSupernodes = 26;

int ceil_div(int a, int b) { return (a + b - 1) / b; }

/// Nodes in racks in supernodes.
class NestedLayout {
 public:
  NestedLayout(const Platform& platform, ChipRoom room)
      : p_(platform),
        with_dies_(platform.dies() <= kMostDieCells),
        strip_(room == ChipRoom::kInNodes ? kStrip + kPad : 0) {
    measure_node();
    measure_rack();
    const int racks = ceil_div(p_.nodes_per_supernode(), p_.nodes_per_rack);
    columns_ = std::clamp(kMostColumns / p_.supernodes, 1,
                          std::min(with_dies_ ? kUsualColumns : kMostColumns, racks));
    columns_ = ceil_div(racks, ceil_div(racks, columns_));
    rows_ = ceil_div(racks, columns_);
  }

  DieLayout lay_out() {
    out_.caption = p_.nodes_per_rack > 1 ? "racks and their nodes" : "nodes";
    if (!with_dies_) out_.caption += fmt::format(", each of {} dies", p_.dies_per_node());
    out_.column_of_node.assign(static_cast<std::size_t>(p_.nodes), 0);
    const double w = columns_ * (rack_w_ + kGap) - kGap + 2 * kSupernodePad;
    const double h = rows_ * (rack_h_ + kGap) - kGap + 2 * kSupernodePad;
    for (int s = 0; s < p_.supernodes; ++s) {
      const Box box{s * (w + kBetweenSupernodes), 0, w, h};
      if (p_.supernodes > 1 || p_.nodes > 1) out_.supernodes.push_back(box);
      lay_supernode(s, box);
    }
    out_.width = p_.supernodes * (w + kBetweenSupernodes) - kBetweenSupernodes;
    out_.height = h;
    return std::move(out_);
  }

 private:
  void measure_node() {
    if (!with_dies_) {
      node_w_ = 26;
      node_h_ = 12;
      return;
    }
    package_ = p_.dies_per_npu * (kDie + kInPackage) - kInPackage;
    in_a_row_ = static_cast<int>(std::ceil(std::sqrt(2.0 * p_.npus_per_node)));
    in_a_row_ = std::min(in_a_row_, p_.npus_per_node);
    while (p_.npus_per_node % in_a_row_ != 0) ++in_a_row_;
    const int rows = ceil_div(p_.npus_per_node, in_a_row_);
    node_w_ = in_a_row_ * (package_ + kBetweenPackages) - kBetweenPackages + 2 * kPad;
    dies_h_ = rows * (kDie + kBetweenPackages) - kBetweenPackages;
    node_h_ = 2 * kPad + strip_ + dies_h_ + (p_.cpus_per_node > 0 ? kPad + kStrip : 0);
  }

  void measure_rack() {
    const bool boxed = p_.nodes_per_rack > 1;
    node_columns_ = ceil_div(p_.nodes_per_rack, 8);
    const int rows = ceil_div(p_.nodes_per_rack, node_columns_);
    const double pad = boxed ? kPad : 0;
    head_ = boxed ? kRackHead : 0;
    rack_w_ = node_columns_ * (node_w_ + kPad) - kPad + 2 * pad;
    rack_h_ = head_ + rows * (node_h_ + kPad) - kPad + 2 * pad;
  }

  void lay_supernode(int supernode, const Box& frame) {
    const int nodes = p_.nodes_per_supernode();
    const int racks = ceil_div(nodes, p_.nodes_per_rack);
    const std::size_t first_column = out_.columns.size();
    for (int c = 0; c < columns_; ++c) {
      out_.columns.push_back(
          {frame.x + kSupernodePad + c * (rack_w_ + kGap), frame.y, rack_w_, frame.h});
    }
    for (int r = 0; r < racks; ++r) {
      const Box rack{frame.x + kSupernodePad + r % columns_ * (rack_w_ + kGap),
                     frame.y + kSupernodePad + r / columns_ * (rack_h_ + kGap), rack_w_, rack_h_};
      if (p_.nodes_per_rack > 1) out_.racks.push_back(rack);
      for (int i = 0; i < p_.nodes_per_rack; ++i) {
        const int in_supernode = r * p_.nodes_per_rack + i;
        if (in_supernode >= nodes) break;
        const int node = supernode * nodes + in_supernode;
        out_.column_of_node[static_cast<std::size_t>(node)] =
            first_column + static_cast<std::size_t>(r % columns_);
        const double pad = p_.nodes_per_rack > 1 ? kPad : 0;
        lay_node({rack.x + pad + i % node_columns_ * (node_w_ + kPad),
                  rack.y + head_ + pad + i / node_columns_ * (node_h_ + kPad), node_w_, node_h_});
      }
    }
  }

  void lay_node(const Box& box) {
    out_.nodes.push_back(box);
    if (!with_dies_) return;
    if (strip_ > 0) {
      out_.chip_strips.push_back({box.x + kPad, box.y + kPad, box.w - 2 * kPad, kStrip});
    }
    const double top = box.y + kPad + strip_;
    for (int npu = 0; npu < p_.npus_per_node; ++npu) {
      for (int d = 0; d < p_.dies_per_npu; ++d) {
        out_.dies.push_back({box.x + kPad + npu % in_a_row_ * (package_ + kBetweenPackages) +
                                 d * (kDie + kInPackage),
                             top + npu / in_a_row_ * (kDie + kBetweenPackages), kDie, kDie});
      }
    }
    const int cpus = p_.cpus_per_node;
    const double each = cpus > 0 ? std::min(30.0, (box.w - 2 * kPad) / cpus) : 0;
    for (int i = 0; i < cpus; ++i) {
      out_.cpus.push_back(
          {box.centre() + (i - cpus / 2.0) * each + 1, top + dies_h_ + kPad, each - 2, kStrip});
    }
  }

  const Platform& p_;
  bool with_dies_;
  double strip_;  // what the chips take of a node's height
  DieLayout out_;
  double package_ = 0, dies_h_ = 0, node_w_ = 0, node_h_ = 0, rack_w_ = 0, rack_h_ = 0, head_ = 0;
  int in_a_row_ = 1, node_columns_ = 1, columns_ = 1, rows_ = 1;
};

/// Dies at their coordinates: the first two dimensions across and down, the others as blocks.
class GridLayout {
 public:
  explicit GridLayout(const Platform& platform) : p_(platform) {
    for (const MeshDimension& dimension : p_.ub.fabric.dimensions) sizes_.push_back(dimension.size);
    if (sizes_.size() % 2 == 1) sizes_.push_back(1);
    for (std::size_t d = 2; d < sizes_.size(); d += 2) {
      across_ *= sizes_[d];
      down_ *= sizes_[d + 1];
    }
    const int widest = std::max(sizes_[0] * across_, 1);
    pitch_ = std::clamp(2400.0 / widest, 10.0, across_ * down_ > 1 ? 36.0 : 64.0);
    cell_ = std::max(6.0, pitch_ * 0.42);
    block_w_ = (sizes_[0] - 1) * pitch_ + cell_;
    block_h_ = (sizes_[1] - 1) * pitch_ + cell_;
    block_gap_ = across_ * down_ > 1 ? 64 : 0;
    per_unit_ = p_.nodes_in(p_.ub.fabric.scope) * p_.dies_per_node();
  }

  DieLayout lay_out() {
    const int units = ceil_div(p_.dies(), per_unit_);
    const int in_a_row = static_cast<int>(std::ceil(std::sqrt(units)));
    const double room = std::max(pitch_, block_gap_);  // for bows at the edges
    const double unit_w = across_ * (block_w_ + block_gap_) - block_gap_ + 2 * room;
    const double unit_h = down_ * (block_h_ + block_gap_) - block_gap_ + 2 * room;
    for (int unit = 0; unit < units; ++unit) {
      const Box box{unit % in_a_row * (unit_w + kBetweenSupernodes),
                    unit / in_a_row * (unit_h + kBetweenSupernodes), unit_w, unit_h};
      out_.supernodes.push_back(box);
      lay_unit(unit, box.x + room, box.y + room);
      out_.columns.push_back(box);
    }
    for (int node = 0; node < p_.nodes; ++node) {
      out_.column_of_node.push_back(
          static_cast<std::size_t>(node * p_.dies_per_node() / per_unit_));
    }
    box_nodes();
    out_.width = in_a_row * (unit_w + kBetweenSupernodes) - kBetweenSupernodes;
    out_.height = ceil_div(units, in_a_row) * (unit_h + kBetweenSupernodes) - kBetweenSupernodes;
    out_.pitch = pitch_;
    out_.block_pitch = std::max(block_w_, block_h_) + block_gap_;
    out_.caption = "dies at their coordinates, those of a node framed";
    if (out_.nodes.empty()) out_.caption = "dies at their coordinates";
    return std::move(out_);
  }

 private:
  void lay_unit(int unit, double left, double top) {
    const std::size_t first_block = out_.blocks.size();
    for (int b = 0; b < across_ * down_; ++b) {
      out_.blocks.push_back({left + b % across_ * (block_w_ + block_gap_),
                             top + b / across_ * (block_h_ + block_gap_), block_w_, block_h_});
    }
    for (int i = 0; i < per_unit_ && unit * per_unit_ + i < p_.dies(); ++i) {
      int rest = i / (sizes_[0] * sizes_[1]);
      int x = 0, y = 0, stride_x = 1, stride_y = 1;
      for (std::size_t d = 2; d < sizes_.size(); d += 2) {
        x += rest % sizes_[d] * stride_x;
        rest /= sizes_[d];
        y += rest % sizes_[d + 1] * stride_y;
        rest /= sizes_[d + 1];
        stride_x *= sizes_[d];
        stride_y *= sizes_[d + 1];
      }
      const std::size_t block = first_block + static_cast<std::size_t>(y * across_ + x);
      const Box& at = out_.blocks[block];
      out_.block_of_die.push_back(block);
      out_.dies.push_back(
          {at.x + i % sizes_[0] * pitch_, at.y + i / sizes_[0] % sizes_[1] * pitch_, cell_, cell_});
    }
  }

  /// Frames around the dies of each node where these fill a rectangle.
  void box_nodes() {
    const int each = p_.dies_per_node();
    for (int node = 0; node < p_.nodes; ++node) {
      const auto first = static_cast<std::size_t>(node * each);
      Box box = out_.dies[first];
      for (std::size_t d = first; d < first + static_cast<std::size_t>(each); ++d) {
        box = hull(box, out_.dies[d]);
      }
      const double places =
          std::round((box.w - cell_) / pitch_ + 1) * std::round((box.h - cell_) / pitch_ + 1);
      if (places != each) {
        out_.nodes.clear();
        return;
      }
      out_.nodes.push_back(grown(box, (pitch_ - cell_) * 0.22));
    }
  }

  const Platform& p_;
  std::vector<int> sizes_;
  int across_ = 1, down_ = 1, per_unit_ = 1;
  double pitch_ = 0, cell_ = 0, block_w_ = 0, block_h_ = 0, block_gap_ = 0;
  DieLayout out_;
};

}  // namespace

std::vector<std::vector<Box>*> DieLayout::all() {
  return {&supernodes, &racks, &nodes, &dies, &cpus, &chip_strips, &columns, &blocks};
}

void DieLayout::move(double dx, double dy) {
  for (auto* boxes : all()) {
    for (Box& box : *boxes) {
      box.x += dx;
      box.y += dy;
    }
  }
  top += dy;
}

void DieLayout::scale(double factor) {
  for (auto* boxes : all()) {
    for (Box& box : *boxes) {
      box = {box.x * factor, box.y * factor, box.w * factor, box.h * factor};
    }
  }
  for (double* length : {&width, &height, &pitch, &block_pitch}) *length *= factor;
}

DieLayout lay_out_dies(const Platform& platform, ChipRoom room) {
  const Builder builder = platform.ub.fabric.builder;
  const bool direct = builder == Builder::kFullMesh || builder == Builder::kTorus;
  return direct ? GridLayout(platform).lay_out() : NestedLayout(platform, room).lay_out();
}

}  // namespace cmsim::hw
