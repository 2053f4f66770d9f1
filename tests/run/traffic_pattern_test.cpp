#include "cmsim/run/traffic_pattern.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cmsim/base/error.hpp"
#include "cmsim/run/collective.hpp"
#include "tests/coll/ranks.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::run {
namespace {

using ::testing::HasSubstr;

TrafficPattern pattern(const std::string& text) {
  return read_traffic(text, hw::cloudmatrix(), [] {
    return model::load_architecture(
        find_model("", CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json"));
  });
}

std::string refusal(const std::string& text) {
  try {
    pattern(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

const coll::ProductTraffic& product(const TrafficPattern& pattern) {
  return std::get<coll::ProductTraffic>(pattern.traffic);
}
const coll::EndpointTraffic& pairs(const TrafficPattern& pattern) {
  return std::get<coll::EndpointTraffic>(pattern.traffic);
}

TEST(TrafficPattern, DispatchAndCombineAreThoseOfTheCollective) {
  const TrafficPattern dispatch = pattern("dispatch:ep=64,tokens=96");
  EXPECT_EQ(product(dispatch).dies.size(), 64u);
  EXPECT_DOUBLE_EQ(product(dispatch).send[5], 96 * 8 * 7680);  // 7.5 KiB a message, top 8
  EXPECT_EQ(dispatch.description, "dispatch of 96 tokens a rank, EP64");
  const TrafficPattern combine = pattern("combine:ep=64");
  EXPECT_DOUBLE_EQ(product(combine).receive[5], 128 * 8 * 7168 * 2);  // BF16
}

TEST(TrafficPattern, CollectivesTakeAllDiesUnlessSaid) {
  EXPECT_EQ(product(pattern("alltoall")).dies.size(), 768u);
  EXPECT_EQ(product(pattern("allgather:ep=8")).dies.size(), 8u);
}

TEST(TrafficPattern, KvGoesFromEveryPrefillDieToEveryDecodeDie) {
  const TrafficPattern kv = pattern("kv");
  // 4,096 tokens of 70,272 B from 192 dies to each of 320.
  double sent = 0, receivers = 0;
  for (const double bytes : product(kv).send) sent += bytes;
  for (const double share : product(kv).receive) receivers += share;
  EXPECT_NEAR(sent, 4096 * 70272.0, 1);
  EXPECT_EQ(receivers, 320);
  EXPECT_EQ(product(kv).plane, hw::Plane::kRdma);
  EXPECT_EQ(product(pattern("kv:plane=ub")).plane, hw::Plane::kUb);
  EXPECT_EQ(pattern("kv:plane=ub").description,
            "the KV of 4096 tokens to each of 320 decode dies from 192 prefill dies over ub");
}

TEST(TrafficPattern, CacheIsReadByEveryDieFromEveryCpu) {
  const TrafficPattern cache = pattern("cache:tokens=192");
  EXPECT_EQ(pairs(cache).pairs.size(), 768u * 192);
  EXPECT_DOUBLE_EQ(pairs(cache).pairs.front().bytes, 70272);
  EXPECT_EQ(pairs(cache).plane, hw::Plane::kUb);
  EXPECT_EQ(pairs(pattern("cache:plane=vpc")).plane, hw::Plane::kVpc);
}

TEST(TrafficPattern, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(refusal("dispach"), HasSubstr("found \"dispach\", allowed are dispatch"));
  EXPECT_THAT(refusal("dispatch:ep=1000"), HasSubstr("ep: found \"1000\", allowed is 2 to 768"));
  EXPECT_THAT(refusal("dispatch:ep=8x"), HasSubstr("found \"8x\""));
  EXPECT_THAT(refusal("dispatch:skew=nan"), HasSubstr("found \"nan\""));
  EXPECT_THAT(refusal("alltoall:skew=1"), HasSubstr("found \"skew\", allowed are ep, tokens"));
  EXPECT_THAT(refusal("dispatch:ep=8,ep=9"), HasSubstr("ep is given twice"));
  EXPECT_THAT(refusal("dispatch:ep"), HasSubstr("ep needs a value"));
  EXPECT_THAT(refusal("kv:decode=700"), HasSubstr("192 prefill and 700 decode dies"));
  EXPECT_THAT(refusal("kv:plane=vpc"), HasSubstr("plane: found \"vpc\", allowed are rdma, ub"));
  EXPECT_THAT(refusal("pairs"), HasSubstr("pairs:FILE"));
  EXPECT_THAT(refusal("pairs:/nowhere.csv"), HasSubstr("/nowhere.csv"));
}

TEST(TrafficPattern, TakesOnlySoManyPairsOneByOne) {
  hw::Platform torus = hw::cloudmatrix();
  torus.nodes = 288;  // 4,608 dies: 21 million pairs
  torus.ub.fabric.builder = hw::Builder::kTorus;
  torus.ub.fabric.dimensions = {{48, 50e9}, {96, 50e9}};
  TrafficPattern all;
  all.traffic = coll::all_to_all(coll::consecutive_dies(0, torus.dies()), 1);
  EXPECT_THROW(port_loads(coll::Fabric(torus), all), std::invalid_argument);
}

class PairsFile : public ::testing::Test {
 protected:
  std::string refusal_of(const std::string& content) {
    write(content);
    return refusal("pairs:" + file_.string());
  }
  void write(const std::string& content) { std::ofstream(file_) << content; }
  void TearDown() override { std::filesystem::remove(file_); }
  std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / ("cmsim_pairs." + std::to_string(getpid()));
};

TEST_F(PairsFile, IsRead) {
  write("from,to,bytes\r\n0,die:16,1000\r\n\r\ncpu:3,17,2MB\n");
  const TrafficPattern read = pattern("pairs:" + file_.string());
  ASSERT_EQ(pairs(read).pairs.size(), 2u);
  EXPECT_EQ(pairs(read).pairs[1].from, hw::cpu(3));
  EXPECT_EQ(pairs(read).pairs[1].to, hw::die(17));
  EXPECT_EQ(pairs(read).pairs[1].bytes, 2e6);
}

TEST_F(PairsFile, ErrorsNameTheLine) {
  const std::string head = "from,to,bytes\n";
  EXPECT_THAT(refusal_of(""), HasSubstr(":1: the first line must be from,to,bytes"));
  EXPECT_THAT(refusal_of("a,b\n"), HasSubstr(":1: the first line"));
  EXPECT_THAT(refusal_of(head), HasSubstr(":1: there are no pairs"));
  EXPECT_THAT(refusal_of(head + "0,1,5\n0,1\n"), HasSubstr(":3: found \"0,1\""));
  EXPECT_THAT(refusal_of(head + "0,1,5,6\n"), HasSubstr(":2: found"));
  EXPECT_THAT(refusal_of(head + "0,gpu:1,5\n"), HasSubstr(":2: to: "));
  EXPECT_THAT(refusal_of(head + "768,1,5\n"), HasSubstr(":2: from: die:768 does not exist"));
  EXPECT_THAT(refusal_of(head + "0,1,-5\n"), HasSubstr(":2: bytes: "));
}

}  // namespace
}  // namespace cmsim::run
