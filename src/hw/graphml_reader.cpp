#include "graphml_reader.hpp"

#include <fmt/format.h>

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <charconv>
#include <map>
#include <optional>
#include <sstream>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cmsim/base/input_file.hpp"
#include "cmsim/hw/endpoint.hpp"
#include "xml_places.hpp"

namespace cmsim::hw {
namespace {

using boost::property_tree::ptree;
using nlohmann::json;

constexpr std::size_t kMostBytes = 100'000'000;  // some 600,000 directed links

/// Data of nodes and edges that is read, by "attr.name" of its key.
constexpr const char *kName = "name", *kPlane = "plane", *kClass = "class", *kLane = "lane",
                     *kWeight = "weight", *kBandwidth = "bandwidth_gb_per_s";
constexpr const char* kOfSwitches[] = {"tier", kLane, "node", "index", "pool"};  // whole numbers

struct GraphNode {
  std::string id, name;
  int line = 0;
  json place = json::object();  // of a switch
  bool used = false;
};

class GraphmlReader {
 public:
  GraphmlReader(std::string text, const std::string& file, Plane plane)
      : file_(file), plane_(to_string(plane)), text_(std::move(text)) {}

  ConfigDocument read() {
    const ptree graph = open();
    read_nodes(graph);
    read_edges(graph);
    name_nodes();
    return document();
  }

 private:
  [[noreturn]] void fail(int line, const std::string& message) const {
    throw ConfigError({file_, line, ""}, message);
  }

  /// The one graph of the file.
  ptree open() {
    places_ = xml_places(text_, {"node", "edge", "hyperedge"});
    if (places_.too_deep > 0) fail(places_.too_deep, "elements are nested too deeply");
    std::istringstream stream(text_);
    ptree file;
    try {
      read_xml(stream, file,
               boost::property_tree::xml_parser::trim_whitespace |
                   boost::property_tree::xml_parser::no_comments);
    } catch (const boost::property_tree::xml_parser_error& error) {
      fail(std::max(1, static_cast<int>(error.line())),
           fmt::format("not valid XML: {}", error.message()));
    }
    const auto root = file.get_child_optional("graphml");
    if (!root) fail(1, "expected a <graphml> element, as the outermost");
    if (root->count("graph") != 1) {
      fail(1, fmt::format("found {} graphs, expected one", root->count("graph")));
    }
    for (const auto& [tag, key] : *root) {
      if (tag == "key") keys_[attribute(key, "id")] = attribute(key, "attr.name");
    }
    return root->get_child("graph");
  }

  static std::string attribute(const ptree& element, const char* name) {
    const auto attributes = element.get_child_optional("<xmlattr>");  // dots are part of names
    if (!attributes) return "";
    const auto found = attributes->find(name);
    return found == attributes->not_found() ? "" : found->second.data();
  }

  /// What an element says, by the names of its keys.
  std::map<std::string, std::string> data_of(const ptree& element) const {
    std::map<std::string, std::string> data;
    for (const auto& [tag, child] : element) {
      if (tag != "data") continue;
      const std::string key = attribute(child, "key");
      const auto known = keys_.find(key);
      data[known == keys_.end() || known->second.empty() ? key : known->second] = child.data();
    }
    return data;
  }

  void read_nodes(const ptree& graph) {
    std::size_t count = 0;
    for (const auto& [tag, element] : graph) {
      if (tag == "hyperedge")
        fail(places_.lines["hyperedge"].at(0), "found a hyperedge, a link has two ends");
      if (tag != "node") continue;
      if (count >= places_.lines["node"].size()) fail(1, "nodes cannot be told apart");
      GraphNode node;
      node.line = places_.lines["node"][count++];
      node.id = attribute(element, "id");
      if (node.id.empty()) fail(node.line, "a node without an id");
      if (element.count("graph") > 0) {
        fail(node.line, fmt::format("node \"{}\": a graph inside a node", node.id));
      }
      const auto data = data_of(element);
      const auto name = data.find(kName);
      node.name = name == data.end() || name->second.empty() ? node.id : name->second;
      for (const char* key : kOfSwitches) {
        const auto found = data.find(key);
        if (found == data.end()) continue;
        node.place[key] = whole(node.line, fmt::format("node \"{}\"", node.id), *found);
      }
      if (!by_id_.emplace(node.id, nodes_.size()).second) {
        fail(node.line, fmt::format("node \"{}\" is there already", node.id));
      }
      nodes_.push_back(std::move(node));
    }
  }

  /// Switches of one name, as those of several supernodes, are told apart by their ids.
  void name_nodes() {
    std::map<std::string, int> count;
    const auto counts = [](const GraphNode& node) {
      return node.used || is_endpoint_name(node.name);
    };
    for (const GraphNode& node : nodes_) count[node.name] += counts(node) ? 1 : 0;
    for (GraphNode& node : nodes_) {
      if (!counts(node) || count[node.name] == 1) continue;
      if (is_endpoint_name(node.name)) {
        fail(node.line,
             fmt::format("node \"{}\": another one is called \"{}\" too", node.id, node.name));
      }
      node.name += "#" + node.id;
    }
  }

  std::int64_t whole(int line, const std::string& what,
                     const std::pair<const std::string, std::string>& data) const {
    std::int64_t value = 0;
    const std::string& text = data.second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      fail(line,
           fmt::format("{}: {}: found \"{}\", expected a whole number", what, data.first, text));
    }
    return value;
  }

