#include "src/run/link_meter.hpp"

#include <gtest/gtest.h>

#include "tests/hw/machines.hpp"
#include "tests/run/runs.hpp"

namespace cmsim::run {
namespace {

const metrics::LinkResult& link_of(const std::vector<metrics::LinkResult>& links,
                                   const std::string& name, const std::string& direction) {
  for (const metrics::LinkResult& link : links) {
    if (link.name == name && link.direction == direction) return link;
  }
  throw std::out_of_range(name);
}

// Two instances send 1 GB together within 2 s, of which 30/32 go over UB: their ports, 64 of 768,
// are in use for 0.25 s of it each, and 0.5 s of the busiest.
TEST(AddExchanges, CountsBytesAndTheTimeOfPorts) {
  const coll::Fabric fabric(hw::cloudmatrix());
  coll::LinkLoads per_byte(fabric.classes().size() * 2);
  std::size_t ub = 0;
  while (fabric.classes()[ub].name != "die_ub") ++ub;
  per_byte[ub * 2] = {.bytes = 30.0 / 32, .busy = 0.25e-9 * 64 / 768, .busiest = 1e-9};
  std::vector<metrics::LinkResult> links{{.name = "die_ub", .direction = "out", .ports = 768},
                                         {.name = "die_ub", .direction = "in", .ports = 768}};
  add_exchanges(links, fabric, {per_byte, 1e9, 2}, 2);
  EXPECT_DOUBLE_EQ(links[0].exchange_bytes, 1e9 * 30 / 32);
  EXPECT_DOUBLE_EQ(links[0].utilisation, 0.25 * 64 / 768 / 2);
  EXPECT_DOUBLE_EQ(links[0].busiest_utilisation, 0.25);  // 0.5 GB of one instance, 0.5 s of 2
  EXPECT_EQ(links[1].exchange_bytes, 0);
}

// The busiest port waits for nobody: a fabric an eighth as wide keeps it busy for longer of the
// time.
TEST(LinkMeter, AThinFabricIsCrowded) {
  const auto busiest = [](const std::string& bandwidth) {
    const Result result = run_with(
        R"({"requests": 640, "prompt_length": 1000, "output_length": 40, "role": "decode",
            "arrivals": {"kind": "all_at_once"}})",
        {"/platform/ub/link_bandwidth=" + bandwidth});
    const auto& links = result.whole_run.links;
    return link_of(links, "die_ub", "in").busiest_utilisation;
  };
  EXPECT_LT(busiest("28GB/s"), 0.1);
  EXPECT_GT(busiest("0.1GB/s"), 0.4);
}

}  // namespace
}  // namespace cmsim::run
