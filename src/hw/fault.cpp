#include "cmsim/hw/fault.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <charconv>
#include <optional>
#include <sstream>

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

class Reader {
 public:
  Reader(const ConfigNode& node, std::string_view key, const Platform& platform)
      : node_(node), key_(key), platform_(platform) {}

  Fault fault(const std::string& text) const {
    Fault fault;
    fault.text = text;
    const std::size_t colon = text.find(':');
    const std::string kind = text.substr(0, colon);
    const std::string rest = colon == std::string::npos ? "" : text.substr(colon + 1);
    if (kind == "link") {
      const std::size_t dash = rest.find('-');
      if (dash == std::string::npos || dash == 0 || dash + 1 == rest.size()) refuse(text);
      fault.kind = Fault::Kind::kLink;
      fault.from = rest.substr(0, dash);
      fault.to = rest.substr(dash + 1);
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
    const std::string wrong = beyond(fault);
    if (!wrong.empty()) node_.fail(key_, fmt::format("\"{}\": {}", text, wrong));
    return fault;
  }

 private:
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
};

std::vector<std::string> words_of(const ConfigNode& node, const char* key) {
  std::istringstream stream(node.text_or(key, ""));
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

bool touches(const Fault& fault, const Vertex& vertex) {
  const bool is_switch = vertex.kind == VertexKind::kSwitch;
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

std::vector<Fault> read_faults(const ConfigNode& node, const Platform& platform) {
  std::vector<Fault> faults;
  const Reader fail(node, "fail", platform), degrade(node, "degrade", platform);
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
  // A link is known by its ends, which only the graph has.
  const bool has_links = std::ranges::any_of(
      faults, [](const Fault& fault) { return fault.kind == Fault::Kind::kLink; });
  if (!has_links) return faults;
  Platform whole = platform;
  whole.faults.clear();
  const Topology topology(whole);
  for (const Fault& fault : faults) {
    if (fault.kind != Fault::Kind::kLink) continue;
    const auto links = boost::make_iterator_range(boost::edges(topology.graph()));
    const bool found = std::any_of(links.begin(), links.end(), [&](const auto& edge) {
      return topology.name_of(boost::source(edge, topology.graph())) == fault.from &&
             topology.name_of(boost::target(edge, topology.graph())) == fault.to;
    });
    if (!found) {
      node.fail(fault.left > 0 ? "degrade" : "fail",
                fmt::format("\"{}\": there is no link from {} to {}; ends are called e.g. "
                            "\"die:3\", \"cpu:0\", \"l1:12/2\" (node/sub-plane), \"l2:3/5\" "
                            "(sub-plane/chip)",
                            fault.text, fault.from, fault.to));
    }
  }
  return faults;
}

double left_of(std::span<const Fault> faults, const Vertex& from, const Vertex& to,
               std::span<const std::string> switch_names) {
  double left = 1;
  const auto joins = [&](const Vertex& a, const Vertex& b, const Fault& fault) {
    return name_of(a, switch_names) == fault.from && name_of(b, switch_names) == fault.to;
  };
  for (const Fault& fault : faults) {
    const bool hit = fault.kind == Fault::Kind::kLink
                         ? joins(from, to, fault) || joins(to, from, fault)
                         : touches(fault, from) || touches(fault, to);
    if (hit) left *= fault.left;
  }
  return left;
}

std::vector<std::int32_t> whole_dies(const Platform& platform) {
  std::vector<char> whole(static_cast<std::size_t>(platform.npus()), 1);
  if (!platform.faults.empty()) {
    const Topology topology(platform);
    const Graph& graph = topology.graph();
    const auto leads_out = [&](const auto& edge) {
      const LinkClassInfo& cls = topology.classes()[graph[edge].cls];
      return cls.plane == Plane::kUb && cls.name != "die_to_die" &&
             graph[boost::target(edge, graph)].kind != VertexKind::kCpu;
    };
    for (int die = 0; die < platform.dies(); ++die) {
      const auto links =
          boost::make_iterator_range(boost::out_edges(topology.vertex_of(hw::die(die)), graph));
      if (std::none_of(links.begin(), links.end(), leads_out)) {
        whole[static_cast<std::size_t>(die / platform.dies_per_npu)] = 0;
      }
    }
  }
  std::vector<std::int32_t> dies;
  for (int die = 0; die < platform.dies(); ++die) {
    if (whole[static_cast<std::size_t>(die / platform.dies_per_npu)] != 0) dies.push_back(die);
  }
  return dies;
}

std::vector<std::int32_t> whole_cpus(const Platform& platform) {
  std::vector<std::int32_t> cpus;
  std::optional<Topology> topology;
  if (!platform.faults.empty()) topology.emplace(platform);
  for (int cpu = 0; cpu < platform.cpus(); ++cpu) {
    if (!topology || boost::out_degree(topology->vertex_of(hw::cpu(cpu)), topology->graph()) > 0) {
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

}  // namespace cmsim::hw
