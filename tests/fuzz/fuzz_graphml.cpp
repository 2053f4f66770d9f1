// Any bytes are a list of edges with their lines, or a ConfigError that names one; so is the
// platform of four dies that they join, whose fabric carries something.
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fabric_checks.hpp"
#include "formats.hpp"
#include "hw/graphml_reader.hpp"

namespace {

using cmsim::ConfigDocument;
using cmsim::fuzz::require;
namespace hw = cmsim::hw;

ConfigDocument small_platform() {
  cmsim::fuzz::json platform = cmsim::fuzz::shipped_platform();
  platform.merge_patch({{"nodes", 1}, {"npus_per_node", 2}, {"cpus_per_node", 1}});
  platform["ub"]["fabric"] = {{"builder", "edges"}};
  return ConfigDocument::from_text(platform.dump(), "platform.json");
}

void check_list(const ConfigDocument& graph) {
  for (std::size_t i = 0; i < graph.value().at("edges").size(); ++i) {
    const cmsim::SourceLocation place = graph.location("/edges/" + std::to_string(i));
    require(place.line > 0 && place.file == "fuzz.graphml", "an edge knows its line");
    for (const char* key : {"from", "to", "bandwidth"}) {
      require(graph.value()["edges"][i].at(key).is_string(), "an edge has ends and a bandwidth");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ConfigDocument kPlatform = small_platform();
  try {
    const ConfigDocument graph = hw::read_graphml_text(
        std::string(cmsim::fuzz::text_of(data, size)), "fuzz.graphml", hw::Plane::kUb);
    check_list(graph);
    ConfigDocument platform = kPlatform;
    platform.underlay("/ub/fabric", graph, 0);
    cmsim::fuzz::check_fabric(hw::read_platform(cmsim::ConfigNode(platform)));
  } catch (const cmsim::ConfigError& error) {
    cmsim::fuzz::check_message(error);
    require(error.where().line > 0, "a message names a line");
  } catch (const std::invalid_argument& error) {  // a graph need not join the CPUs
    require(std::string_view(error.what()).starts_with("no route from cpu:0 "), error.what());
  }
  return 0;
}
