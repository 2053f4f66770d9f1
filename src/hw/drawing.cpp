#include "cmsim/hw/drawing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <cmath>
#include <set>
#include <tuple>

#include "cmsim/hw/analysis.hpp"
#include "die_layout.hpp"
#include "svg_canvas.hpp"
#include "switch_rows.hpp"

namespace cmsim::hw {
namespace {

constexpr double kMargin = 36;
constexpr double kNarrowest = 1240;  // the whole drawing
// A small machine is enlarged, to no more than this height and so many times.
constexpr double kTallest = 620, kMostScaled = 2.2;
constexpr double kTierGap = 130;  // for the cables between two rows
constexpr double kLegendRow = 20;
constexpr double kTextPitch = 5.9;  // of a letter of the legend, on average
constexpr double kAside = 5;        // between cables of two classes
constexpr std::size_t kMostInnerLinks = 600;
constexpr const char* kInk = "#33475b";
constexpr const char* kFaint = "#c3ced9";
constexpr const char* kDieFill = "#cfe2f5";
constexpr const char* kCpuFill = "#f8d9a8";
constexpr const char* kSwitchFill = "#d9d0ee";
constexpr const char* kFrameFill = "#f6f8fa";

std::string grouped_count(std::int64_t count) {
  std::string text = std::to_string(count);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

std::string in_words(std::int64_t count, const std::string& one) {
  const char* ending = count == 1 ? "" : one.ends_with("ch") ? "es" : "s";
  return grouped_count(count) + " " + one + ending;
}

std::string bandwidth_text(double value) { return format_quantity(value, Dimension::kBandwidth); }

/// One end of a bundle of links: a column of dies and nodes, or a group.
struct Place {
  enum Kind : std::uint8_t { kColumn, kGroup };
  Kind kind = kColumn;
  std::size_t row = 0, index = 0;
  auto key() const { return std::tuple(kind, row, index); }
  bool operator<(const Place& other) const { return key() < other.key(); }
  bool operator==(const Place& other) const { return key() == other.key(); }
};

struct Bundle {
  int links = 0;  // one way
  double bandwidth = 0;
  double load = 0;
};

class Drawing {
 public:
  Drawing(const Platform& platform, const Topology& topology, const DrawingLoads* loads)
      : platform_(platform),
        topology_(topology),
        graph_(topology.graph()),
        loads_(loads),
        rows_(collect_switch_rows(platform, topology)),
        layout_(lay_out_dies(platform, chip_room())) {
    locate_groups();
    collect_bundles();
  }

  std::string text() {
    place_everything();
    draw_title();
    draw_bundles();
    draw_dies();
    draw_die_links();
    draw_rows();
    const double bottom = draw_legend();
    return canvas_.document(width_, bottom + kMargin);
  }

 private:
  bool is_switch(VertexId v) const { return graph_[v].kind == VertexKind::kSwitch; }
  bool in_a_node(VertexId v) const { return graph_[v].node >= 0; }
  // --- what there is -------------------------------------------------------------------------

  void locate_groups() {
    group_at_.assign(boost::num_vertices(graph_), {});
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      for (std::size_t g = 0; g < rows_[r].groups.size(); ++g) {
        for (const VertexId v : rows_[r].groups[g].switches) group_at_[v] = {Place::kGroup, r, g};
      }
    }
  }

  Place place_of(VertexId v) const {
    if (is_switch(v) && !in_a_node(v)) return group_at_[v];
    return {Place::kColumn, 0, layout_.column_of_node[static_cast<std::size_t>(graph_[v].node)]};
  }

  void collect_bundles() {
    for (const auto& edge : boost::make_iterator_range(boost::edges(graph_))) {
      const Link& link = graph_[edge];
      if (topology_.classes()[link.cls].plane == Plane::kVpc) continue;
      const VertexId from = boost::source(edge, graph_), to = boost::target(edge, graph_);
      const Place a = place_of(from), b = place_of(to);
      if (a.kind == Place::kColumn && b.kind == Place::kColumn) {  // see draw_die_links
        if (graph_[from].node == graph_[to].node) in_nodes_.insert(link.cls);
        continue;
      }
      drawn_.insert(link.cls);
      if (a == b) {
        rows_[a.row].groups[a.index].with_links = true;
        if (from < to) inner_links_[a].push_back({from, to, link.cls});
        continue;
      }
      if (b < a) continue;  // the way back
      Bundle& bundle = bundles_[{a, b, link.cls}];
      ++bundle.links;
      bundle.bandwidth += link.bandwidth;
      bundle.load = std::max({bundle.load, load_at(link.cls, from), load_at(link.cls, to)});
    }
    for (const auto& [key, bundle] : bundles_) {
      const auto& [a, b, cls] = key;
      if (a.kind == Place::kGroup && a.row == b.row) {
        rows_[a.row].arcs = 90;
      }
    }
  }

  double load_at(LinkClass cls, VertexId v) const {
    if (loads_ == nullptr) return 0;
    const auto own = loads_->vertices.find({cls, v});
    if (own != loads_->vertices.end()) return own->second;
    const auto of_node = loads_->nodes.find({cls, graph_[v].node});
    return of_node == loads_->nodes.end() ? 0 : of_node->second;
  }

  // --- where it goes -------------------------------------------------------------------------

  void place_everything() {
    width_ = std::max(kNarrowest, layout_.width + 2 * kMargin);
    const double wider = kNarrowest - 2 * kMargin;
    layout_.scale(std::clamp(std::min(0.85 * wider / layout_.width, kTallest / layout_.height), 1.0,
                             kMostScaled));
    double y = 92;
    // The scale-up plane from its top, the dies, the scale-out plane downwards.
    std::vector<std::size_t> above, below;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      (rows_[r].plane == Plane::kUb ? above : below).push_back(r);
    }
    for (auto r = above.rbegin(); r != above.rend(); ++r) {
      y = place_row(rows_[*r], kMargin, width_ - 2 * kMargin, y) + kTierGap;
    }
    if (above.empty()) y += kCaptionRoom;
    layout_.move((width_ - layout_.width) / 2, y);
    y += layout_.height;
    for (const std::size_t r : below) {
      y = place_row(rows_[r], kMargin, width_ - 2 * kMargin, y + kTierGap);
    }
    bottom_ = y + 28;
  }

