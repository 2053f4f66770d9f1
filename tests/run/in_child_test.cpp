#include "src/run/in_child.hpp"

#include <gtest/gtest.h>

#include <csignal>

#include "cmsim/base/error.hpp"

namespace cmsim::run {
namespace {

TEST(InChild, ReturnsTheValueBitForBit) {
  EXPECT_EQ(in_child([] { return 1.0 / 3; }), 1.0 / 3);
}

TEST(InChild, BringsBackWhatWentWrong) {
  try {
    in_child([]() -> double { throw std::runtime_error("the reason"); });
    FAIL();
  } catch (const SimulationError& error) {
    EXPECT_NE(std::string(error.what()).find("the reason"), std::string::npos);
  }
  EXPECT_THROW(in_child([]() -> double {
                 std::raise(SIGTERM);
                 return 0;
               }),
               SimulationError);
}

}  // namespace
}  // namespace cmsim::run
