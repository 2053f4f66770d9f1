#include "cmsim/hw/fault.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cmsim/base/error.hpp"
#include "cmsim/hw/platform_files.hpp"
#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Platform broken(const std::string& faults) {
  ConfigDocument document = open_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  document.apply_set("/faults=" + faults);
  return read_platform(ConfigNode(document));
}

Platform failed(const std::string& what) { return broken("{\"fail\": \"" + what + "\"}"); }

TEST(Faults, TakeTheSwitchesThatAreLostOffTheGraph) {
  const auto topology = [](const std::string& parts) { return Topology(failed(parts)); };
  EXPECT_EQ(topology("cpu:0").switches(1), topology("plane:3").switches(1) + 48);
  EXPECT_EQ(topology("plane:3").switches(2), 6 * 16);
  EXPECT_EQ(topology("l2:3/5").switches(2), 7 * 16 - 1);
  const Topology without_a_node = topology("node:7");
  EXPECT_EQ(without_a_node.count(VertexKind::kDie), 768);
  EXPECT_EQ(without_a_node.count(VertexKind::kCard), 2 * 47);
  EXPECT_EQ(without_a_node.name_of(without_a_node.vertex_of(die(767))), "die:767");
}

TEST(Faults, AreNamedInMessages) {
  EXPECT_EQ(with_faults(failed("")), "");
  EXPECT_EQ(with_faults(failed("plane:3 die:4")), " (with /faults applied: plane:3, die:4)");
  EXPECT_EQ(with_faults(failed("die:1 die:2 die:3 die:4 die:5 die:6")),
            " (with /faults applied: die:1, die:2, die:3, die:4 and 2 more)");
}

TEST(Faults, TakeTheLinksOfWhatTheyTouch) {
  // The whole machine has 768 * 7 die ports, 48 * 7 * 16 uplinks and 192 * 7 CPU ports, both ways.
  const Topology plane(failed("plane:3"));
  EXPECT_EQ(plane.count("die_ub"), 2 * 768 * 6);
  EXPECT_EQ(plane.count("cpu_ub"), 2 * 192 * 6);
  EXPECT_EQ(plane.count("uplink"), 2 * 48 * 6 * 16);
  EXPECT_EQ(plane.count("rdma"), 2 * 768);
  const Topology l2(failed("l2:3/5"));
  EXPECT_EQ(l2.count("uplink"), 2 * 48 * (7 * 16 - 1));  // a port of it for each node
  const Topology l1(failed("l1:12/2"));
  EXPECT_EQ(l1.count("die_ub"), 2 * (768 * 7 - 16));
  EXPECT_EQ(l1.count("uplink"), 2 * (48 * 7 * 16 - 16));
  const Topology node(failed("node:7"));
  EXPECT_EQ(node.count("die_ub"), 2 * 47 * 16 * 7);
  EXPECT_EQ(node.count("rdma"), 2 * 47 * 16);
  EXPECT_EQ(node.count("vpc"), 2 * 47);
  const Topology die(failed("die:100"));
  EXPECT_EQ(die.count("die_ub"), 2 * 767 * 7);
  EXPECT_EQ(die.count("die_to_die"), 2 * 383);
  const Topology cpu(failed("cpu:3"));
  EXPECT_EQ(cpu.count("cpu_ub"), 2 * 191 * 7);
  const Topology link(failed("link:die:3-l1:0/2"));
  EXPECT_EQ(link.count("die_ub"), 2 * (768 * 7 - 1));
}

// The scale-out plane has one switch, which is of no sub-plane of UB.
TEST(Faults, ASubPlaneIsOfTheScaleUpPlane) {
  const Topology plane(failed("plane:0"));
  EXPECT_EQ(plane.count("die_ub"), 2 * 768 * 6);
  EXPECT_EQ(plane.count("rdma"), 2 * 768);
}

TEST(Faults, ASwitchThatIsNotThereIsAnError) {
  ConfigDocument mesh = open_platform(CMSIM_SOURCE_DIR "/platforms/ub-mesh.json");
  for (const char* what : {"plane:0", "l1:0/0"}) {
    mesh.apply_set(std::string("/faults={\"fail\": \"") + what + "\"}");
    try {
      read_platform(ConfigNode(mesh));
      ADD_FAILURE() << what;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(),
                  HasSubstr("the scale-up plane of this platform has no such switch"));
    }
  }
}

