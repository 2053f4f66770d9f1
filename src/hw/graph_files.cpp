#include "cmsim/hw/graph_files.hpp"

#include <fmt/format.h>

#include <boost/range/iterator_range.hpp>
#include <iterator>
#include <map>
#include <stdexcept>
#include <tuple>

#include "cmsim/hw/analysis.hpp"

namespace cmsim::hw {
namespace {

constexpr double kGiga = 1e9;

const char* kind_of(const Vertex& vertex) {
  switch (vertex.kind) {
    case VertexKind::kDie:
      return "die";
    case VertexKind::kCpu:
      return "cpu";
    case VertexKind::kSwitch:
      return "switch";
    case VertexKind::kCard:
      return "card";
  }
  return "";
}

std::string dot_quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return quoted + "\"";
}

void refuse_beyond(std::size_t most, std::size_t found, const char* what) {
  if (found <= most) return;
  throw std::length_error(fmt::format("{} {}, allowed are at most {}", found, what, most));
}

}  // namespace

std::string xml_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return escaped;
}

std::string to_graphml(const Topology& topology) {
  const Graph& graph = topology.graph();
  refuse_beyond(kMostGraphmlLinks, boost::num_edges(graph), "directed links");
  std::string text =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n"
      "  <key id=\"name\" for=\"node\" attr.name=\"name\" attr.type=\"string\"/>\n"
      "  <key id=\"kind\" for=\"node\" attr.name=\"kind\" attr.type=\"string\"/>\n"
      "  <key id=\"node\" for=\"node\" attr.name=\"node\" attr.type=\"int\"/>\n"
      "  <key id=\"tier\" for=\"node\" attr.name=\"tier\" attr.type=\"int\"/>\n"
      "  <key id=\"lane\" for=\"node\" attr.name=\"lane\" attr.type=\"int\"/>\n"
      "  <key id=\"index\" for=\"node\" attr.name=\"index\" attr.type=\"int\"/>\n"
      "  <key id=\"pool\" for=\"node\" attr.name=\"pool\" attr.type=\"int\"/>\n"
      "  <key id=\"sub_plane\" for=\"edge\" attr.name=\"lane\" attr.type=\"int\"/>\n"
      "  <key id=\"weight\" for=\"edge\" attr.name=\"weight\" attr.type=\"int\"/>\n"
      "  <key id=\"class\" for=\"edge\" attr.name=\"class\" attr.type=\"string\"/>\n"
      "  <key id=\"plane\" for=\"edge\" attr.name=\"plane\" attr.type=\"string\"/>\n"
      "  <key id=\"bandwidth\" for=\"edge\" attr.name=\"bandwidth_gb_per_s\" "
      "attr.type=\"double\"/>\n"
      "  <graph edgedefault=\"directed\">\n";
  const auto out = std::back_inserter(text);
  for (const VertexId id : boost::make_iterator_range(boost::vertices(graph))) {
    const Vertex& vertex = graph[id];
    fmt::format_to(out,
                   "    <node id=\"n{}\"><data key=\"name\">{}</data><data key=\"kind\">{}</data>",
                   id, xml_escaped(topology.name_of(id)), kind_of(vertex));
    if (vertex.node >= 0) fmt::format_to(out, "<data key=\"node\">{}</data>", vertex.node);
    if (vertex.kind == VertexKind::kSwitch) {
      fmt::format_to(out,
                     "<data key=\"tier\">{}</data><data key=\"index\">{}</data>"
                     "<data key=\"pool\">{}</data>",
                     vertex.tier, vertex.index, vertex.pool);
    }
    if (vertex.lane >= 0) fmt::format_to(out, "<data key=\"lane\">{}</data>", vertex.lane);
    text += "</node>\n";
  }
  for (const auto& edge : boost::make_iterator_range(boost::edges(graph))) {
    const LinkClassInfo& cls = topology.classes()[graph[edge].cls];
    fmt::format_to(out,
                   "    <edge source=\"n{}\" target=\"n{}\"><data key=\"class\">{}</data>"
                   "<data key=\"plane\">{}</data><data key=\"bandwidth\">{}</data>",
                   boost::source(edge, graph), boost::target(edge, graph), xml_escaped(cls.name),
                   to_string(cls.plane), graph[edge].bandwidth / kGiga);
    const Link& link = graph[edge];
    if (link.lane >= 0) fmt::format_to(out, "<data key=\"sub_plane\">{}</data>", link.lane);
    if (link.weight > 1) fmt::format_to(out, "<data key=\"weight\">{}</data>", link.weight);
    text += "</edge>\n";
  }
  return text + "  </graph>\n</graphml>\n";
}

std::string to_dot(const Topology& topology) {
  const Graph& graph = topology.graph();
  refuse_beyond(kMostDotVertices, boost::num_vertices(graph), "vertices");
  std::string text = "digraph fabric {\n  rankdir=BT;\n";
  const auto out = std::back_inserter(text);
  for (const VertexId id : boost::make_iterator_range(boost::vertices(graph))) {
    const bool is_switch = graph[id].kind == VertexKind::kSwitch;
    fmt::format_to(out, "  n{} [label={}, kind={}, shape={}];\n", id,
                   dot_quoted(topology.name_of(id)), kind_of(graph[id]),
                   is_switch ? "box" : "ellipse");
  }
  // How many links of a class and bandwidth lead from one vertex to another.
  std::map<std::tuple<VertexId, VertexId, LinkClass, double>, int> links;
  for (const auto& edge : boost::make_iterator_range(boost::edges(graph))) {
    const Link& link = graph[edge];
    ++links[{boost::source(edge, graph), boost::target(edge, graph), link.cls, link.bandwidth}];
  }
  for (auto& [key, count] : links) {
    const auto& [from, to, cls, bandwidth] = key;
    const auto back = links.find({to, from, cls, bandwidth});
    for (; count > 0; --count) {
      const bool both = back != links.end() && back->second > 0 && from != to;
      if (both) --back->second;
      fmt::format_to(out, "  n{} -> n{} [class={}, gb_per_s={}{}];\n", from, to,
                     dot_quoted(topology.classes()[cls].name), bandwidth / kGiga,
                     both ? ", dir=both" : "");
    }
  }
  return text + "}\n";
}

}  // namespace cmsim::hw
