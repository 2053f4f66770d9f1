#include "cmsim/hw/fault.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <charconv>
#include <iterator>
#include <optional>
#include <span>
#include <sstream>
#include <unordered_map>

#include "cmsim/base/units.hpp"
#include "cmsim/hw/topology.hpp"
#include "graph_builder.hpp"

namespace cmsim::hw {
namespace {

constexpr const char* kForms =
    "plane:SUB_PLANE, l2:SUB_PLANE/CHIP, l1:NODE/SUB_PLANE, node:N, die:N, cpu:N or link:A-B";

struct Form {
  const char* name;
  Fault::Kind kind;
};
constexpr Form kFormsOf[] = {{"plane", Fault::Kind::kPlane}, {"l2", Fault::Kind::kL2},
                             {"l1", Fault::Kind::kL1},       {"node", Fault::Kind::kNode},
                             {"die", Fault::Kind::kDie},     {"cpu", Fault::Kind::kCpu}};

std::optional<int> number_of(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// What is wrong with a number of the machine's parts, or "".
std::string out_of(const char* what, int value, int count) {
  if (value < count) return "";
  return fmt::format("found {} {}, there are {} (0 to {})", what, value, count, count - 1);
}

/// Links by the names of their ends, which only the graph has: it is made when one is asked for.
class LinkNames {
 public:
  enum class Found : std::uint8_t { kNothing, kEnds, kLink };

  explicit LinkNames(const Platform& platform) : platform_(platform) {}

  Found find(const std::string& from, const std::string& to) {
    if (!topology_) open();
    Found found = Found::kNothing;
    const auto [first, last] = vertices_.equal_range(from);
    for (auto vertex = first; vertex != last; ++vertex) {
      if (vertices_.contains(to)) found = std::max(found, Found::kEnds);
      for (const auto& edge :
           boost::make_iterator_range(boost::out_edges(vertex->second, topology_->graph()))) {
        if (topology_->name_of(boost::target(edge, topology_->graph())) == to) return Found::kLink;
      }
    }
    return found;
  }

  /// A switch of the scale-up plane that the fault takes away.
  bool has_switch(const Fault& fault);

 private:
  void open() {
    Platform whole = platform_;
    whole.faults.clear();
    topology_.emplace(whole);
    for (const VertexId id : boost::make_iterator_range(boost::vertices(topology_->graph()))) {
      vertices_.emplace(topology_->name_of(id), id);
    }
  }

  const Platform& platform_;
  std::optional<Topology> topology_;
  std::unordered_multimap<std::string, VertexId> vertices_;
};

bool touches(const Fault& fault, const Vertex& vertex, Plane plane);

bool LinkNames::has_switch(const Fault& fault) {
  if (!topology_) open();
  const Graph& graph = topology_->graph();
  const auto edges = boost::make_iterator_range(boost::edges(graph));
  return std::any_of(edges.begin(), edges.end(), [&](const auto& edge) {
    const Plane plane = topology_->classes()[graph[edge].cls].plane;
    return touches(fault, graph[boost::source(edge, graph)], plane) ||
           touches(fault, graph[boost::target(edge, graph)], plane);
  });
}

class Reader {
 public:
  Reader(const ConfigNode& node, std::string_view key, const Platform& platform, LinkNames& links)
      : node_(node), key_(key), platform_(platform), links_(links) {}

  Fault fault(const std::string& text) const {
    Fault fault;
    fault.text = text;
    const std::size_t colon = text.find(':');
    const std::string kind = text.substr(0, colon);
    const std::string rest = colon == std::string::npos ? "" : text.substr(colon + 1);
    if (kind == "link") {
      fault.kind = Fault::Kind::kLink;
      find_link(fault, rest);
      return fault;
    }
    const auto* form =
        std::ranges::find_if(kFormsOf, [&](const Form& f) { return f.name == kind; });
    if (form == std::end(kFormsOf)) refuse(text);
    fault.kind = form->kind;
    const bool has_part = fault.kind == Fault::Kind::kL1 || fault.kind == Fault::Kind::kL2;
    const std::size_t slash = has_part ? rest.find('/') : rest.size();
    const auto at = number_of(std::string_view(rest).substr(0, slash));
    const auto part = !has_part ? std::optional<int>(0)
                      : slash == std::string::npos
                          ? std::nullopt
                          : number_of(std::string_view(rest).substr(slash + 1));
    if (!at || !part) refuse(text);
    fault.at = *at;
    fault.part = *part;
    std::string wrong = beyond(fault);
    const bool is_switch = fault.kind == Fault::Kind::kPlane || has_part;
    if (wrong.empty() && is_switch && !links_.has_switch(fault)) {
      wrong = "the scale-up plane of this platform has no such switch";
    }
    if (!wrong.empty()) node_.fail(key_, fmt::format("\"{}\": {}", text, wrong));
    return fault;
  }

 private:
  /// A name may have dashes itself: of the places to split at, the one that gives a link.
  void find_link(Fault& fault, const std::string& ends) const {
    std::string first_try;
    for (std::size_t dash = ends.find('-'); dash != std::string::npos;
         dash = ends.find('-', dash + 1)) {
      if (dash == 0 || dash + 1 == ends.size()) continue;
      fault.from = ends.substr(0, dash);
      fault.to = ends.substr(dash + 1);
      const LinkNames::Found found = links_.find(fault.from, fault.to);
      if (found == LinkNames::Found::kLink) return;
      if (first_try.empty() || found == LinkNames::Found::kEnds) {
        first_try = fmt::format("no link from {} to {}", fault.from, fault.to);
      }
    }
    if (first_try.empty()) refuse(fault.text);
    node_.fail(key_, fmt::format("\"{}\": there is {}; ends are called e.g. \"die:3\", \"cpu:0\", "
                                 "\"l1:12/2\" (node/sub-plane), \"l2:3/5\" (sub-plane/chip)",
                                 fault.text, first_try));
  }

  std::string beyond(const Fault& fault) const {
    const FabricSpec& fabric = platform_.ub.fabric;
    switch (fault.kind) {
      case Fault::Kind::kPlane:
        return out_of("sub-plane", fault.at, fabric.sub_planes);
      case Fault::Kind::kL2: {
        const std::string plane = out_of("sub-plane", fault.at, fabric.sub_planes);
        return plane.empty() ? out_of("L2 chip", fault.part, fabric.l2_chips_per_plane) : plane;
      }
      case Fault::Kind::kL1: {
        const std::string node = out_of("node", fault.at, platform_.nodes);
        return node.empty() ? out_of("sub-plane", fault.part, fabric.sub_planes) : node;
      }
      case Fault::Kind::kNode:
        return out_of("node", fault.at, platform_.nodes);
      case Fault::Kind::kDie:
        return out_of("die", fault.at, platform_.dies());
      case Fault::Kind::kCpu:
        return out_of("CPU", fault.at, platform_.cpus());
      case Fault::Kind::kLink:
        break;
    }
    return "";
  }

  [[noreturn]] void refuse(const std::string& text) const {
    node_.fail(key_, fmt::format("found \"{}\", allowed are {}", text, kForms));
  }

  const ConfigNode& node_;
  std::string_view key_;
  const Platform& platform_;
  LinkNames& links_;
};

std::vector<std::string> words_of(const ConfigNode& node, const char* key) {
  std::istringstream stream(node.text_or(key, ""));
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/// Sub-planes and their switches are those of UB.
bool touches(const Fault& fault, const Vertex& vertex, Plane plane) {
  const bool is_switch = vertex.kind == VertexKind::kSwitch && plane == Plane::kUb;
  switch (fault.kind) {
    case Fault::Kind::kPlane:
      return is_switch && vertex.lane == fault.at;
    case Fault::Kind::kL2:
      return is_switch && vertex.tier == 2 && vertex.lane == fault.at && vertex.index == fault.part;
    case Fault::Kind::kL1:
      return is_switch && vertex.tier == 1 && vertex.node == fault.at && vertex.lane == fault.part;
    case Fault::Kind::kNode:
      return vertex.node == fault.at;
    case Fault::Kind::kDie:
      return vertex.kind == VertexKind::kDie && vertex.index == fault.at;
    case Fault::Kind::kCpu:
      return vertex.kind == VertexKind::kCpu && vertex.index == fault.at;
    case Fault::Kind::kLink:
      break;
  }
  return false;
}

}  // namespace

bool same_part(const Fault& a, const Fault& b) {
  return a.kind == b.kind && a.at == b.at && a.part == b.part && a.from == b.from && a.to == b.to;
}

std::vector<Fault> read_faults(const ConfigNode& node, const Platform& platform) {
  std::vector<Fault> faults;
  LinkNames links(platform);
  const Reader fail(node, "fail", platform, links), degrade(node, "degrade", platform, links);
  for (const std::string& word : words_of(node, "fail")) faults.push_back(fail.fault(word));
  for (const std::string& word : words_of(node, "degrade")) {
    const std::size_t equals = word.rfind('=');
    double left = -1;
    try {
      if (equals != std::string::npos) {
        left = parse_quantity(word.substr(equals + 1), Dimension::kNumber);
      }
    } catch (const UnitError&) {
    }
    if (!(left > 0 && left < 1)) {
      node.fail("degrade", fmt::format("found \"{}\", expected what is left, over 0 and below 1: "
                                       "\"plane:3=50%\"",
                                       word));
    }
    faults.push_back(degrade.fault(word.substr(0, equals)));
    faults.back().left = left;
    faults.back().text = word;
  }
  node.close();
  return faults;
}

double left_of(std::span<const Fault> faults, const Vertex& from, const Vertex& to, Plane plane,
               std::span<const std::string> switch_names) {
  double left = 1;
  const auto joins = [&](const Vertex& a, const Vertex& b, const Fault& fault) {
    return name_of(a, switch_names) == fault.from && name_of(b, switch_names) == fault.to;
  };
  for (const Fault& fault : faults) {
    const bool hit = fault.kind == Fault::Kind::kLink
                         ? joins(from, to, fault) || joins(to, from, fault)
                         : touches(fault, from, plane) || touches(fault, to, plane);
    if (hit) left *= fault.left;
  }
  return left;
}

namespace {

/// Whether a die can reach more by the scale-up plane than its package and its CPU.
bool has_way_out(const Topology& topology, VertexId die) {
  const Graph& graph = topology.graph();
  const auto links = boost::make_iterator_range(boost::out_edges(die, graph));
  return std::any_of(links.begin(), links.end(), [&](const auto& edge) {
    const LinkClassInfo& cls = topology.classes()[graph[edge].cls];
    return cls.plane == Plane::kUb && cls.name != "die_to_die" &&
           graph[boost::target(edge, graph)].kind != VertexKind::kCpu;
  });
}

Lost lost_in(const Platform& platform) {
  Lost lost;
  if (platform.faults.empty()) return lost;
  const Topology topology(platform);
  for (int die = 0; die < platform.dies(); ++die) {
    if (has_way_out(topology, topology.vertex_of(hw::die(die)))) continue;
    const int npu = die / platform.dies_per_npu;
    if (lost.npus.empty() || lost.npus.back() != npu) lost.npus.push_back(npu);
  }
  for (int cpu = 0; cpu < platform.cpus(); ++cpu) {
    if (boost::out_degree(topology.vertex_of(hw::cpu(cpu)), topology.graph()) == 0) {
      lost.cpus.push_back(cpu);
    }
  }
  return lost;
}

/// The numbers below `count` that are not in `lost`.
std::vector<std::int32_t> without(std::span<const std::int32_t> lost, std::int32_t count) {
  std::vector<std::int32_t> kept;
  for (std::int32_t i = 0; i < count; ++i) {
    if (!lost.empty() && lost.front() == i) {
      lost = lost.subspan(1);
    } else {
      kept.push_back(i);
    }
  }
  return kept;
}

}  // namespace

void add_faults(Platform& platform, std::vector<Fault> faults) {
  if (faults.empty()) return;
  platform.faults.insert(platform.faults.end(), std::make_move_iterator(faults.begin()),
                         std::make_move_iterator(faults.end()));
  platform.lost = lost_in(platform);
}

std::string with_faults(const Platform& platform) {
  constexpr std::size_t kMostNamed = 4;
  const std::vector<Fault>& faults = platform.faults;
  if (faults.empty()) return "";
  std::string names;
  for (std::size_t i = 0; i < std::min(faults.size(), kMostNamed); ++i) {
    names += (i > 0 ? ", " : "") + faults[i].text;
  }
  if (faults.size() > kMostNamed) names += fmt::format(" and {} more", faults.size() - kMostNamed);
  return fmt::format(" (with /faults applied: {})", names);
}

std::vector<std::int32_t> whole_dies(const Platform& platform) {
  std::vector<std::int32_t> dies;
  for (const std::int32_t npu : without(platform.lost.npus, platform.npus())) {
    for (int i = 0; i < platform.dies_per_npu; ++i) dies.push_back(npu * platform.dies_per_npu + i);
  }
  return dies;
}

std::vector<std::int32_t> whole_cpus(const Platform& platform) {
  return without(platform.lost.cpus, platform.cpus());
}

}  // namespace cmsim::hw