  std::size_t node_of(int line, const ptree& edge, const char* end) const {
    const std::string id = attribute(edge, end);
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) {
      fail(line, fmt::format("edge from \"{}\" to \"{}\": there is no node \"{}\"",
                             attribute(edge, "source"), attribute(edge, "target"), id));
    }
    return found->second;
  }

  struct Edge {
    std::size_t from = 0, to = 0;
    json value;
    int line = 0;
    bool both_ways = false;
  };

  void read_edges(const ptree& graph) {
    const bool directed = attribute(graph, "edgedefault") != "undirected";
    std::map<std::tuple<std::size_t, std::size_t, std::string>, std::size_t> open;  // one way yet
    std::size_t count = 0;
    for (const auto& [tag, element] : graph) {
      if (tag != "edge") continue;
      if (count >= places_.lines["edge"].size()) fail(1, "edges cannot be told apart");
      const std::optional<Edge> edge = read_edge(element, places_.lines["edge"][count++]);
      if (!edge) continue;
      const std::string own = attribute(element, "directed");
      if (own.empty() ? !directed : own == "false") {
        edges_.push_back(*edge);
        edges_.back().both_ways = true;
        continue;
      }
      const std::string cls = edge->value.value("class", "");
      const auto back = open.find({edge->to, edge->from, cls});
      if (back == open.end()) {
        open[{edge->from, edge->to, cls}] = edges_.size();
        edges_.push_back(*edge);
        continue;
      }
      Edge& there = edges_[back->second];
      if (there.value["bandwidth"] != edge->value["bandwidth"]) {
        fail(edge->line, fmt::format("{}: {} one way and {} back, a link is as wide both ways",
                                     said(*edge), edge->value["bandwidth"].get<std::string>(),
                                     there.value["bandwidth"].get<std::string>()));
      }
      there.both_ways = true;
      open.erase(back);
    }
    for (const Edge& edge : edges_) {
      if (!edge.both_ways) {
        fail(edge.line,
             fmt::format("{}: there is no edge back, a link goes both ways", said(edge)));
      }
    }
  }

  std::string said(const Edge& edge) const {
    return fmt::format("edge from \"{}\" to \"{}\"", nodes_[edge.from].id, nodes_[edge.to].id);
  }

  /// nullopt for one of another plane, or inside a package: the platform has those itself.
  std::optional<Edge> read_edge(const ptree& element, int line) {
    Edge edge;
    edge.line = line;
    edge.from = node_of(line, element, "source");
    edge.to = node_of(line, element, "target");
    const auto data = data_of(element);
    const auto text = [&](const char* key) {
      const auto found = data.find(key);
      return found == data.end() ? std::string() : found->second;
    };
    const std::string plane = text(kPlane), cls = text(kClass);
    if ((!plane.empty() && plane != plane_) || cls == "die_to_die") return std::nullopt;
    const std::string bandwidth = text(kBandwidth);
    if (bandwidth.empty()) {
      fail(line, fmt::format("{}: no {}, a link needs it", said(edge), kBandwidth));
    }
    double number = 0;
    const char* last = bandwidth.data() + bandwidth.size();
    const auto [end, error] = std::from_chars(bandwidth.data(), last, number);
    if (error != std::errc() || end != last) {
      fail(line, fmt::format("{}: {}: found \"{}\", expected a number", said(edge), kBandwidth,
                             bandwidth));
    }
    edge.value = {{"bandwidth", bandwidth + "GB/s"}};
    if (!cls.empty()) edge.value["class"] = cls;
    for (const char* key : {kLane, kWeight}) {
      const auto found = data.find(key);
      if (found != data.end()) edge.value[key] = whole(line, said(edge), *found);
    }
    nodes_[edge.from].used = nodes_[edge.to].used = true;
    return edge;
  }

  ConfigDocument document() const {
    json value{{"edges", json::array()}};
    std::map<std::string, int> lines{{"", 1}, {"/edges", 1}, {"/switches", 1}};
    for (const Edge& edge : edges_) {
      lines[fmt::format("/edges/{}", value["edges"].size())] = edge.line;
      json entry = edge.value;
      entry["from"] = nodes_[edge.from].name;
      entry["to"] = nodes_[edge.to].name;
      value["edges"].push_back(std::move(entry));
    }
    for (const GraphNode& node : nodes_) {
      if (!node.used || node.place.empty() || is_endpoint_name(node.name)) continue;
      json entry = node.place;
      entry[kName] = node.name;
      lines[fmt::format("/switches/{}", value["switches"].size())] = node.line;
      value["switches"].push_back(std::move(entry));
    }
    return ConfigDocument::from_value(std::move(value), file_, lines);
  }

  std::string file_, plane_, text_;
  XmlPlaces places_;
  std::map<std::string, std::string> keys_;
  std::vector<GraphNode> nodes_;
  std::unordered_map<std::string, std::size_t> by_id_;
  std::vector<Edge> edges_;
};

}  // namespace

ConfigDocument read_graphml(const std::filesystem::path& file, Plane plane) {
  return read_graphml_text(read_whole(file, kMostBytes), file.string(), plane);
}

ConfigDocument read_graphml_text(std::string text, const std::string& name, Plane plane) {
  return GraphmlReader(std::move(text), name, plane).read();
}

}  // namespace cmsim::hw
