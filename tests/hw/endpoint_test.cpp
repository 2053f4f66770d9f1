#include "cmsim/hw/endpoint.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace cmsim::hw {
namespace {

TEST(Endpoint, ReadsDiesAndCpus) {
  EXPECT_EQ(parse_endpoint("die:17"), die(17));
  EXPECT_EQ(parse_endpoint("die17"), die(17));
  EXPECT_EQ(parse_endpoint("17"), die(17));
  EXPECT_EQ(parse_endpoint("cpu:3"), cpu(3));
  EXPECT_EQ(parse_endpoint("cpu3"), cpu(3));
}

TEST(Endpoint, RefusesAnythingElse) {
  for (const char* text :
       {"", "die", "die:", "die:-1", "die:1x", ":3", "gpu:1", "cpu: 1", "99999999999999"}) {
    EXPECT_THROW(parse_endpoint(text), std::invalid_argument) << text;
  }
}

TEST(Endpoint, WritesWhatItReads) {
  EXPECT_EQ(to_string(die(17)), "die:17");
  EXPECT_EQ(parse_endpoint(to_string(cpu(191))), cpu(191));
}

}  // namespace
}  // namespace cmsim::hw
