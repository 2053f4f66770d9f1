// Graphs read from GraphML: what other programs write, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cmsim/base/error.hpp"
#include "cmsim/hw/platform_files.hpp"
#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;

const std::string kKeys = R"(<key id="d0" for="node" attr.name="name" attr.type="string"/>
<key id="d1" for="edge" attr.name="bandwidth_gb_per_s" attr.type="double"/>
<key id="d2" for="node" attr.name="tier" attr.type="int"/>
)";

/// A machine of one node of two dies and a CPU, all on a switch, unless `graph` says otherwise.
class Graphml : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory_); }
  void TearDown() override { fs::remove_all(directory_); }

  static std::string on_one_switch(const std::string& more = "") {
    return "<graphml>\n" + kKeys + R"(<graph edgedefault="undirected">
<node id="die:0"/><node id="die:1"/>
<node id="cpu:0"/>
<!-- <node id="none"/> -->
<node id="s"><data key="d0">spine &amp; leaf</data><data key="d2">2</data></node>
<edge source="die:0" target="s"><data key="d1">28.5</data></edge>
<edge source="s" target="die:1"><data key="d1">28.5</data></edge>
<edge source="cpu:0" target="s"><data key="d1">20</data></edge>
)" + more + "</graph>\n</graphml>\n";
  }

  Platform read(const std::string& graph) const {
    std::ofstream(directory_ / "my.graphml") << graph;
    std::ofstream(directory_ / "platform.json") << std::ifstream(kFile).rdbuf();
    ConfigDocument document = ConfigDocument::from_file(directory_ / "platform.json");
    document.apply_set("/device=" CMSIM_SOURCE_DIR "/platforms/devices/ascend-910c.json");
    document.apply_set(R"(/ub/fabric={"builder": "edges", "file": "my.graphml"})");
    for (const char* set :
         {"/nodes=1", "/npus_per_node=2", "/dies_per_npu=1", "/cpus_per_node=1"}) {
      document.apply_set(set);
    }
    anchor_files(document, "", directory_);
    include_files(document, "");
    return read_platform(ConfigNode(document));
  }
  ConfigError refused(const std::string& graph) const {
    try {
      read(graph);
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.where().file, EndsWith("my.graphml")) << error.what();
      return error;
    }
    ADD_FAILURE() << "accepted " << graph;
    return ConfigError("");
  }

  static constexpr const char* kFile = CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json";
  const fs::path directory_ = fs::temp_directory_path() / ("graphml." + std::to_string(getpid()));
};

TEST_F(Graphml, ReadsWhatOtherProgramsWrite) {
  const Topology topology(read(on_one_switch()));
  EXPECT_EQ(topology.count("die_ub"), 4);  // two dies, both ways
  EXPECT_DOUBLE_EQ(topology.capacity("die_ub"), 4 * 28.5e9);
  EXPECT_EQ(topology.count("cpu_ub"), 2);
  EXPECT_EQ(topology.switches(2), 1);
  EXPECT_THAT(topology.switch_names(), ::testing::ElementsAre("spine & leaf"));
}

TEST_F(Graphml, EdgesOneWayBelongTogether) {
  const std::string directed = "<graphml>" + kKeys + R"(<graph edgedefault="directed">
<node id="a"><data key="d0">die:0</data></node><node id="b"><data key="d0">die:1</data></node>
<edge source="a" target="b"><data key="d1">5</data></edge>
<edge source="b" target="a"><data key="d1">)";
  const Topology topology(read(directed + "5</data></edge></graph></graphml>"));
  EXPECT_EQ(topology.count("die_ub"), 2);
  EXPECT_THAT(refused(directed + "6</data></edge></graph></graphml>").what(),
              HasSubstr("edge from \"b\" to \"a\": 6GB/s one way and 5GB/s back"));
}

