#include "switch_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <map>

#include "cmsim/hw/analysis.hpp"

namespace cmsim::hw {
namespace {

constexpr std::size_t kMostGroups = 48;  // of a row
constexpr std::size_t kMostCellLines = 8;
constexpr std::size_t kMostCells = 64;  // of a group

/// What a switch is drawn together with, in its row, and what that is called.
std::pair<std::pair<int, int>, std::string> group_of(const Topology& topology, VertexId v,
                                                     const FabricSpec& fabric) {
  const Vertex& vertex = topology.graph()[v];
  if (vertex.name >= 0) return {{vertex.pool, 0}, topology.name_of(v)};
  if (vertex.lane >= 0 && fabric.sub_planes > 1) {
    return {{vertex.pool, vertex.lane}, fmt::format("plane {}", vertex.lane)};
  }
  if (fabric.builder == Builder::kDragonfly) {
    const int group = vertex.index / fabric.routers_per_group;
    return {{vertex.pool - vertex.index % fabric.routers_per_group, 0},
            fmt::format("group {}", group)};
  }
  if (fabric.builder == Builder::kFatTree) {
    if (vertex.tier == 1) return {{vertex.pool, 0}, fmt::format("leaf {}", vertex.index)};
    return {{vertex.pool, 0}, vertex.tier == 2 ? "spines" : "cores"};
  }
  return {{vertex.pool, 0}, "switch"};
}

void merge(SwitchGroup& into, const SwitchGroup& other) {
  into.label = into.label.substr(0, into.label.find(" to ")) + " to " + other.label;
  into.switches.insert(into.switches.end(), other.switches.begin(), other.switches.end());
}

}  // namespace

std::vector<SwitchRow> collect_switch_rows(const Platform& platform, const Topology& topology) {
  const Graph& graph = topology.graph();
  const std::vector<Plane> planes = planes_of_switches(topology);
  std::vector<SwitchRow> rows;
  std::map<std::pair<Plane, int>, std::map<std::pair<int, int>, SwitchGroup>> found;
  for (const VertexId v : boost::make_iterator_range(boost::vertices(graph))) {
    if (graph[v].kind != VertexKind::kSwitch || graph[v].node >= 0) continue;
    if (planes[v] == Plane::kVpc) continue;
    const FabricSpec& fabric =
        planes[v] == Plane::kRdma ? platform.rdma.fabric : platform.ub.fabric;
    const auto [key, label] = group_of(topology, v, fabric);
    SwitchGroup& group = found[{planes[v], graph[v].tier}][key];
    group.label = label;
    group.switches.push_back(v);
  }
  for (auto& [key, groups] : found) {
    SwitchRow row;
    row.plane = key.first;
    row.tier = key.second;
    std::vector<SwitchGroup> list;
    const bool by_pool = groups.size() > kMostGroups;
    int last_pool = -1;
    for (auto& [name, group] : groups) {
      row.switches += group.switches.size();
      if (by_pool && name.first == last_pool) {
        merge(list.back(), group);
      } else {
        list.push_back(std::move(group));
      }
      last_pool = name.first;
    }
    const std::size_t each = (list.size() + kMostGroups - 1) / kMostGroups;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i % each == 0) {
        row.groups.push_back(std::move(list[i]));
      } else {
        merge(row.groups.back(), list[i]);
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

double place_row(SwitchRow& row, double left, double width, double y) {
  y += kCaptionRoom + row.arcs;
  const double slot = width / static_cast<double>(row.groups.size());
  double tallest = 0;
  for (std::size_t g = 0; g < row.groups.size(); ++g) {
    SwitchGroup& group = row.groups[g];
    const bool alone = group.switches.size() == 1 && row.groups.size() <= 4;
    const double links_room = group.with_links ? 22 : 0;
    const double widest = std::max(26.0, slot - 10);
    const auto count = group.switches.size();
    const auto columns =
        std::clamp<std::size_t>(static_cast<std::size_t>((widest - 12) / kCellPitch), 1,
                                std::max<std::size_t>(1, links_room > 0 ? count : (count + 1) / 2));
    const bool with_cells = count <= kMostCells && count <= columns * kMostCellLines;
    const auto lines = with_cells ? (count + columns - 1) / columns : 1;
    double w = static_cast<double>(with_cells ? std::min(columns, count) : 1) * kCellPitch + 8;
    w = std::max(w, std::min(widest, 8 + 6.2 * static_cast<double>(group.label.size())));
    if (alone) w = width * 0.5 / static_cast<double>(row.groups.size());
    const double h = 22 + links_room + static_cast<double>(lines) * kCellPitch + 2;
    group.box = {left + slot * (static_cast<double>(g) + 0.5) - w / 2, y, w, h};
    const double start =
        group.box.centre() - static_cast<double>(std::min(columns, count)) * kCellPitch / 2 + 2;
    for (std::size_t i = 0; with_cells && i < count; ++i) {
      group.cells.push_back({start + static_cast<double>(i % columns) * kCellPitch,
                             y + 20 + links_room + static_cast<double>(i / columns) * kCellPitch,
                             kCell, kCell});
    }
    tallest = std::max(tallest, h);
  }
  return y + tallest;
}

}  // namespace cmsim::hw
