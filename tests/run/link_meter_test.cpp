#include "src/run/link_meter.hpp"

#include <gtest/gtest.h>

#include "tests/hw/machines.hpp"
#include "tests/run/runs.hpp"

namespace cmsim::run {
namespace {

// Two instances send 1 GB together within 2 s, of which 30/32 go over UB: their ports, 64 of 768,
// are in use for 0.25 s of it each, and 0.5 s of the busiest.
TEST(AddExchanges, CountsBytesAndTheTimeOfPorts) {
  const coll::Fabric fabric(hw::cloudmatrix());
  coll::PortLoads loads = coll::no_loads(fabric);
  int ports = 0;
  for (std::size_t i = 0; i < loads.bytes.size() && ports < 64; ++i) {
    const coll::Port& port = fabric.ports()[i];
    if (fabric.classes()[port.cls].name != "die_ub" || port.direction != coll::Direction::kOut) {
      continue;
    }
    loads.bytes[i] = 1e9 * 30 / 32 / 64;
    loads.wire_bytes[i] = port.capacity * (ports == 7 ? 0.5 : 15.5 / 63);  // 0.25 s on average
    ++ports;
  }
  std::vector<metrics::LinkResult> links{{.name = "die_ub", .direction = "out", .ports = 768},
                                         {.name = "die_ub", .direction = "in", .ports = 768}};
  add_exchanges(links, fabric, loads, 2);
  EXPECT_NEAR(links[0].exchange_bytes, 1e9 * 30 / 32, 1e-3);
  EXPECT_NEAR(links[0].utilisation, 0.25 * 64 / 768 / 2, 1e-12);
  EXPECT_NEAR(links[0].busiest_utilisation, 0.25, 1e-12);  // 0.5 s of 2
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
    return link(result, "die_ub", "in").busiest_utilisation;
  };
  EXPECT_LT(busiest("28GB/s"), 0.1);
  EXPECT_GT(busiest("0.1GB/s"), 0.4);
}

}  // namespace
}  // namespace cmsim::run
