// The command `topology` as a user meets it: exit codes, streams, JSON, files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> topology(std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"topology", kPlatform};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::vector<std::string> set_fabric(const std::string& fabric) {
  return {"--set", "/nodes=8",         "--set", "/npus_per_node=4",    "--set", "/dies_per_npu=1",
          "--set", "/cpus_per_node=1", "--set", "/ub/fabric=" + fabric};
}

const std::string kDragonfly = R"({"builder": "dragonfly", "link_bandwidth": "50GB/s",
    "dies_per_router": 2, "routers_per_group": 4, "global_links_per_router": 1,
    "local_bandwidth": "50GB/s", "global_bandwidth": "100GB/s"})";
const std::string kMesh = R"({"builder": "full_mesh", "dimensions": [
    {"size": 8, "bandwidth": "50GB/s"}, {"size": 4, "bandwidth": "20GB/s"}]})";
const std::string kTorus = R"({"builder": "torus", "dimensions": [
    {"size": 8, "bandwidth": "50GB/s"}, {"size": 4, "bandwidth": "20GB/s"}]})";
const std::string kFatTree = R"({"builder": "fat_tree", "link_bandwidth": "50GB/s",
    "leaf_ports": 8, "spines": 2, "uplink_bandwidth": "100GB/s"})";
const std::string kSwitch = R"({"builder": "switch", "scope": "node", "link_bandwidth": "200GB/s",
    "sub_planes": 2})";
/// All 32 dies on one switch, whose name a file must escape.
const std::string kList = [] {
  std::string links;
  for (int die = 0; die < 32; ++die) {
    links += (die > 0 ? ", " : "") + std::string(R"({"from": "die:)") + std::to_string(die) +
             R"(", "to": "<a&\"b\">", "bandwidth": "10GB/s"})";
  }
  return R"({"builder": "edges", "edges": [)" + links + "]}";
}();

void expect_narrow(const std::string& text) {
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) EXPECT_LE(line.size(), 80u) << line;
}

/// Every tag that opens closes again, in order.
void expect_well_formed(const std::string& xml) {
  std::vector<std::string> open;
  for (std::size_t at = xml.find('<'); at != std::string::npos; at = xml.find('<', at + 1)) {
    const std::size_t end = xml.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = xml.substr(at + 1, end - at - 1);
    if (tag.front() == '?' || tag.back() == '/') continue;
    if (tag.front() == '/') {
      ASSERT_FALSE(open.empty());
      ASSERT_EQ(open.back(), tag.substr(1));
      open.pop_back();
    } else {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  EXPECT_TRUE(open.empty());
}

TEST(TopologyCommand, PrintsTheDocumentedKeys) {
  const WorkDirectory work;
  const Outcome run = work.cmsim(topology({"--traffic", "dispatch:ep=320", "--json"}));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.err, "");
  const auto json = nlohmann::json::parse(run.out);
  const std::string document = content(CMSIM_SOURCE_DIR "/docs/output.md");
  const std::function<void(const nlohmann::json&)> check = [&](const nlohmann::json& part) {
    if (part.is_array() && !part.empty()) check(part.front());
    if (!part.is_object()) return;
    for (const auto& [key, value] : part.items()) {
      EXPECT_NE(document.find("`" + key + "`"), std::string::npos) << key;
      check(value);
    }
  };
  check(json);
  EXPECT_EQ(json["counts"]["npus"], 384);
  EXPECT_EQ(json["switch_plan"]["logical_switches"], 56);
  EXPECT_DOUBLE_EQ(json["planes"][0]["bisection"]["gb_per_s"], 75264);
  EXPECT_NEAR(json["switches"][0]["oversubscription_with_cpus"], 3776.0 / 3136, 1e-9);
  const auto& traffic = json["traffic"];
  EXPECT_EQ(traffic["relief"]["steps"][0]["class"], "die_ub");
  EXPECT_NEAR(traffic["duration_us"].get<double>(),
              traffic["latency_us"].get<double>() + traffic["loads"][0]["busiest_us"].get<double>(),
              1e-6);
}

TEST(TopologyCommand, TablesFit80Columns) {
  const WorkDirectory work;
  for (const auto& more : {std::vector<std::string>{"--traffic", "dispatch:ep=320,skew=1"},
                           {"--traffic", "kv"},
                           {"--traffic", "cache"},
                           {"--set", "/supernodes=4"},
                           set_fabric(kDragonfly),
                           set_fabric(kMesh),
                           set_fabric(kSwitch)}) {
    const Outcome run = work.cmsim(topology(more));
    ASSERT_EQ(run.code, 0) << run.err;
    expect_narrow(run.out);
  }
}

TEST(TopologyCommand, CutsNoSentence) {
  const WorkDirectory work;
  for (const std::string& fabric : {kDragonfly, kMesh}) {
    std::vector<std::string> machine = set_fabric(fabric);
    machine.insert(machine.end(), {"--traffic", "alltoall"});
    const Outcome run = work.cmsim(topology(machine));
    ASSERT_EQ(run.code, 0) << run.err;
    expect_narrow(run.out);
    EXPECT_THAT(run.out, ::testing::Not(HasSubstr("…")));
  }
}

TEST(TopologyCommand, RefusesKeysOfTheClosBesideABuilder) {
  const WorkDirectory work;
  std::vector<std::string> machine = set_fabric(kMesh);
  ASSERT_EQ(work.cmsim(topology(machine)).code, 0);  // those of the platform file are retired
  machine.insert(machine.end(), {"--set", "/ub/sub_planes=3"});
  const Outcome run = work.cmsim(topology(machine));
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("--set /ub/sub_planes=3: /ub/sub_planes: has no effect while "
                                 "/ub/fabric names a builder"));
}

