// cmsim validate: every published row within its tolerance, docs/validation.md fresh, and its
// errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kRoot = CMSIM_SOURCE_DIR;

TEST(Validate, EveryRowHoldsAndThePageIsFresh) {
  const WorkDirectory here;
  const Outcome result =
      here.cmsim({"validate", kRoot + "/workloads/studies/published.json", "--markdown"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, Not(HasSubstr("| misses |")));
  EXPECT_EQ(result.out, content(kRoot + "/docs/validation.md"))
      << "run: cmsim validate --markdown > docs/validation.md";
}

/// A data file with one row: the time of a 512 B read between nodes.
std::string file_with_row(const WorkDirectory& here, const std::string& metric,
                          const std::string& published) {
  const auto directory = here / "workloads/studies";
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "rows.json")
      << R"({"parameters": [], "ablations": [], "rows": [{"id": "x", "group": "g", "what": "w",)"
      << R"( "command": ["p2p", ")" << kRoot << R"(/platforms/cloudmatrix384.json",)"
      << R"( "--from", "die:0", "--to", "die:16", "--bytes", "512B"], "metric": ")" << metric
      << R"(", "unit": "us", "published": )" << published
      << R"(, "source": "s", "role": "predicted", "tolerance": 0.05}]})";
  return "workloads/studies/rows.json";
}

TEST(Validate, APersonsOwnRowIsComparedAndItsErrorShown) {
  const WorkDirectory here;
  // 1.9 us of latency and 512 B at 164 GB/s, 0.003 us: 1.903 us, +90.3 % of 1, outside 5 %.
  const Outcome result = here.cmsim({"validate", file_with_row(here, "/time_us", "1.0")});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("+90.3 %"));
  EXPECT_THAT(result.out, HasSubstr("0 of 1 with a tolerance hold it"));
}

TEST(Validate, RequireFailsWhenARowLeavesItsTolerance) {
  const WorkDirectory here;
  const Outcome misses =
      here.cmsim({"validate", file_with_row(here, "/time_us", "1.0"), "--require"});
  EXPECT_EQ(misses.code, 1);
  EXPECT_THAT(misses.err, HasSubstr("x leaves its tolerance: published 1 us, ours 1.903, +90.3 %"));
  EXPECT_EQ(here.cmsim({"validate", file_with_row(here, "/time_us", "1.9"), "--require"}).code, 0);
}

TEST(Validate, SaysWhatIsWrongWithARow) {
  const WorkDirectory here;
  const Outcome zero = here.cmsim({"validate", file_with_row(here, "/time_us", "0")});
  EXPECT_EQ(zero.code, 2);
  EXPECT_THAT(zero.err, HasSubstr("/rows/0/published: found 0"));
  const Outcome metric = here.cmsim({"validate", file_with_row(here, "/tim_us", "1")});
  EXPECT_EQ(metric.code, 2);
  EXPECT_THAT(metric.err, HasSubstr("has no number at /tim_us"));
  const Outcome pointer = here.cmsim({"validate", file_with_row(here, "time_us", "1")});
  EXPECT_EQ(pointer.code, 2);
  EXPECT_THAT(pointer.err, HasSubstr("/rows/0/metric: found \"time_us\", expected a JSON pointer"));
  const Outcome only =
      here.cmsim({"validate", file_with_row(here, "/time_us", "1"), "--only", "nothing"});
  EXPECT_EQ(only.code, 2);
  EXPECT_THAT(only.err, HasSubstr("no row has an id that contains it"));
}

}  // namespace
}  // namespace cmsim::cli