TEST_F(Graphml, WhatIsWrongIsNamedWithItsLine) {
  struct Wrong {
    std::string graph;
    int line;
    const char* message;
  };
  const auto with = [](const std::string& element) { return on_one_switch(element + "\n"); };
  // The element that is added stands in line 13.
  const Wrong cases[] = {
      {"<graphml>\n<graph>\n<node id=\"a\">\n</graph></graphml>", 4, "not valid XML"},
      {"", 1, "expected a <graphml> element"},
      {"<gexf/>", 1, "expected a <graphml> element"},
      {"<graphml></graphml>", 1, "found 0 graphs, expected one"},
      {with("<node/>"), 13, "a node without an id"},
      {with("<node id=\"s\"/>"), 13, "node \"s\" is there already"},
      {with("<node id=\"x\"><data key=\"d0\">die:1</data></node>"), 5 + 1,
       "node \"die:1\": another one is called \"die:1\" too"},
      {with("<node id=\"x\"><data key=\"d2\">two</data></node>"), 13,
       "node \"x\": tier: found \"two\", expected a whole number"},
      {with("<node id=\"x\"><graph/></node>"), 13, "node \"x\": a graph inside a node"},
      {with("<edge source=\"s\" target=\"t\"><data key=\"d1\">1</data></edge>"), 13,
       "edge from \"s\" to \"t\": there is no node \"t\""},
      {with("<edge source=\"die:0\" target=\"die:1\"/>"), 13,
       "edge from \"die:0\" to \"die:1\": no bandwidth_gb_per_s, a link needs it"},
      {with("<edge source=\"die:0\" target=\"die:1\"><data key=\"d1\">much</data></edge>"), 13,
       "edge from \"die:0\" to \"die:1\": bandwidth_gb_per_s: found \"much\", expected a number"},
      {with("<edge source=\"die:0\" target=\"s\"><data key=\"d1\">1</data></edge>"), 13,
       "the link between die:0 and spine & leaf is there already"},
      {with("<edge directed=\"true\" source=\"die:0\" target=\"die:1\"><data "
            "key=\"d1\">1</data></edge>"),
       13, "edge from \"die:0\" to \"die:1\": there is no edge back"},
      {with("<node id=\"die:9\"/><edge source=\"die:9\" target=\"s\"><data "
            "key=\"d1\">1</data></edge>"),
       13, "die:9 does not exist"},
      {with("<hyperedge/>"), 13, "found a hyperedge"},
      {"<graphml>" + kKeys + "<graph><node id=\"die:0\"/></graph></graphml>", 1,
       "a list without a link"}};
  for (const Wrong& wrong : cases) {
    SCOPED_TRACE(wrong.message);
    const ConfigError error = refused(wrong.graph);
    EXPECT_THAT(error.what(), HasSubstr(wrong.message));
    EXPECT_EQ(error.where().line, wrong.line) << error.what();
  }
}

TEST_F(Graphml, NestingIsBounded) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  EXPECT_THAT(refused(deep).what(), HasSubstr("nested too deeply"));
}

TEST_F(Graphml, AFileThatIsNotThereIsShownWhereItIsNamed) {
  ConfigDocument document = open_platform(kFile);
  document.apply_set(R"(/ub/fabric={"builder": "edges", "file": "none.graphml"})");
  try {
    include_files(document, "");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/ub/fabric/file: none.graphml: "));
  }
  document.apply_set(R"(/ub/fabric={"builder": "edges", "file": "none.graphml", "edges": []})");
  EXPECT_THROW(include_files(document, ""), ConfigError);
}

TEST(Edges, AreThereOnceHoweverManySupernodesThereAre) {
  ConfigDocument document = open_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  for (const char* set : {"/supernodes=2", "/nodes=1", "/npus_per_node=1", "/dies_per_npu=1",
                          R"(/ub/fabric={"builder": "edges", "edges": [
                             {"from": "die:0", "to": "die:1", "bandwidth": "1GB/s"}]})"}) {
    document.apply_set(set);
  }
  EXPECT_EQ(Topology(read_platform(ConfigNode(document))).count("die_ub"), 2);
}

TEST(Edges, SwitchesAreThoseThatLinksLeadTo) {
  const auto complaint = [](const std::string& switches) {
    ConfigDocument document = open_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
    for (const std::string& set :
         {std::string("/nodes=1"), std::string("/npus_per_node=2"), std::string("/dies_per_npu=1"),
          R"(/ub/fabric={"builder": "edges", "edges": [{"from": "die:0", "to": "s",
             "bandwidth": "1GB/s"}, {"from": "s", "to": "die:1", "bandwidth": "1GB/s"}],
             "switches": )" +
              switches + "}"}) {
      document.apply_set(set);
    }
    try {
      read_platform(ConfigNode(document));
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(complaint(R"([{"name": "s", "tier": 2, "lane": 3, "node": 0, "pool": 7}])"),
            "accepted");
  EXPECT_THAT(complaint(R"([{"name": "t"}])"), HasSubstr("no link leads to a switch \"t\""));
  EXPECT_THAT(complaint(R"([{"name": "die:0"}])"), HasSubstr("no link leads to a switch"));
  EXPECT_THAT(complaint(R"([{"name": "s"}, {"name": "s"}])"), HasSubstr("is there already"));
  EXPECT_THAT(complaint(R"([{"name": "s", "node": 1}])"), HasSubstr("found 1, there are 1"));
  EXPECT_THAT(complaint(R"([{"name": "s", "tier": 0}])"), HasSubstr("allowed is 1 to 8"));
}

}  // namespace
}  // namespace cmsim::hw