  // --- how it looks --------------------------------------------------------------------------

  std::string colour_of(LinkClass cls, double load) const {
    return loads_ != nullptr ? load_colour(load) : class_colour(cls);
  }

  void draw_title() {
    canvas_.text(kMargin, 40, 22, platform_.name, Anchor::kStart, Weight::kBold);
    std::string counts =
        fmt::format("{}, {}, {}, {} in {}, {}", in_words(platform_.npus(), "NPU"),
                    in_words(platform_.dies(), "die"), in_words(platform_.cpus(), "CPU"),
                    in_words(platform_.nodes, "node"), in_words(platform_.supernodes, "supernode"),
                    in_words(topology_.count(VertexKind::kSwitch), "switch"));
    canvas_.text(kMargin, 62, 14, counts);
    if (loads_ != nullptr) canvas_.text(kMargin, 82, 14, "Load of " + loads_->traffic);
  }

  std::string tooltip(LinkClass cls, const Bundle& bundle) const {
    std::string text =
        fmt::format("{}: {} of {} together", topology_.classes()[cls].name,
                    in_words(bundle.links, "link"), bandwidth_text(bundle.bandwidth));
    if (loads_ != nullptr) text += fmt::format(", busy {:.0f} %", 100 * bundle.load);
    return text;
  }

  Box box_of(const Place& place) const {
    return place.kind == Place::kGroup ? rows_[place.row].groups[place.index].box
                                       : layout_.columns[place.index];
  }