TEST(Faults, ALinkIsFoundWhateverDashesTheNamesOfItsEndsHave) {
  const Topology whole(failed("")), card(failed("link:l1:0-card-in:7")),
      out(failed("link:card:7-l1:0"));
  EXPECT_EQ(card.count("vpc"), whole.count("vpc") - 1);
  EXPECT_EQ(out.count("vpc"), whole.count("vpc") - 1);
  const Topology pcie(failed("link:card-in:0-die:3"));
  EXPECT_EQ(pcie.count("pcie"), whole.count("pcie") - 1);
}

TEST(Faults, DegradeMultipliesWhatIsLeft) {
  const Platform p = broken(R"({"degrade": "plane:0=50% l1:0/0=0.5"})");
  // Node 0 keeps a quarter of its first sub-plane, the others a half: of 16 dies x 28 GB/s, both
  // ways, 47 / 2 + 1 / 4 in place of 48.
  EXPECT_NEAR(Topology(p).capacity("die_ub"), 2 * 16 * 28e9 * (48 * 6 + 47 / 2.0 + 1 / 4.0), 1000);
  EXPECT_EQ(Topology(p).count("die_ub"), 2 * 768 * 7);
}

TEST(Faults, WholeAreTheNpusWithAWayOut) {
  EXPECT_EQ(whole_dies(failed("plane:3")).size(), 768u);
  const auto without = whole_dies(failed("die:101"));  // its sibling, die 100, goes with it
  EXPECT_EQ(without.size(), 766u);
  EXPECT_EQ(without[99], 99);
  EXPECT_EQ(without[100], 102);
  EXPECT_EQ(whole_dies(failed("node:1"))[16], 32);
  EXPECT_EQ(whole_dies(failed("l1:0/0 l1:0/1 l1:0/2 l1:0/3 l1:0/4 l1:0/5 l1:0/6")).front(), 16);
  const auto cpus = whole_cpus(failed("node:1 cpu:0"));
  EXPECT_EQ(cpus.size(), 187u);
  EXPECT_THAT(std::vector(cpus.begin(), cpus.begin() + 4), ElementsAre(1, 2, 3, 8));
}

TEST(Faults, OnTopOfOthersLeaveWhatBothLeave) {
  Platform platform = failed("die:101");
  add_faults(platform, {{.kind = Fault::Kind::kNode, .at = 0}});
  EXPECT_EQ(whole_dies(platform).size(), 768u - 2 - 16);
  EXPECT_EQ(whole_dies(platform).front(), 16);
  EXPECT_EQ(whole_cpus(platform).front(), 4);
}

TEST(Faults, WhatTheMachineHasNotIsAnError) {
  const std::pair<const char*, const char*> cases[] = {
      {"plane:7", "found sub-plane 7, there are 7 (0 to 6)"},
      {"l2:3/16", "found L2 chip 16, there are 16 (0 to 15)"},
      {"l1:48/0", "found node 48, there are 48 (0 to 47)"},
      {"die:768", "found die 768, there are 768 (0 to 767)"},
      {"cpu:192", "found CPU 192, there are 192 (0 to 191)"},
      {"plane", "found \"plane\", allowed are plane:SUB_PLANE"},
      {"l2:3", "found \"l2:3\", allowed are"},
      {"die:-1", "found \"die:-1\", allowed are"},
      {"link:die:3", "found \"link:die:3\", allowed are"},
      {"link:die:3-", "found \"link:die:3-\", allowed are"},
      {"link:die:3-l1:1/2", "there is no link from die:3 to l1:1/2"},
      {"link:card-in:7-card:7", "there is no link from card-in:7 to card:7"}};
  for (const auto& [fault, message] : cases) {
    try {
      failed(fault);
      FAIL() << "accepted " << fault;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
      EXPECT_EQ(error.where().pointer, "/faults/fail");
    }
  }
  for (const char* left : {"plane:3", "plane:3=0", "plane:3=1", "plane:3=fast"}) {
    EXPECT_THROW(broken(std::string("{\"degrade\": \"") + left + "\"}"), ConfigError) << left;
  }
}

}  // namespace
}  // namespace cmsim::hw
