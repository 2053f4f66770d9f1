// Graphs of other programs as the list of edges of a platform file (docs/fabrics.md).
#pragma once

#include <filesystem>
#include <string>

#include "cmsim/base/config.hpp"
#include "cmsim/hw/plane.hpp"

namespace cmsim::hw {

/// The links of one plane in a GraphML file, as {"edges": [...], "switches": [...]} whose parts
/// know their lines. Throws ConfigError that names the file, the line, and the node or edge.
ConfigDocument read_graphml(const std::filesystem::path& file, Plane plane);
/// `name` stands for the file in messages.
ConfigDocument read_graphml_text(std::string text, const std::string& name, Plane plane);

}  // namespace cmsim::hw