TEST(TopologyCommand, SaysThatAPlatformExtendsNothing) {
  const WorkDirectory work;
  std::ofstream(work / "mine.json") << R"({"extends": "h800.json",
    "nodes": 4})";
  const Outcome run = work.cmsim({"topology", "mine.json"});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("mine.json:1: /extends: a platform extends no other"));
}

TEST(TopologyCommand, NamesTheFaultsThatLeaveNoWay) {
  const WorkDirectory work;
  const Outcome run = work.cmsim(topology({"--fail", "die:3 cpu:0", "--traffic", "kv:decode=766"}));
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("(with /faults applied: die:3, cpu:0)"));
}

TEST(TopologyCommand, DistancesAreFromTheFirstDieThatIsLeft) {
  const WorkDirectory work;
  const auto distances = [&](const std::vector<std::string>& more) {
    const Outcome run = work.cmsim(topology(more));
    EXPECT_EQ(run.code, 0) << run.err;
    return run.out.substr(run.out.find("latency at 512 B"));
  };
  const std::string whole = distances({});
  EXPECT_THAT(whole, HasSubstr("die-CPU, other node"));
  EXPECT_EQ(distances({"--fail", "die:0"}), whole);
  EXPECT_EQ(distances({"--fail", "node:0"}), whole);
}

TEST(TopologyCommand, ShowsTheCostsThatThePlatformKnows) {
  const WorkDirectory work;
  const Outcome run = work.cmsim(topology());
  EXPECT_THAT(run.out, HasSubstr("costs"));
  EXPECT_THAT(run.out, HasSubstr("up to $21,354"));
  expect_narrow(run.out);
  const Outcome hours = work.cmsim({"topology", "h100"});
  EXPECT_THAT(hours.out, HasSubstr("$1.3 to $1.69"));
  expect_narrow(hours.out);
  const auto json = nlohmann::json::parse(work.cmsim(topology({"--json"})).out);
  EXPECT_EQ(json["costs"]["optics"]["machine"], 19 * 384);  // 5,760 + 1,536
  EXPECT_FALSE(json["costs"].contains("price_least_usd"));
  const Outcome none = work.cmsim({"topology", "ub-mesh"});
  EXPECT_THAT(none.out, ::testing::Not(HasSubstr("costs")));
}

// No result depends on what the machine costs.
TEST(TopologyCommand, CostsAreNotDigested) {
  const WorkDirectory work;
  const auto digest = [&](std::vector<std::string> arguments) {
    const Outcome run = work.cmsim(arguments);
    EXPECT_EQ(run.code, 0) << run.err;
    return nlohmann::json::parse(run.out)["provenance"]["digest"];
  };
  const std::vector<std::string> commands[] = {
      {"p2p", kPlatform, "--from", "0", "--to", "9", "--bytes", "1MB", "--json"},
      {"collective", kPlatform, "--op", "dispatch", "--ep", "8", "--tokens", "8", "--json"},
      {"step", kScenario, "--phase", "decode", "--json"}};
  for (const std::vector<std::string>& command : commands) {
    std::vector<std::string> dearer = command;
    const std::string platform = command.front() == "step" ? "/platform" : "";
    dearer.insert(dearer.end(), {"--set", platform + "/costs/power_w=2000"});
    EXPECT_EQ(digest(command), digest(dearer)) << command.front();
  }
}