  /// Where on a box the cable to another one starts: cables fan out by where they lead.
  static double fan(const Box& box, double towards, double leftmost, double rightmost) {
    const double share = (towards - leftmost) / std::max(1.0, rightmost - leftmost);
    return box.x + box.w * (0.12 + 0.76 * std::clamp(share, 0.0, 1.0));
  }

  void draw_bundles() {
    double widest = 0;
    for (const auto& [key, bundle] : bundles_) widest = std::max(widest, bundle.bandwidth);
    const bool crowded = bundles_.size() > 60;
    const double thickest = crowded ? 1.4 : 3.2;
    const double opacity = bundles_.size() > 400 ? 0.4 : crowded ? 0.65 : 0.75;
    std::vector<std::pair<double, decltype(bundles_)::iterator>> order;
    for (auto it = bundles_.begin(); it != bundles_.end(); ++it) {
      order.emplace_back(loads_ != nullptr ? it->second.load : 0, it);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [load, it] : order) {
      const auto& [a, b, cls] = it->first;
      const Bundle& bundle = it->second;
      const Stroke stroke{colour_of(cls, bundle.load),
                          0.8 + thickest * std::sqrt(bundle.bandwidth / widest), opacity};
      const Box from = box_of(a), to = box_of(b);
      // Classes that join the same two places lie side by side.
      const double aside = kAside * static_cast<double>(std::distance(
                                        bundles_.lower_bound({a, b, LinkClass{0}}), it));
      if (a.kind == Place::kGroup && a.row == b.row) {
        const Box &left = from.x < to.x ? from : to, &right = from.x < to.x ? to : from;
        const double span = (right.centre() - left.centre()) / (width_ - 2 * kMargin);
        canvas_.bow(fan(left, right.centre(), kMargin, width_ - kMargin) + aside, left.y,
                    fan(right, left.centre(), kMargin, width_ - kMargin) + aside, right.y,
                    14 + 70 * span, stroke, tooltip(cls, bundle));
        continue;
      }
      const bool to_is_above = to.y < from.y;
      const Box &low = to_is_above ? from : to, &high = to_is_above ? to : from;
      canvas_.cable(fan(low, high.centre(), kMargin, width_ - kMargin) + aside, low.y,
                    fan(high, low.centre(), kMargin, width_ - kMargin) + aside, high.bottom(),
                    stroke, tooltip(cls, bundle));
    }
  }

  void draw_dies() {
    const auto outline = [](const char* colour, double width) { return Stroke{colour, width}; };
    for (const Box& box : layout_.supernodes) {
      canvas_.rectangle(box, "#ffffff", outline(kInk, 1.2), 6);
    }
    for (std::size_t i = 0; i < layout_.racks.size(); ++i) {
      const Box& box = layout_.racks[i];
      canvas_.rectangle(box, kFrameFill, outline("#8496a8", 1), 4, fmt::format("rack {}", i));
      if (box.w > 40) canvas_.text(box.x + 4, box.y + 10, 9, fmt::format("rack {}", i));
    }
    for (std::size_t i = 0; i < layout_.nodes.size(); ++i) {
      const Box& box = layout_.nodes[i];
      const double busiest = busiest_die(i);
      const bool heat = layout_.dies.empty() && loads_ != nullptr;
      canvas_.rectangle(box,
                        heat                   ? load_colour(busiest)
                        : layout_.dies.empty() ? kDieFill
                                               : "#ffffff",
                        outline(kFaint, 0.8), 2, fmt::format("node {}", i));
    }
    for (std::size_t i = 0; i < layout_.dies.size(); ++i) {
      const bool loaded = loads_ != nullptr && i < loads_->dies.size();
      canvas_.rectangle(layout_.dies[i], loaded ? load_colour(loads_->dies[i]) : kDieFill,
                        outline("#7d95ad", 0.6), 1,
                        loaded ? fmt::format("die:{}, busy {:.0f} %", i, 100 * loads_->dies[i])
                               : fmt::format("die:{}", i));
    }
    for (std::size_t i = 0; i < layout_.cpus.size(); ++i) {
      canvas_.rectangle(layout_.cpus[i], kCpuFill, outline("#b98d45", 0.6), 1,
                        fmt::format("cpu:{}", i));
    }
    draw_chips_of_nodes();
  }

