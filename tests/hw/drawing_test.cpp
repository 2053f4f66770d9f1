#include "cmsim/hw/drawing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "cmsim/hw/graph_files.hpp"
#include "tests/hw/machines.hpp"
#include "tests/hw/small_machines.hpp"

namespace cmsim::hw {
namespace {

int occurrences(const std::string& text, const std::string& word) {
  int count = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

Platform supernode_in_racks(int nodes_per_rack) {
  Platform platform = cloudmatrix();
  platform.nodes_per_rack = nodes_per_rack;
  return platform;
}

TEST(Drawing, HasEveryDieAndOneLineForALinkClassBetweenTwoPlaces) {
  const Platform platform = supernode_in_racks(4);
  const std::string svg = draw_svg(platform, Topology(platform));
  EXPECT_EQ(occurrences(svg, "<title>die:"), 768);
  EXPECT_EQ(occurrences(svg, "<title>cpu:"), 192);
  EXPECT_EQ(occurrences(svg, "<title>rack "), 12);
  // Twelve racks and seven sub-planes; a rack has four nodes of 16 links into each.
  EXPECT_EQ(occurrences(svg, "<title>uplink: 64 links of 1.792 TB/s together"), 12 * 7);
  EXPECT_EQ(occurrences(svg, "<title>rdma: 64 links"), 12);
  EXPECT_NE(svg.find(">uplink: 10,752 links of 28 GB/s, one way<"), std::string::npos);
}

TEST(Drawing, ShowsLoads) {
  const Platform platform = supernode_in_racks(4);
  const Topology topology(platform);
  DrawingLoads loads;
  loads.traffic = "a test";
  loads.dies.assign(768, 0);
  loads.dies[5] = 0.5;
  for (LinkClass cls = 0; cls < topology.classes().size(); ++cls) {
    if (topology.classes()[cls].name == "uplink") loads.nodes[{cls, 3}] = 0.75;
  }
  const std::string svg = draw_svg(platform, topology, &loads);
  EXPECT_NE(svg.find("die:5, busy 50 %"), std::string::npos);
  // Node 3 is in the first rack: its lines to the seven sub-planes.
  EXPECT_EQ(occurrences(svg, "together, busy 75 %"), 7);
  EXPECT_NE(svg.find("Load of a test"), std::string::npos);
}

// The left margin has the title, what the loads are of, and the captions.
TEST(Drawing, OfAMeshHasItsCaptionsBelowEachOther) {
  const Platform platform = of_small_nodes(4, full_mesh({4, 4}, "minimal"));
  DrawingLoads loads;
  loads.traffic = "a test";
  const std::string svg = draw_svg(platform, Topology(platform), &loads);
  const std::string mark = "<text x=\"36.0\" y=\"";
  std::vector<double> heights;
  for (auto at = svg.find(mark); at != std::string::npos; at = svg.find(mark, at + 1)) {
    heights.push_back(std::stod(svg.substr(at + mark.size())));
  }
  std::ranges::sort(heights);
  ASSERT_EQ(heights.size(), 5u);
  for (std::size_t i = 1; i < heights.size(); ++i) EXPECT_GE(heights[i] - heights[i - 1], 14);
}

TEST(Drawing, OfAHugeMachineHasNodesInPlaceOfDies) {
  Platform platform = cloudmatrix();
  platform.supernodes = 10;
  platform.nodes = 10 * 48;
  const std::string svg = draw_svg(platform, Topology(platform));
  EXPECT_EQ(occurrences(svg, "<title>die:"), 0);
  EXPECT_EQ(occurrences(svg, "<title>node "), 480);
}

TEST(GraphFiles, HaveEveryVertexAndLink) {
  const Topology topology(cloudmatrix());
  const std::string graphml = to_graphml(topology);
  EXPECT_EQ(occurrences(graphml, "<node id="),
            static_cast<int>(boost::num_vertices(topology.graph())));
  EXPECT_EQ(occurrences(graphml, "<edge source="),
            static_cast<int>(boost::num_edges(topology.graph())));
  const std::string dot = to_dot(topology);
  // Every link has its way back but those of the VPC cards, whose ways out and in are apart.
  const int one_way = topology.count("vpc") + topology.count("pcie");
  const int both_ways = (static_cast<int>(boost::num_edges(topology.graph())) - one_way) / 2;
  EXPECT_EQ(occurrences(dot, " -> "), both_ways + one_way);
  EXPECT_EQ(occurrences(dot, "dir=both"), both_ways);
}

TEST(GraphFiles, RefuseWhatIsTooLarge) {
  Platform platform = cloudmatrix();
  platform.supernodes = 4;
  platform.nodes = 4 * 48;
  EXPECT_THROW(to_dot(Topology(platform)), std::length_error);
  EXPECT_NO_THROW(to_graphml(Topology(platform)));
}

TEST(GraphFiles, EscapeWhatXmlReserves) {
  EXPECT_EQ(xml_escaped("a<b>&\"c\"\x01"), "a&lt;b&gt;&amp;&quot;c&quot;?");
}

}  // namespace
}  // namespace cmsim::hw