TEST(TopologyCommand, ReadsTheGraphThatItWrote) {
  const WorkDirectory work;
  ASSERT_EQ(work.cmsim(topology({"--set", "/nodes=2", "--export", "two.graphml"})).code, 0);
  const auto links = [&](const std::vector<std::string>& more) {
    const Outcome run = work.cmsim(topology(more));
    EXPECT_EQ(run.code, 0) << run.err;
    const auto json = nlohmann::json::parse(run.out);
    return std::pair(json["links"], json["distances"]);
  };
  EXPECT_EQ(links({"--set", "/nodes=2", "--json"}),
            links({"--set", "/nodes=2", "--json", "--set",
                   R"(/ub/fabric={"builder": "edges", "file": "two.graphml"})"}));
}

TEST(TopologyCommand, SaysWhatBindsATraffic) {
  const WorkDirectory work;
  const Outcome kv = work.cmsim(topology({"--traffic", "kv"}));
  EXPECT_THAT(kv.out, HasSubstr("bound by rdma"));
  const Outcome cache = work.cmsim(topology({"--traffic", "cache"}));
  EXPECT_THAT(cache.out, HasSubstr("bound by cpu_ub out"));
}

TEST(TopologyCommand, WritesTheGraph) {
  const WorkDirectory work;
  ASSERT_EQ(work.cmsim(topology({"--set", "/nodes=2", "--export", "two.graphml"})).code, 0);
  const std::string graphml = content(work / "two.graphml");
  expect_well_formed(graphml);
  EXPECT_THAT(graphml, HasSubstr("<data key=\"class\">die_ub</data><data key=\"plane\">ub</data>"
                                 "<data key=\"bandwidth\">28</data>"));
  ASSERT_EQ(work.cmsim(topology({"--set", "/nodes=2", "--export", "two.dot"})).code, 0);
  EXPECT_THAT(content(work / "two.dot"), HasSubstr("[class=\"uplink\", gb_per_s=28, dir=both]"));
}

TEST(TopologyCommand, DrawsEveryKindOfFabric) {
  const WorkDirectory work;
  std::vector<std::vector<std::string>> machines{
      {}, {"--set", "/nodes=2", "--set", "/supernodes=3"}, {"--set", "/nodes_per_rack=4"}};
  for (const std::string& fabric : {kDragonfly, kMesh, kTorus, kFatTree, kSwitch, kList}) {
    machines.push_back(set_fabric(fabric));
  }
  for (std::vector<std::string> machine : machines) {
    machine.insert(machine.end(), {"--export", "machine.svg"});
    const Outcome run = work.cmsim(topology(machine));
    ASSERT_EQ(run.code, 0) << run.err;
    EXPECT_EQ(run.err, "wrote machine.svg\n");
    const std::string svg = content(work / "machine.svg");
    expect_well_formed(svg);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
  }
  const Outcome loaded =
      work.cmsim(topology({"--traffic", "alltoall:ep=64", "--export", "loaded.svg"}));
  ASSERT_EQ(loaded.code, 0) << loaded.err;
  EXPECT_THAT(content(work / "loaded.svg"), HasSubstr("Load of alltoall"));
}

TEST(TopologyCommand, RefusesWhatItCannotDo) {
  const WorkDirectory work;
  const auto refused = [&](const std::vector<std::string>& more) {
    const Outcome run = work.cmsim(topology(more));
    EXPECT_EQ(run.code, 2) << run.out;
    EXPECT_EQ(run.out, "");
    return run.err;
  };
  EXPECT_THAT(refused({"--export", "machine.png"}), HasSubstr("allowed are .graphml, .dot, .svg"));
  EXPECT_THAT(refused({"--export", "nowhere/machine.svg"}), HasSubstr("nowhere"));
  EXPECT_THAT(refused({"--set", "/supernodes=4", "--export", "large.dot"}),
              HasSubstr("vertices, allowed are at most 5000"));
  std::ofstream(work / "bad.graphml") << "<graphml>\n<graph>\n<node></graph></graphml>";
  EXPECT_THAT(refused({"--set", R"(/ub/fabric={"builder": "edges", "file": "bad.graphml"})"}),
              HasSubstr("bad.graphml:3: not valid XML"));
  EXPECT_THAT(refused({"--traffic", "gossip"}), HasSubstr("found \"gossip\""));
  EXPECT_THAT(refused({"--model", "m.json"}), HasSubstr("without a --traffic"));
  EXPECT_THAT(refused({"--set", "/ub/sub_planez=2"}), HasSubstr("sub_planez"));
}

}  // namespace
}  // namespace cmsim::cli