  double busiest_die(std::size_t node) const {
    if (loads_ == nullptr || loads_->dies.empty()) return 0;
    const auto each = static_cast<std::size_t>(platform_.dies_per_node());
    double busiest = 0;
    for (std::size_t d = node * each; d < (node + 1) * each; ++d) {
      busiest = std::max(busiest, loads_->dies[d]);
    }
    return busiest;
  }

  ChipRoom chip_room() const {
    const auto [begin, end] = boost::vertices(graph_);
    const bool any =
        std::any_of(begin, end, [&](VertexId v) { return is_switch(v) && in_a_node(v); });
    return any ? ChipRoom::kInNodes : ChipRoom::kNone;
  }

  void draw_chips_of_nodes() {
    if (layout_.chip_strips.empty()) return;
    std::map<int, std::vector<VertexId>> chips;
    for (const VertexId v : boost::make_iterator_range(boost::vertices(graph_))) {
      if (is_switch(v) && in_a_node(v)) chips[graph_[v].node].push_back(v);
    }
    for (const auto& [node, list] : chips) {
      const Box& strip = layout_.chip_strips[static_cast<std::size_t>(node)];
      const double each = std::min(strip.w / static_cast<double>(list.size()), 24.0);
      const double start = strip.centre() - each * static_cast<double>(list.size()) / 2;
      for (std::size_t i = 0; i < list.size(); ++i) {
        canvas_.rectangle({start + static_cast<double>(i) * each + 1, strip.y, each - 2, strip.h},
                          kSwitchFill, {"#7a68ad", 0.6}, 1, topology_.name_of(list[i]));
      }
    }
  }

  /// Links from die to die where dies lie at their coordinates: each inside a block, bundles
  /// between blocks.
  void draw_die_links() {
    if (layout_.blocks.empty()) return;
    std::map<std::tuple<std::size_t, std::size_t, LinkClass>, Bundle> between;
    for (const auto& edge : boost::make_iterator_range(boost::edges(graph_))) {
      const VertexId from = boost::source(edge, graph_), to = boost::target(edge, graph_);
      if (graph_[from].kind != VertexKind::kDie || graph_[to].kind != VertexKind::kDie) continue;
      if (from > to) continue;
      const Link& link = graph_[edge];
      const double load = std::max(load_at(link.cls, from), load_at(link.cls, to));
      const std::size_t a = layout_.block_of_die[from], b = layout_.block_of_die[to];
      drawn_.insert(link.cls);
      if (a != b) {
        Bundle& bundle = between[{std::min(a, b), std::max(a, b), link.cls}];
        ++bundle.links;
        bundle.bandwidth += link.bandwidth;
        bundle.load = std::max(bundle.load, load);
        continue;
      }
      const bool crowded = platform_.dies() > 256;
      draw_between(layout_.dies[from], layout_.dies[to], layout_.pitch,
                   {colour_of(link.cls, load), crowded ? 0.6 : 1.1, crowded ? 0.45 : 0.75}, "");
    }
    for (const auto& [key, bundle] : between) {
      const auto& [a, b, cls] = key;
      draw_between(layout_.blocks[a], layout_.blocks[b], layout_.block_pitch,
                   {colour_of(cls, bundle.load), 3, 0.6}, tooltip(cls, bundle));
    }
  }

