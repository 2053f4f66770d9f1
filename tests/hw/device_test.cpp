#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cmsim/base/error.hpp"
#include "cmsim/hw/platform.hpp"
#include "cmsim/hw/platform_files.hpp"

namespace cmsim::hw {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const fs::path kPlatforms = CMSIM_SOURCE_DIR "/platforms";

/// A platform file beside a device file.
class Files : public ::testing::Test {
 protected:
  Files() : directory_(fs::temp_directory_path() / ("device_test." + std::to_string(getpid()))) {
    fs::create_directories(directory_ / "devices");
    fs::copy_file(kPlatforms / "devices/ascend-910c.json", device(),
                  fs::copy_options::overwrite_existing);
    fs::copy_file(kPlatforms / "cloudmatrix384.json", platform(),
                  fs::copy_options::overwrite_existing);
  }
  ~Files() override { fs::remove_all(directory_); }

  fs::path device() const { return directory_ / "devices/ascend-910c.json"; }
  fs::path platform() const { return directory_ / "platform.json"; }

  static void replace(const fs::path& file, const std::string& what, const std::string& by) {
    std::ifstream in(file);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    const std::size_t at = text.find(what);
    ASSERT_NE(at, std::string::npos) << what;
    text.replace(at, what.size(), by);
    std::ofstream(file) << text;
  }
  ConfigError refused() const {
    try {
      load_platform(platform());
    } catch (const ConfigError& error) {
      return error;
    }
    ADD_FAILURE() << "accepted";
    return ConfigError("");
  }

 private:
  fs::path directory_;
};

TEST_F(Files, APlatformHasWhatItsDeviceHas) {
  const Platform p = load_platform(platform());
  EXPECT_EQ(p.dies_per_npu, 2);
  EXPECT_EQ(p.die.aic_cores, 24);
  EXPECT_DOUBLE_EQ(p.operators.attention_efficiency, 0.654);
  EXPECT_DOUBLE_EQ(p.token_exchange.startup, 21e-6);
}

TEST_F(Files, WhatThePlatformGivesItselfGoesBefore) {
  replace(platform(), "\"nodes\":", "\"die\": {\"aic_cores\": 20},\n  \"nodes\":");
  const Platform p = load_platform(platform());
  EXPECT_EQ(p.die.aic_cores, 20);
  EXPECT_EQ(p.die.aiv_cores, 48);
}

TEST_F(Files, AMistakeInTheDeviceNamesItsFileAndLine) {
  replace(device(), "376TFLOPS", "376TB");
  const ConfigError error = refused();
  EXPECT_THAT(error.where().file, EndsWith("devices/ascend-910c.json"));
  EXPECT_EQ(error.where().line, 9);
  EXPECT_EQ(error.where().pointer, "/die/bf16_peak");
}

TEST_F(Files, AnUnknownKeyOfTheDeviceIsShownThere) {
  replace(device(), "\"aic_cores\"", "\"aic_core\"");
  const ConfigError error = refused();
  EXPECT_EQ(error.where().pointer, "/die/aic_cores") << error.what();
  replace(device(), "\"aic_core\"", "\"aic_cores\": 24, \"aix_cores\"");
  EXPECT_THAT(refused().what(), HasSubstr("ascend-910c.json:11: /die/aix_cores: unknown key"));
}

TEST_F(Files, ADeviceSaysNothingOfTheMachine) {
  replace(device(), "\"dies_per_npu\"", "\"nodes\": 48,\n  \"dies_per_npu\"");
  EXPECT_THAT(refused().what(), HasSubstr("ascend-910c.json:6: /nodes: unknown key"));
}

TEST_F(Files, ADeviceThatIsNotThereIsShownWhereItIsNamed) {
  fs::remove(device());
  const ConfigError error = refused();
  EXPECT_THAT(error.where().file, EndsWith("platform.json"));
  EXPECT_EQ(error.where().line, 7);
  EXPECT_EQ(error.where().pointer, "/device");
  EXPECT_THAT(error.what(), HasSubstr("devices/ascend-910c.json"));
}

TEST_F(Files, ADeviceIsNamedByATextOnly) {
  replace(platform(), "\"devices/ascend-910c.json\"", "[1]");
  EXPECT_THAT(refused().what(), HasSubstr("/device: expected the path of a device file"));
}

TEST_F(Files, ASyntaxErrorIsThatOfTheDevice) {
  replace(device(), "\"die\":", "\"die\"");
  EXPECT_THAT(refused().where().file, EndsWith("devices/ascend-910c.json"));
}

TEST(Device, WhatItBorrowsIsKnown) {
  EXPECT_THAT(load_platform(kPlatforms / "cloudmatrix384.json").borrowed, IsEmpty());
  ConfigDocument document = open_platform(kPlatforms / "gb200-nvl72.json");
  const auto borrowed = [&] { return read_platform(ConfigNode(document)).borrowed; };
  EXPECT_THAT(borrowed(), Contains("/operators/attention_efficiency"));
  EXPECT_THAT(borrowed(), Contains("/ub/paths/npu_cpu_read/inter_node_latency"));
  EXPECT_THAT(borrowed(), Not(Contains("/operators/hbm_efficiency")));
  document.apply_set("/operators/attention_efficiency=0.7");  // a figure of one's own
  EXPECT_THAT(borrowed(), Not(Contains("/operators/attention_efficiency")));
}

TEST(Device, OneDieNeedsNoLinkToASibling) {
  EXPECT_EQ(load_platform(kPlatforms / "h100.json").die.die_to_die_bandwidth, 0);
  ConfigDocument document = open_platform(kPlatforms / "h100.json");
  document.apply_set("/dies_per_npu=2");
  try {
    read_platform(ConfigNode(document));
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.where().pointer, "/die/die_to_die_bandwidth");
  }
}

}  // namespace
}  // namespace cmsim::hw
