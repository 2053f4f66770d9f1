// The graph of a platform as text for other programs: every vertex and directed link, with its
// name, kind, class and bandwidth (GB/s of one direction).
#pragma once

#include <string>

#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {

inline constexpr std::size_t kMostDotVertices = 5'000;       // what Graphviz can lay out
inline constexpr std::size_t kMostGraphmlLinks = 5'000'000;  // some 150 B each

/// GraphML, as networkx, igraph, Gephi and yEd read it. Throws std::length_error beyond
/// kMostGraphmlLinks.
std::string to_graphml(const Topology& topology);

/// Graphviz; two links of one class and bandwidth that are opposite are one edge with two heads.
/// Throws std::length_error beyond kMostDotVertices.
std::string to_dot(const Topology& topology);

/// The text with what XML reserves written out, and what it cannot hold as "?".
std::string xml_escaped(const std::string& text);

}  // namespace cmsim::hw