  /// A straight line between neighbours, else a bow over what lies between them.
  void draw_between(const Box& a, const Box& b, double pitch, const Stroke& stroke,
                    const std::string& tip) {
    const double dx = b.centre() - a.centre(), dy = b.middle() - a.middle();
    const double distance = std::hypot(dx, dy);
    const bool across = std::abs(dx) >= std::abs(dy);
    if (distance < 1.5 * std::max(pitch, across ? a.w : a.h)) {
      if (across) {
        canvas_.bow(dx > 0 ? a.right() : a.x, a.middle(), dx > 0 ? b.x : b.right(), b.middle(), 0,
                    stroke, tip);
      } else {
        canvas_.bow(a.centre(), dy > 0 ? a.bottom() : a.y, b.centre(), dy > 0 ? b.y : b.bottom(), 0,
                    stroke, tip);
      }
      return;
    }
    const double free = pitch - (across ? a.h : a.w);
    const double steps = distance / std::max(pitch, 1.0);
    const double bulge = free * std::min(0.92, 0.3 + 0.1 * steps);
    if (across) {
      const Box &left = dx > 0 ? a : b, &right = dx > 0 ? b : a;
      canvas_.bow(left.centre(), left.y, right.centre(), right.y, bulge, stroke, tip);
    } else {
      const Box &top = dy > 0 ? a : b, &low = dy > 0 ? b : a;
      canvas_.bow(top.right(), top.middle(), low.right(), low.middle(), bulge, stroke, tip);
    }
  }

  void draw_rows() {
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      const SwitchRow& row = rows_[r];
      for (std::size_t g = 0; g < row.groups.size(); ++g) {
        const SwitchGroup& group = row.groups[g];
        canvas_.rectangle(
            group.box, kFrameFill, {kInk, 1}, 4,
            fmt::format("{}: {}", group.label, in_words(std::ssize(group.switches), "switch")));
        if (6.2 * static_cast<double>(group.label.size()) < group.box.w + 6) {
          canvas_.text(group.box.centre(), group.box.y + 14, 11, group.label, Anchor::kMiddle);
        }
        if (group.cells.empty()) {
          canvas_.text(group.box.centre(), group.box.bottom() - 6, 10,
                       in_words(std::ssize(group.switches), "switch"), Anchor::kMiddle);
        }
        draw_inner_links({Place::kGroup, r, g});
        for (std::size_t i = 0; i < group.cells.size(); ++i) {
          canvas_.rectangle(group.cells[i], kSwitchFill, {"#7a68ad", 0.7}, 1,
                            topology_.name_of(group.switches[i]));
        }
      }
      const double label_y = row.groups.front().box.y - row.arcs - 8;
      canvas_.text(
          kMargin, label_y, 12,
          fmt::format("{} plane, tier {}: {}", row.plane == Plane::kUb ? "scale-up" : "scale-out",
                      row.tier, in_words(static_cast<std::int64_t>(row.switches), "switch")),
          Anchor::kStart, Weight::kBold);
    }
    const bool dies_apart = !layout_.columns.empty();
    if (dies_apart) {
      const Box all = {kMargin, layout_.top, width_ - 2 * kMargin, layout_.height};
      canvas_.text(kMargin, all.y - 8, 12, layout_.caption, Anchor::kStart, Weight::kBold);
    }
  }

  void draw_inner_links(const Place& place) {
    const auto found = inner_links_.find(place);
    const SwitchGroup& group = rows_[place.row].groups[place.index];
    if (found == inner_links_.end() || group.cells.empty()) return;
    if (found->second.size() > kMostInnerLinks) return;
    const auto cell_of = [&](VertexId v) {
      const auto at = std::ranges::find(group.switches, v) - group.switches.begin();
      return group.cells[static_cast<std::size_t>(at)];
    };
    for (const auto& [from, to, cls] : found->second) {
      const Box a = cell_of(from), b = cell_of(to);
      const Box &left = a.x < b.x ? a : b, &right = a.x < b.x ? b : a;
      const double steps = (right.x - left.x) / kCellPitch;
      canvas_.bow(left.centre(), left.y, right.centre(), right.y, std::min(20.0, 3 + 2.2 * steps),
                  {colour_of(cls, std::max(load_at(cls, from), load_at(cls, to))), 1, 0.8});
    }
  }

