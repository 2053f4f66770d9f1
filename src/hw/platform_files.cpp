#include "cmsim/hw/platform_files.hpp"

#include <fmt/format.h>

#include <array>
#include <span>

#include "cmsim/hw/fabric_spec.hpp"
#include "cmsim/hw/plane.hpp"
#include "graphml_reader.hpp"

namespace cmsim::hw {
namespace {

namespace fs = std::filesystem;

struct GraphPlace {
  const char* fabric;  // below the platform
  Plane plane;
};
constexpr std::array kGraphs{GraphPlace{"/ub/fabric", Plane::kUb},
                             GraphPlace{"/ub/inside_node", Plane::kUb},
                             GraphPlace{"/rdma/fabric", Plane::kRdma}};
constexpr const char *kDevice = "/device", *kFile = "/file";

void anchor(ConfigDocument& document, const std::string& pointer, const fs::path& directory) {
  const std::string named = document.text_at(pointer);
  if (named.empty()) return;
  document.replace_text(pointer, (directory / named).lexically_normal().string());
}

void check_device(const ConfigDocument& device) {
  const ConfigNode root(device);
  root.text("name");
  for (const char* key : {"dies_per_npu", "die", "operators", "token_exchange"}) root.ignore(key);
  root.close();
}

void include_device(ConfigDocument& document, const std::string& platform) {
  const std::string pointer = platform + kDevice;
  if (document.text_at(pointer).empty()) return;
  ConfigDocument device = document.open_named(pointer, ConfigDocument::from_file);
  check_device(device);
  device.erase("/name");
  document.underlay(platform, device, document.layer(pointer));
  document.erase(pointer);
}

void include_graph(ConfigDocument& document, const std::string& fabric, Plane plane) {
  const std::string pointer = fabric + kFile;
  if (document.text_at(pointer).empty()) return;
  if (document.has(fabric + "/edges")) {
    throw ConfigError(document.location(pointer), "has no place beside edges");
  }
  const ConfigDocument graph = document.open_named(
      pointer, [&](const std::string& file) { return read_graphml(file, plane); });
  document.underlay(fabric, graph, document.layer(pointer));
  document.erase(pointer);
}

}  // namespace

void anchor_files(ConfigDocument& document, const std::string& platform,
                  const fs::path& directory) {
  anchor(document, platform + kDevice, directory);
  for (const GraphPlace& place : kGraphs) {
    anchor(document, platform + place.fabric + kFile, directory);
  }
}

void include_files(ConfigDocument& document, const std::string& platform) {
  include_device(document, platform);
  for (const GraphPlace& place : kGraphs) {
    include_graph(document, platform + place.fabric, place.plane);
  }
}

void retire_keys_beside_builders(ConfigDocument& document, const std::string& platform) {
  const auto retire = [&](const std::string& plane, std::span<const char* const> keys) {
    const std::string fabric = platform + plane + "/fabric";
    if (!document.has(fabric)) return;
    const int decided = document.layer(fabric + "/builder");
    for (const char* key : keys) {
      const std::string pointer = platform + plane + "/" + key;
      if (!document.has(pointer)) continue;
      if (document.layer(pointer) >= decided) {
        throw ConfigError(
            document.location(pointer),
            fmt::format("has no effect while {} names a builder, it belongs in there", fabric));
      }
      document.erase(pointer);
    }
  };
  constexpr const char* kOfOneSwitch[] = {"bandwidth_per_die"};
  retire("/ub", kClosKeys);
  retire("/rdma", kOfOneSwitch);
}

ConfigDocument open_platform(const fs::path& file) {
  ConfigDocument document = ConfigDocument::from_file(file);
  anchor_files(document, "", file.parent_path());
  include_files(document, "");
  return document;
}

}  // namespace cmsim::hw
