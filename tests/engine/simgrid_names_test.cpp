// What a listener of SimGrid itself sees: hosts, links and flows under the names of what they are.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <simgrid/s4u.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cmsim/engine/exchange.hpp"
#include "cmsim/engine/runtime.hpp"
#include "tests/engine/plain.hpp"

namespace cmsim::engine {
namespace {

namespace sg = simgrid::s4u;
using Ends = std::vector<std::pair<std::string, std::string>>;

/// From now on the ends of every communication that ends.
Ends& heard_ends() {
  static Ends ends;
  sg::Activity::on_completion_cb([](const sg::Activity& activity) {
    const auto* comm = dynamic_cast<const sg::Comm*>(&activity);
    if (comm == nullptr) return;
    ends.emplace_back(comm->get_source()->get_name(), comm->get_destination()->get_name());
  });
  return ends;
}

std::set<std::string> link_names() {
  std::set<std::string> names;
  for (const sg::Link* link : sg::Engine::get_instance()->get_all_links()) {
    names.insert(link->get_name());
  }
  return names;
}

TEST(SimGridNames, AFlowIsSeenBetweenTheHostsOfItsEnds) {
  SimGridRuntime runtime(plain());
  const Ends& seen = heard_ends();
  const auto move = [&](coll::Op op) {
    runtime.transfer({hw::cpu(3), hw::die(17), 1000, coll::Plane::kUb, op}, kIgnore);
    runtime.run();
  };
  move(coll::Op::kWrite);
  move(coll::Op::kRead);
  EXPECT_EQ(seen, (Ends{{"cpu:3", "die:17"}, {"die:17", "cpu:3"}}));
}

TEST(SimGridNames, APairOfAnExchangeIsSeenBetweenItsDies) {
  SimGridRuntime runtime(plain());
  const Ends& seen = heard_ends();
  coll::PairTraffic traffic;
  traffic.pairs = {{16, 32, 1e6}};
  run_exchange(runtime, traffic, coll::Network::kFlow);
  run_exchange(runtime, traffic, coll::Network::kHose);
  EXPECT_EQ(seen[0], (std::pair<std::string, std::string>("die:16", "die:32")));
  const std::set<std::pair<std::string, std::string>> hose(seen.begin() + 1, seen.end());
  EXPECT_TRUE(hose.contains({"die:16", "switches"}));
  EXPECT_TRUE(hose.contains({"switches", "die:32"}));
}

TEST(SimGridNames, HostsAndLinksAreCalledWhatTheyAre) {
  SimGridRuntime runtime(plain());
  EXPECT_NE(sg::Host::by_name_or_null("die:767"), nullptr);
  EXPECT_NE(sg::Host::by_name_or_null("cpu:191"), nullptr);
  const std::set<std::string> names = link_names();
  for (const char* name : {"die:17.die_ub.out", "cpu:3.cpu_ub.in", "node:3.vpc.out",
                           "die:17.rdma.in", "die:2.die_to_die.to.die:3"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(SimGridNames, PortsOfOneNameAreTwoLinks) {
  // Every die has a link to each of two switches that do not stand in for each other.
  hw::Platform platform = plain();
  platform.ub.fabric.builder = hw::Builder::kEdges;
  for (int die = 0; die < platform.dies(); ++die) {
    for (const char* to : {"a", "b"}) {
      platform.ub.fabric.edges.push_back(
          {.from = fmt::format("die:{}", die), .to = to, .bandwidth = 50e9, .cls = {}});
    }
  }
  const coll::Fabric fabric(platform);
  ASSERT_EQ(fabric.name_of(0), fabric.name_of(1));
  SimGridRuntime runtime(fabric);
  EXPECT_TRUE(link_names().contains("die:0.die_ub.out.1"));
}

}  // namespace
}  // namespace cmsim::engine