  double draw_legend() {
    double y = bottom_ + 10;
    canvas_.rectangle({kMargin, y, width_ - 2 * kMargin, 0.5}, kFaint, {kFaint, 0.5});
    y += 24;
    struct Sample {
      const char* fill;
      const char* name;
      bool shown;
    };
    double x = kMargin;
    for (const Sample& sample :
         {Sample{kDieFill, layout_.dies.empty() ? "node" : "die", loads_ == nullptr},
          Sample{kCpuFill, "CPU", !layout_.cpus.empty()},
          Sample{
              kSwitchFill,
              !layout_.chip_strips.empty() ? "switch chip (the small ones: in a node)" : "switch",
              true}}) {
      if (!sample.shown) continue;
      canvas_.rectangle({x, y - 11, 13, 13}, sample.fill, {kInk, 0.6}, 1);
      canvas_.text(x + 19, y, 12, sample.name);
      x += 40 + 7.2 * static_cast<double>(std::string(sample.name).size());
    }
    if (loads_ != nullptr) draw_load_scale(x, y);
    y += loads_ != nullptr ? 38 : 26;
    const std::vector<ClassSummary> classes = summarise_classes(topology_);
    const std::size_t lines = (classes.size() + 1) / 2;
    for (std::size_t i = 0; i < classes.size(); ++i) {
      const double left = kMargin + (i < lines ? 0 : (width_ - 2 * kMargin) / 2);
      draw_class(classes[i], left, y + static_cast<double>(i % lines) * kLegendRow);
    }
    return y + static_cast<double>(lines) * kLegendRow;
  }

  void draw_load_scale(double x, double y) {
    canvas_.text(x, y, 12, loads_->scale);
    x += 12 + kTextPitch * static_cast<double>(loads_->scale.size());
    constexpr int kSteps = 40;
    for (int i = 0; i < kSteps; ++i) {
      const std::string colour = load_colour((i + 0.5) / kSteps);
      canvas_.rectangle({x + i * 5.0, y - 11, 5, 13}, colour, {colour, 0.5});
    }
    canvas_.text(x, y + 15, 10, "0 %", Anchor::kMiddle);
    canvas_.text(x + kSteps * 2.5, y + 15, 10, "50 %", Anchor::kMiddle);
    canvas_.text(x + kSteps * 5.0, y + 15, 10, "100 %", Anchor::kMiddle);
  }

  void draw_class(const ClassSummary& cls, double x, double y) {
    const bool drawn = drawn_.contains(cls.cls);
    double load = 0;
    if (loads_ != nullptr) {
      const auto found = loads_->classes.find(cls.cls);
      if (found != loads_->classes.end()) load = found->second;
    }
    if (drawn) {
      const std::string colour = colour_of(cls.cls, load);
      canvas_.rectangle({x, y - 7, 26, 5}, colour, {colour, 0.5}, 2);
    }
    const std::string width = cls.least == cls.most
                                  ? bandwidth_text(cls.most)
                                  : bandwidth_text(cls.least) + " to " + bandwidth_text(cls.most);
    std::string text =
        fmt::format("{}: {} links of {}, one way", cls.name, grouped_count(cls.links), width);
    if (loads_ != nullptr) text += fmt::format(", busy {:.0f} %", 100 * load);
    if (!drawn) text += in_nodes_.contains(cls.cls) ? " (inside nodes)" : " (not drawn)";
    canvas_.text(x + 34, y, 12, text);
  }

  const Platform& platform_;
  const Topology& topology_;
  const Graph& graph_;
  const DrawingLoads* loads_;
  std::vector<SwitchRow> rows_;
  DieLayout layout_;
  std::vector<Place> group_at_;
  std::map<std::tuple<Place, Place, LinkClass>, Bundle> bundles_;
  std::map<Place, std::vector<std::tuple<VertexId, VertexId, LinkClass>>> inner_links_;
  std::set<LinkClass> drawn_, in_nodes_;
  SvgCanvas canvas_;
  double width_ = 0, bottom_ = 0;
};

}  // namespace

std::string draw_svg(const Platform& platform, const Topology& topology,
                     const DrawingLoads* loads) {
  return Drawing(platform, topology, loads).text();
}

}  // namespace cmsim::hw
