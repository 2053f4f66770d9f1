#include "src/cli/guarded.hpp"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "cmsim/base/error.hpp"
#include "cmsim/cli/main.hpp"
#include "cmsim/serve/cluster.hpp"

namespace cmsim::cli {
namespace {

/// Code and message of an action that throws `error`.
template <class Error>
std::pair<int, std::string> told(const Error& error) {
  testing::internal::CaptureStderr();
  const int code = guarded([&]() -> int { throw error; });
  return {code, testing::internal::GetCapturedStderr()};
}

TEST(Guarded, TheCodeSaysWhoseFaultItIs) {
  using Told = std::pair<int, std::string>;
  EXPECT_EQ(guarded([] { return 7; }), 7);
  EXPECT_EQ(told(ConfigError({"s.json", 3, "/x"}, "is wrong")),
            Told(kUsage, "cmsim: s.json:3: /x: is wrong\n"));
  EXPECT_EQ(told(SimulationError("stuck")), Told(kFailed, "cmsim: simulation failed: stuck\n"));
  EXPECT_EQ(told(OutputError("o: full")), Told(kFailed, "cmsim: o: full\n"));
  EXPECT_EQ(told(SimulationError("two\nlines")).second,
            "cmsim: simulation failed: two\\x0alines\n");
  EXPECT_EQ(told(std::bad_alloc()), Told(kFailed, "cmsim: there is not enough memory for this\n"));
  const std::string bug = "cmsim: internal error, please report it: ";
  EXPECT_EQ(told(serve::InvariantError("broken invariant: x")),
            Told(kInternal, bug + "broken invariant: x\n"));
  EXPECT_EQ(told(std::out_of_range("index")), Told(kInternal, bug + "index\n"));
  EXPECT_EQ(told(42), Told(kInternal, bug + "an exception of no known type\n"));
}

}  // namespace
}  // namespace cmsim::cli
